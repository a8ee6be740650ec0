"""A client of Qdrant, and its errors in our words."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from qdrant_client import QdrantClient
from qdrant_client.common.client_exceptions import ResourceExhaustedResponse
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from indexer.errors import Rejected, VectorIndexUnavailable

INPUT_AT_FAULT = frozenset({400, 413, 422})


def connect(url: str, api_key: str, timeout_s: float) -> QdrantClient:
    """A client that has not spoken yet; one client serves every thread.

    On this machine the key goes as a plain header, because the client warns of a key without TLS, and
    a proxy of the environment is not asked.
    """
    local = _is_loopback(urlsplit(url).hostname or "")
    return QdrantClient(
        url=url,
        api_key=None if local or not api_key else api_key,
        metadata={"api-key": api_key} if local and api_key else {},
        timeout=math.ceil(timeout_s),
        check_compatibility=False,
        trust_env=not local,
    )


@contextmanager
def our_errors() -> Iterator[None]:
    """Raise Rejected for what Qdrant finds wrong with a request, VectorIndexUnavailable for the rest."""
    try:
        yield
    except ResourceExhaustedResponse as error:
        raise VectorIndexUnavailable("The vector index has too much to do: ask again.") from error
    except UnexpectedResponse as error:
        raise _translated(error) from error
    except ResponseHandlingException as error:
        raise VectorIndexUnavailable(f"The vector index did not answer: {error}.") from error


def is_conflict(error: UnexpectedResponse) -> bool:
    """Whether somebody else made it meanwhile; servers of some versions say 400."""
    return error.status_code == 409 or (error.status_code == 400 and b"already exists" in error.content)


def _translated(error: UnexpectedResponse) -> Rejected | VectorIndexUnavailable:
    said = error.content.decode(errors="replace")[:500]
    if error.status_code in INPUT_AT_FAULT:
        return Rejected(f"The vector index refuses this: {said}", reason="vector_refused")
    if error.status_code == 404:
        return VectorIndexUnavailable(f"There is no place for these vectors yet: prepare it. {said}")
    if error.status_code in (401, 403):
        return VectorIndexUnavailable("The vector index wants another key: check CBIR_QDRANT_API_KEY.")
    return VectorIndexUnavailable(f"The vector index answered {error.status_code}: {said}")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
