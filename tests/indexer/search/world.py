"""Everything that a search needs, in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from indexer.domain import (
    Candidate,
    EncoderVersion,
    FeatureMap,
    FrameReference,
    MatchMap,
    Scope,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import NotConfigured, Rejected
from indexer.ledger import Ledger
from indexer.line_up import LineUps
from indexer.ports import Caller, TextEmbedding, Window
from indexer.search import ExampleReference, Question, Search
from indexer.search.judging import Judge
from tests.fakes.archive import FakeArchive
from tests.fakes.vector_index import FakeVectorIndex

ENCODER = EncoderVersion("test", "ab" * 32, 3)
TRUSTED = Caller("test")
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class OneVectorEncoder:
    """Gives the same embedding for every example, and for each text the vector it was told."""

    answer: tuple[SeriesEmbedding, ...] = ()
    texts: Mapping[str, Sequence[float]] = field(default_factory=dict)
    text_encoder: EncoderVersion = ENCODER
    asked: list[int | None] = field(default_factory=list)

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        assert all(path.is_file() for path in instances)
        self.asked.append(frame_number)
        return self.answer

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        raise AssertionError("a search renders nothing")

    def feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        raise AssertionError("no region is asked about here")

    def occlusion_maps(
        self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        raise AssertionError("a search covers nothing")

    def embed_text(self, text: str) -> TextEmbedding:
        if text not in self.texts:
            raise NotConfigured("No encoder that is searched reads text.")
        return TextEmbedding(self.text_encoder, unit(self.texts[text])[0])

    def embed_reports(self, reports: tuple[Path, ...]) -> TextEmbedding:
        """Each report is a file that holds a text and nothing else, named after its study and its patient."""
        told = [path for path in reports if path.read_text()]
        if not told:
            raise Rejected("The reports are empty.", reason="empty_report")
        whose = [path.stem.split(" of ") for path in told]
        return replace(
            self.embed_text(" ".join(path.read_text() for path in told)),
            studies=tuple(study for study, _ in whose),
            patients=tuple(patient for _, patient in whose),
            reports=len(told),
        )


class CountingIndex(FakeVectorIndex):
    """Remembers the scopes of what it was asked, and whose vectors were read."""

    def __init__(self) -> None:
        super().__init__()
        self.scopes: list[Scope] = []
        self.read: list[str] = []

    def nearest(
        self, encoder: EncoderVersion, vector: Vector, frame_vectors: Vector, *, limit: int, scope: Scope
    ) -> tuple[Candidate, ...]:
        self.scopes.append(scope)
        return super().nearest(encoder, vector, frame_vectors, limit=limit, scope=scope)

    def embeddings_by_id(
        self, encoder: EncoderVersion, archive_ids: Sequence[str]
    ) -> Mapping[str, SeriesEmbedding]:
        self.read += archive_ids
        return super().embeddings_by_id(encoder, archive_ids)


@dataclass
class World:
    """Everything a search needs, in memory."""

    ledger: Ledger
    archive: FakeArchive = field(default_factory=FakeArchive)
    index: CountingIndex = field(default_factory=CountingIndex)
    encoder: OneVectorEncoder = field(default_factory=OneVectorEncoder)
    line_ups: LineUps = field(default_factory=lambda: LineUps.alone(ENCODER))
    judge: Judge = field(default_factory=Judge)

    def search(self) -> Search:
        return Search(
            line_ups=lambda: self.line_ups,
            ledger=self.ledger,
            archive=self.archive,
            encoder=self.encoder,
            index=self.index,
            access=self.archive,
            judge=self.judge,
        )

    def add(
        self, study: str, *frames: Sequence[float], series: str = "1", **attributes: object
    ) -> SeriesReference:
        stored = embedding(study, *frames, series=series, **attributes)
        self.index.upsert([stored])
        return stored.reference

    def add_shown(
        self,
        study: str,
        frame: Sequence[float],
        credentials: dict[str, str],
        series: str = "1",
        **attributes: object,
    ) -> None:
        """Archived as well, and shown to the caller with these credentials."""
        archive_id = self.archive.put(study=study, series=f"{study}.{series}", sop=f"{study}.{series}.1")
        self.archive.show(archive_id, credentials)
        stored = embedding(study, frame, series=series, **attributes)
        self.index.upsert([replace(stored, reference=replace(stored.reference, archive_id=archive_id))])


def unit(*rows: Sequence[float]) -> Vector:
    """Unit rows, float32."""
    array = np.asarray(rows, dtype=np.float32)
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True), dtype=np.float32)


def embedding(
    study: str, *frames: Sequence[float], series: str = "1", **attributes: object
) -> SeriesEmbedding:
    rows = unit(*frames)
    return SeriesEmbedding(
        reference=SeriesReference(study, f"{study}.{series}", f"id-{study}-{series}"),
        attributes=SeriesAttributes(**attributes),  # type: ignore[arg-type]
        encoder=ENCODER,
        frames=tuple(FrameReference("1.2", f"{study}.{series}.{n}", 1) for n in range(1, len(frames) + 1)),
        vector=pooled(rows),
        frame_vectors=rows,
    )


def studies(world: World, question: Question, caller: Caller = TRUSTED) -> list[str]:
    answer = world.search().similar(question, caller)
    return [match.reference.study_instance_uid for match in answer.matches]


def about(study: str, **options: object) -> Question:
    return Question(ExampleReference(study_instance_uid=study), **options)  # type: ignore[arg-type]


def chosen(*studies: str) -> tuple[ExampleReference, ...]:
    """Cases that were chosen among matches."""
    return tuple(ExampleReference(study_instance_uid=study) for study in studies)
