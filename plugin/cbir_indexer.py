# SPDX-License-Identifier: AGPL-3.0-or-later
"""One HTTP exchange with the indexer: no proxy of the environment, no redirect, a time and a size limit."""

from __future__ import annotations

import http.client
import socket
import time
import urllib.parse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

CHUNK_BYTES = 256 * 1024
CONNECT_TIMEOUT_S = 3.0


class IndexerUnavailable(Exception):
    """No usable answer: ask again later."""


@dataclass(frozen=True)
class IndexerAnswer:
    """What the indexer said; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Indexer:
    """Where the indexer listens."""

    url: str
    secret: str
    max_answer_bytes: int

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: bytes | None,
        timeout_s: float,
        connected: Callable[[socket.socket], None] = lambda _: None,
    ) -> IndexerAnswer:
        """Send a request and read all of its answer.

        Args:
            method: GET or POST.
            target: path and query, encoded.
            headers: in addition to the secret.
            body: None for GET.
            timeout_s: for the whole exchange, give or take one read.
            connected: told of the socket, for one who may want to shut it down from another thread.

        Raises:
            IndexerUnavailable: it did not answer, not in time, or with too much.
        """
        deadline = time.monotonic() + timeout_s
        url = urllib.parse.urlsplit(self.url)
        kind = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
        connection = kind(url.hostname or "", url.port, timeout=min(timeout_s, CONNECT_TIMEOUT_S))
        try:
            connection.connect()
            connection.sock.settimeout(timeout_s)
            connected(connection.sock)
            connection.putrequest(method, url.path + target, skip_accept_encoding=True)
            for name, value in {**headers, "X-CBIR-Secret": self.secret}.items():
                connection.putheader(name, value.encode("utf-8"))
            connection.putheader("Accept-Encoding", "identity")
            connection.putheader("Connection", "close")
            if body is not None:
                connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
            return self._read(connection.getresponse(), deadline)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise IndexerUnavailable(f"{type(error).__name__}: {error}") from error
        finally:
            connection.close()

    def _read(self, response: http.client.HTTPResponse, deadline: float) -> IndexerAnswer:
        chunks: list[bytes] = []
        size = 0
        while chunk := response.read1(CHUNK_BYTES):
            chunks.append(chunk)
            size += len(chunk)
            if size > self.max_answer_bytes:
                raise IndexerUnavailable(f"the answer is larger than {self.max_answer_bytes} bytes")
            if time.monotonic() > deadline:
                raise IndexerUnavailable("the answer took too long")
        promised = response.headers.get("Content-Length")
        if promised is not None and promised.isdigit() and int(promised) != size:
            raise IndexerUnavailable("the answer broke off")
        headers = {name.lower(): value for name, value in response.headers.items()}
        return IndexerAnswer(response.status, headers, b"".join(chunks))
