"""A whole house on fakes: an archive with studies, all of them indexed, behind a real HTTP server."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI

from indexer.answers.links import Links
from indexer.api import ApiSettings, Event, House, create_app
from indexer.domain import SeriesReference
from indexer.ledger import Indexed, Ledger, Notice, Outcome, Priority
from indexer.search import Search
from tests.fakes.archive import FakeArchive
from tests.fakes.encoder import VERSION, FakeEncoder
from tests.fakes.vector_index import FakeVectorIndex

LINKS = Links("http://127.0.0.1:8042", "ORTHANC")


@dataclass
class Furnished:
    """The parts of a house, each within a test's reach."""

    ledger: Ledger
    archive: FakeArchive = field(default_factory=FakeArchive)
    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    index: FakeVectorIndex = field(default_factory=FakeVectorIndex)
    heard: list[Event] = field(default_factory=list)

    def store(self, paths: Sequence[Path]) -> str:
        """Store DICOM files of one series without indexing them; gives the archive id."""
        archive_id = [self.archive.store(path) for path in paths][-1]
        reference = self.archive.series(archive_id).listed.reference
        notice = Notice(archive_id, self.archive.name, Priority.CHANGED, reference=reference)
        self.ledger.notice([notice], datetime.now(UTC))
        return archive_id

    def index_series(self, paths: Sequence[Path]) -> str:
        """Store DICOM files of one series and index them; gives the archive id."""
        archive_id = self.store(paths)
        stored = self.archive.series(archive_id)
        embedding = replace(self.encoder.embed(paths)[0], reference=stored.listed.reference)
        self.index.prepare(VERSION)
        self.index.upsert([embedding])
        self.finish(
            archive_id,
            Indexed(
                stored.listed.reference,
                embedding.attributes,
                stored.listed.revision,
                stored.fingerprint,
                str(VERSION),
            ),
        )
        return archive_id

    def finish(self, archive_id: str, outcome: Outcome) -> None:
        """Let a series end so."""
        now = datetime.now(UTC)
        for lease in self.ledger.lease("tests", 100, 60, now):
            if lease.archive_id == archive_id:
                self.ledger.finish(lease, "tests", outcome, now)

    def reference(self, archive_id: str) -> SeriesReference:
        """What the archive knows a series by."""
        return self.archive.series(archive_id).listed.reference

    def app(self, settings: ApiSettings | None = None) -> FastAPI:
        """The application over this house."""
        search = Search(
            encoder_version=VERSION,
            ledger=self.ledger,
            archive=self.archive,
            encoder=self.encoder,
            index=self.index,
            access=self.archive,
        )
        house = House(
            search=search,
            ledger=self.ledger,
            archive=self.archive,
            access=self.archive,
            index=self.index,
            encoder=self.encoder,
            encoder_version=VERSION,
            events=self.heard.extend,
        )
        return create_app(house, settings or ApiSettings(links=LINKS))


@contextmanager
def furnished() -> Iterator[Furnished]:
    """An empty house with a ledger on SQLite."""
    with (
        TemporaryDirectory() as folder,
        Ledger.open(f"sqlite:///{Path(folder) / 'ledger.sqlite'}") as ledger,
    ):
        house = Furnished(ledger)
        house.index.prepare(VERSION)
        yield house


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The address of a real server on a free port of loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    while not server.started:
        if not thread.is_alive():
            raise RuntimeError("The server did not start.")
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listening.close()
