"""What is kept: the data directory, the disk, the ledger, the vectors."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from sqlalchemy import make_url

from cbir.doctor.finding import Finding, Level, ok, problem, warning
from cbir.engine_process import Endpoint, vector_endpoint
from cbir.settings import Settings
from indexer.adapters.qdrant.index import collection_of
from indexer.domain import EncoderVersion
from indexer.errors import CbirError
from indexer.ledger import Ledger, RememberedLineUps
from indexer.ledger.migration import Schema, schema_at
from indexer.line_up import LineUps
from inference.registry import Registry

WAIT_S = 20.0
GIB = 2**30
SECRETS = ("patient.key", "engine.key")
OLDEST_QDRANT = (1, 16)


@dataclass(frozen=True, slots=True)
class DiskLimits:
    """Free bytes below which we warn, and below which it is a problem."""

    little_bytes: int = 10 * GIB
    too_little_bytes: int = GIB


def examine_data_directory(settings: Settings, limits: DiskLimits) -> Iterator[Finding]:
    """Whether it is there, ours alone, and has room."""
    folder = settings.data_dir
    if not folder.is_dir():
        yield warning(
            "data_directory",
            f"There is no {folder} yet.",
            "The first start makes it; if there should be one, correct CBIR_DATA_DIR.",
        )
        return
    yield _permissions(folder)
    yield _secrets(folder)
    yield _disk(folder, limits)


def examine_ledger(settings: Settings) -> Finding:
    """Whether it answers, and in which version; nothing is changed."""
    url = settings.resolved_database_url
    parsed = make_url(url) if "://" in url else None
    if (
        parsed is not None
        and parsed.get_backend_name() == "sqlite"
        and not Path(parsed.database or "").exists()
    ):
        return warning("ledger", "There is no ledger yet.", "The first start makes it.")
    try:
        schema = schema_at(url)
    except CbirError as error:
        return problem("ledger", "The ledger cannot be used.", str(error))
    return _schema(schema)


def examine_line_ups(settings: Settings) -> Iterator[Finding]:
    """Whether every encoder whose vectors are searched, or filled, is at hand."""
    line_ups = remembered_line_ups(settings)
    if line_ups is None:
        return
    registry = Registry(settings.encoders_dir, settings.non_commercial_encoders)
    for version in line_ups.versions:
        beside = version in line_ups.only_beside
        try:
            registry.folder_of(version)
        except CbirError as error:
            said = f"{version} is {'filled beside' if beside else 'searched'} and cannot be used."
            yield warning("line_up", said, str(error)) if beside else problem("line_up", said, str(error))
        else:
            yield ok("line_up", f"{version} is {'filled beside' if beside else 'searched'}.")


def remembered_line_ups(settings: Settings) -> LineUps | None:
    """The line-ups of a ledger that is there and up to date; nothing is changed."""
    if examine_ledger(settings).level is not Level.OK:
        return None
    with Ledger.open(settings.resolved_database_url) as ledger:
        return RememberedLineUps(ledger, _none_to_begin_with).peek()


def _none_to_begin_with() -> LineUps:
    raise AssertionError("who only looks begins nothing")


def examine_vectors(settings: Settings) -> Iterator[Finding]:
    """Whether the engine, or the Qdrant server, answers, in which version, and what it holds."""
    if not settings.qdrant_url and not (settings.data_dir / "engine").is_dir():
        yield warning(
            "vector_index", "There are no vectors yet.", "The first start makes the place for them."
        )
        return
    try:
        with vector_endpoint(settings) as endpoint:
            yield from _vectors(settings, endpoint)
    except (CbirError, httpx.HTTPError, ValueError) as error:
        yield problem(
            "vector_index",
            f"The vector index does not answer as it should ({type(error).__name__}).",
            "Start Qdrant, or correct CBIR_QDRANT_URL and CBIR_QDRANT_API_KEY."
            if settings.qdrant_url
            else "See the engine's lines in the log of `cbir serve`; another process may hold its folder.",
        )


def _permissions(folder: Path) -> Finding:
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        return problem(
            "data_directory",
            f"{folder} cannot be written by this user.",
            "Run as its owner, or give it to this user.",
        )
    mode = stat.S_IMODE(folder.stat().st_mode)
    if mode & 0o077:
        return warning(
            "data_directory", f"Others may look into {folder} (mode {mode:o}).", f"chmod 700 {folder}"
        )
    return ok("data_directory", f"{folder} is this user's alone.")


def _secrets(folder: Path) -> Finding:
    open_files = [
        name for name in SECRETS if (folder / name).exists() and (folder / name).stat().st_mode & 0o077
    ]
    if open_files:
        names = " ".join(str(folder / name) for name in open_files)
        return problem("keys", f"Others may read {names}.", f"chmod 600 {names}")
    return ok("keys", "The keys in the data directory are readable by their owner only.")


def _disk(folder: Path, limits: DiskLimits) -> Finding:
    free = shutil.disk_usage(folder).free
    said = f"{free / GIB:.1f} GiB are free where {folder} is."
    advice = "Make room, or move CBIR_DATA_DIR to a larger disk; a full disk stops indexing and answering."
    if free < limits.too_little_bytes:
        return problem("disk", said, advice)
    return warning("disk", said, advice) if free < limits.little_bytes else ok("disk", said)


def _schema(schema: Schema) -> Finding:
    if schema.is_newer:
        return problem(
            "ledger",
            f"The ledger's schema {schema.found} is newer than this program's {schema.wanted}.",
            "Upgrade the program, or restore the ledger of its version.",
        )
    if schema.found != schema.wanted:
        return warning(
            "ledger",
            f"The ledger has schema {schema.found or 'none'}, this program {schema.wanted}.",
            "The next start upgrades it: make a back-up first.",
        )
    return ok("ledger", f"The ledger answers, with schema {schema.found}.")


def _vectors(settings: Settings, endpoint: Endpoint) -> Iterator[Finding]:
    with httpx.Client(
        base_url=endpoint.url,
        headers={"api-key": endpoint.api_key} if endpoint.api_key else {},
        timeout=WAIT_S,
        trust_env=False,
    ) as client:
        root = client.get("/").raise_for_status().json()
        yield _index_version(str(root.get("version", "")), embedded=not settings.qdrant_url)
        yield from _collections(client, settings)


def _index_version(version: str, *, embedded: bool) -> Finding:
    name = "The embedded engine" if embedded else "Qdrant"
    numbers = tuple(int(n) for n in version.split(".")[:2] if n.isdigit())
    if numbers < OLDEST_QDRANT:
        oldest = ".".join(map(str, OLDEST_QDRANT))
        return warning(
            "vector_index", f"Qdrant is {version or 'of unknown version'}.", f"Upgrade to {oldest} or newer."
        )
    return ok("vector_index", f"{name} answers and speaks the protocol of Qdrant {version}.")


def _collections(client: httpx.Client, settings: Settings) -> Iterator[Finding]:
    try:
        versions = _in_use(settings)
    except CbirError:
        yield warning("vectors", "The encoder is broken: its vectors were not looked for.", "See `encoder`.")
        return
    for version in versions:
        yield _collection(client, version)


def _in_use(settings: Settings) -> tuple[EncoderVersion, ...]:
    """The encoders of the remembered line-ups; those of the settings where none are remembered."""
    line_ups = remembered_line_ups(settings)
    if line_ups is not None:
        return line_ups.versions
    return (
        Registry(settings.encoders_dir, settings.non_commercial_encoders)
        .line_up(settings.encoder_names)
        .versions
    )


def _collection(client: httpx.Client, version: EncoderVersion) -> Finding:
    answer = client.get(f"/collections/{collection_of(version)}")
    if answer.status_code == httpx.codes.NOT_FOUND:
        return warning(
            "vectors", f"There are no vectors of {version} yet.", "The next start makes the place for them."
        )
    if answer.status_code in (401, 403):
        return problem("vectors", "Qdrant wants another key.", "Correct CBIR_QDRANT_API_KEY.")
    found = answer.raise_for_status().json()["result"]
    if found.get("status") == "red":
        return problem(
            "vectors",
            f"The collection of {version} is damaged.",
            "Restore it from a back-up; see Qdrant's log.",
        )
    return ok("vectors", f"{found.get('points_count', 0)} series have vectors of {version}.")
