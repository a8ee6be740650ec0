"""The judge of the following tests: the ledger and the vectors say what Orthanc holds, and nothing else."""

from __future__ import annotations

import sqlite3
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import httpx
import numpy as np
from qdrant_client import QdrantClient, models

from cbir.deployment import Deployment
from cbir.engine_process import running_engine
from cbir.settings import Settings
from demo.walk import Walk
from indexer.adapters.orthanc import OrthancArchive
from indexer.adapters.qdrant import QdrantIndex
from indexer.adapters.qdrant.connection import connect
from indexer.adapters.qdrant.index import collection_of
from indexer.adapters.qdrant.points import POOLED
from indexer.domain import SeriesEmbedding
from indexer.errors import CbirError
from indexer.ports import StoredSeries
from tests.fakes.listing import listed

SETTLE_LIMIT_S = 300.0
ENGINE_LIMIT_S = 30.0
MOST_SERIES = 10_000
HOLDS_S = 1.5
"""Longer than the service takes to compare everything once more."""
AS_STORED = 1e-3
"""Frame vectors are kept as 16-bit floats; those of other pixels differ by far more."""
NOT_IMAGES = ("SR", "PR", "KO")
MODELS = Path(__file__).parent.parent.parent / "models"


class Row(NamedTuple):
    """What the ledger keeps of one series."""

    archive_id: str
    state: str
    reason: str
    fingerprint: str | None
    lease_owner: str | None


