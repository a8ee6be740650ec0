"""A whole house on fakes: an archive with studies, all of them indexed, behind a real HTTP server."""

from __future__ import annotations

import socket
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from demo.families import WrittenStudy
from indexer.answers.links import Links
from indexer.api import ApiSettings, Event, House, create_app
from indexer.collecting import Sending
from indexer.domain import SeriesReference
from indexer.ledger import Indexed, Ledger, Notice, Outcome, Priority
from indexer.line_up import LineUp, LineUps, RoutedEncoder
from indexer.search import Search
from indexer.search.judging import Judge
from tests.fakes.archive import FakeArchive
from tests.fakes.encoder import VERSION, FakeEncoder
from tests.fakes.vector_index import FakeVectorIndex

LINKS = Links("http://127.0.0.1:8042", "ORTHANC")


@dataclass
class Furnished:
    """The parts of a house, each within a test's reach."""

    ledger: Ledger
    path: Path
    archive: FakeArchive = field(default_factory=FakeArchive)
    encoder: FakeEncoder = field(default_factory=FakeEncoder)
    index: FakeVectorIndex = field(default_factory=FakeVectorIndex)
    heard: list[Event] = field(default_factory=list)
    stored: list[Path] = field(default_factory=list)
    sending: Sending | None = None
    languages: tuple[str, ...] = ()
    judge: Judge | None = None

    def move_in(self, other: Furnished) -> None:
        """Store and index what another house has; the ledger was copied already."""
        for path in other.stored:
            self.archive.store(path)
        self.stored = list(other.stored)
        indexed = list(other.index.archive_ids(VERSION))
        self.index.upsert(list(other.index.embeddings_by_id(VERSION, indexed).values()))

    def store(self, paths: Sequence[Path]) -> str:
        """Store DICOM files of one series without indexing them; gives the archive id."""
        archive_id = [self.archive.store(path) for path in paths][-1]
        self.stored.extend(paths)
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

    @property
    def line_ups(self) -> LineUps:
        """One encoder, which reads `languages`."""
        return LineUps(LineUp((RoutedEncoder(VERSION, languages=self.languages),)))

    def search(self) -> Search:
        """The search over this house."""
        return Search(
            line_ups=lambda: self.line_ups,
            ledger=self.ledger,
            archive=self.archive,
            encoder=self.encoder,
            index=self.index,
            access=self.archive,
            judge=self.judge,
        )

    def app(self, settings: ApiSettings | None = None) -> FastAPI:
        """The application over this house."""
        house = House(
            search=self.search(),
            ledger=self.ledger,
            archive=self.archive,
            access=self.archive,
            index=self.index,
            encoder=self.encoder,
            line_ups=lambda: self.line_ups,
            events=self.heard.extend,
            sending=self.sending,
        )
        return create_app(house, settings or ApiSettings(links=LINKS))


@contextmanager
def furnished(like: Furnished | None = None) -> Iterator[Furnished]:
    """A house with a ledger on SQLite: empty, or with what another one has stored and indexed."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "ledger.sqlite"
        if like is not None:
            with closing(sqlite3.connect(like.path)) as old, closing(sqlite3.connect(path)) as new:
                old.backup(new)
        with Ledger.open(f"sqlite:///{path}") as ledger:
            house = Furnished(ledger, path)
            house.index.prepare(VERSION)
            if like is not None:
                house.move_in(like)
            yield house


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """The address of a real server on a free port of loopback."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, log_config=None, timeout_keep_alive=60, timeout_graceful_shutdown=2)
    )
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
        thread.join(60)
        listening.close()


def by_series(study: WrittenStudy) -> list[tuple[Path, ...]]:
    """The files of a synthetic study, series by series."""
    ordered = sorted(study.paths, key=lambda path: path.name)
    return [tuple(paths) for _, paths in groupby(ordered, key=lambda path: path.name.split("-")[0])]