@dataclass(frozen=True)
class Auditor:
    """Reads Orthanc, the ledger's file and the engine, each by itself; embeds again to compare."""

    walk: Walk
    archive: OrthancArchive
    own: Deployment

    def agree(self) -> None:
        """Wait until everything agrees and rests; see that the vectors are those of the pixels."""
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while missing := self._compare_vectors():
            assert time.monotonic() < deadline, self._told(missing)

    def rest(self) -> None:
        """Wait until everything agrees, Orthanc has no more to announce, and both last for a while.

        Orthanc calls a series stable long after its last instance, and the row waits once more then: only
        at rest can two pictures of the ledger be compared.
        """
        deadline = time.monotonic() + SETTLE_LIMIT_S
        since = time.monotonic()
        while time.monotonic() < since + HOLDS_S:
            if found := [*self.disagreements(), *self.announcements()]:
                assert time.monotonic() < deadline, self._told(found)
                since = time.monotonic()
            time.sleep(0.1)

    def settle(self) -> None:
        """Wait until everything agrees.

        Indexed are exactly the series of images that Orthanc holds, each with the fingerprint of its
        files now and with one point of the same; no other point is there, and nothing is waiting or leased.
        """
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while found := self.disagreements():
            assert time.monotonic() < deadline, self._told(found)
            time.sleep(0.2)

    def disagreements(self) -> list[str]:
        """What is not as it should be now, in words."""
        try:
            there = {stored.listed.reference.archive_id: stored for stored in self.stored()}
            held = self.held()
        except (CbirError, httpx.HTTPError) as down:
            return [f"{type(down).__name__}: {down}"]
        points = Counter(archive_id for archive_id, _ in held)
        images = {i for i, stored in there.items() if stored.listed.modality not in NOT_IMAGES}
        rows = {row.archive_id: row for row in self.rows()}
        return [
            *(f"{i} has no row" for i in there.keys() - rows.keys()),
            *(f"{i} has a row and is gone" for i in rows.keys() - there.keys()),
            *(f"{i} has no vectors" for i in images - points.keys()),
            *(f"{i} has vectors and should not" for i in points.keys() - images),
            *(f"{i} has {n} points" for i, n in points.items() if n > 1),
            *(
                f"{i} has vectors of other files"
                for i, of in held
                if i in there and of != there[i].fingerprint
            ),
            *(fault for i, row in rows.items() if i in there for fault in _faults(row, there[i], images)),
        ]

    def announcements(self) -> list[str]:
        """What Orthanc has yet to announce, or its plugin to deliver, in words."""
        try:
            with self.walk.orthanc.client() as client:
                expanded = client.get("/series?expand").raise_for_status().json()
        except httpx.HTTPError as down:
            return [f"{type(down).__name__}: {down}"]
        growing = [f"{series['ID']} is not stable" for series in expanded if not series["IsStable"]]
        return [*growing, *(f"the hint of {archive_id} is not delivered" for archive_id in self._spooled())]

    def writings(self) -> dict[str, int]:
        """By archive id, the number of the engine's operation that wrote a series last; of all, at rest.

        Vectors of the same pixels are the same: only this tells that a series was embedded again.
        """
        deadline = time.monotonic() + SETTLE_LIMIT_S
        while True:
            self.rest()
            images = {
                s.listed.reference.archive_id for s in self.stored() if s.listed.modality not in NOT_IMAGES
            }
            if images <= (found := self._writings()).keys():
                return found
            assert time.monotonic() < deadline, self._told(sorted(images - found.keys()))

    def _writings(self) -> dict[str, int]:
        version = self.own.encoder_version
        with closing(self._client()) as client:
            found = client.query_points(
                collection_of(version),
                query=[1.0] * version.dimension,
                using=POOLED,
                limit=MOST_SERIES,
                search_params=models.SearchParams(exact=True),
            ).points
        assert len(found) < MOST_SERIES
        return {(point.payload or {})["archive_id"]: point.version for point in found}

    def rows(self) -> list[Row]:
        """The ledger, read from its file."""
        path = self.walk.service.folder / "data" / "ledger.sqlite"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as ledger:
            found = ledger.execute(f"SELECT {', '.join(Row._fields)} FROM series").fetchall()  # noqa: S608
        return [Row(*row) for row in found]

    def _spooled(self) -> list[str]:
        (path,) = listed(self.walk.orthanc.folder, "**/cbir-outbox.sqlite")
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as outbox:
            return [archive_id for (archive_id,) in outbox.execute("SELECT orthanc_id FROM waiting")]

    def stored(self) -> Iterator[StoredSeries]:
        """What Orthanc holds, by its own list."""
        with self.walk.orthanc.client() as client:
            archive_ids = client.get("/series").raise_for_status().json()
        for archive_id in archive_ids:
            yield self.archive.series(archive_id)

    def points(self) -> list[str]:
        """The archive id of every point of the engine."""
        return [archive_id for archive_id, _ in self.held()]

    def held(self) -> list[tuple[str, str]]:
        """The archive id of every point, and the fingerprint of the files that its vectors are of."""
        with self._index() as index:
            return list(index.fingerprints(self.own.encoder_version))

    @contextmanager
    def _index(self) -> Iterator[QdrantIndex]:
        with closing(QdrantIndex.over(self._client())) as index:
            yield index

    def _client(self) -> QdrantClient:
        endpoint = running_engine(self.walk.service.folder / "data")
        if endpoint is None:
            raise CbirError("The engine does not answer.")
        return connect(endpoint.url, endpoint.api_key, ENGINE_LIMIT_S)

    def _compare_vectors(self) -> list[str]:
        """Compare them at rest; what has lost its vectors meanwhile, and is to be embedded again, in words.

        A worker that was too slow for its lease takes back what it stored: at rest it may still come.
        """
        self.rest()
        series = [stored for stored in self.stored() if stored.listed.modality not in NOT_IMAGES]
        ids = [stored.listed.reference.archive_id for stored in series]
        with self._index() as index:
            kept = index.embeddings_by_id(self.own.encoder_version, ids)
        if missing := [f"{archive_id} has lost its vectors" for archive_id in ids if archive_id not in kept]:
            return missing
        for stored in series:
            expected, archive_id = self._embedded(stored), stored.listed.reference.archive_id
            found = kept[archive_id]
            assert found.frames == expected.frames, self._history(archive_id)
            np.testing.assert_allclose(found.frame_vectors, expected.frame_vectors, atol=AS_STORED)
            np.testing.assert_allclose(found.vector, expected.vector, atol=AS_STORED)
        return []

    def _embedded(self, stored: StoredSeries) -> SeriesEmbedding:
        with tempfile.TemporaryDirectory() as folder:
            paths = [fetched.path for fetched in self.archive.fetch(stored.instances, Path(folder))]
            (embedding,) = self.own.embedder.embed_files(paths)
        return embedding

    def _history(self, archive_id: str) -> str:
        """What the service said of one series."""
        lines = self.walk.service.log_path.read_text().splitlines()
        return "\n".join(line for line in lines if archive_id in line)

    def _told(self, found: Sequence[str]) -> str:
        log = self.walk.service.log_path.read_text()[-3000:]
        return "\n".join([*found, "", log, "", self.walk.orthanc.log()[-1500:]])


def _faults(row: Row, stored: StoredSeries, images: set[str]) -> Iterator[str]:
    wanted = "indexed" if row.archive_id in images else "skipped"
    if row.state != wanted:
        yield f"{row.archive_id} is {row.state} ({row.reason}), not {wanted}"
    if row.fingerprint != stored.fingerprint:
        yield f"{row.archive_id} has the fingerprint of other files"
    if row.lease_owner is not None:
        yield f"{row.archive_id} is still leased"


@contextmanager
def auditor(walk: Walk, folder: Path, encoder: str = "radiology-small") -> Iterator[Auditor]:
    """A judge with its own connection to Orthanc and its own encoder."""
    settings = Settings(data_dir=folder, encoders_dir=MODELS, encoder=encoder, decoders=1)
    orthanc = walk.orthanc
    with (
        OrthancArchive(orthanc.http_url, user=orthanc.user, password=orthanc.password) as archive,
        Deployment(settings) as own,
    ):
        yield Auditor(walk, archive, own)
