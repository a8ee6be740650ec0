"""An example becomes candidates, candidates become matches: one prior study each, best first."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NoReturn

import numpy as np

from indexer.domain import (
    Answer,
    Candidate,
    EncoderVersion,
    Filters,
    Match,
    Scope,
    SeriesEmbedding,
    SeriesReference,
)
from indexer.errors import EncoderUnavailable, NotFound, NotIndexed, Rejected
from indexer.ledger import Ledger, SeriesRow, State
from indexer.line_up import LineUp, LineUps
from indexer.ports import Access, Archive, Caller, Encoder, VectorIndex

OVERFETCH = 4
MAX_LIMIT = 100
MAX_STUDIES_PROBED = 1000


@dataclass(frozen=True, slots=True)
class ExampleReference:
    """An example that the archive holds: exactly one of the three UIDs; a frame needs an instance.

    `frame_number` is 1-based; None stands for every frame of the instance.
    """

    study_instance_uid: str | None = None
    series_instance_uid: str | None = None
    sop_instance_uid: str | None = None
    frame_number: int | None = None

    def __post_init__(self) -> None:
        """Refuse a reference that names nothing, or two things."""
        given = [self.study_instance_uid, self.series_instance_uid, self.sop_instance_uid]
        if sum(uid is not None for uid in given) != 1:
            raise Rejected(
                "Name the example by exactly one of study_instance_uid, series_instance_uid and "
                "sop_instance_uid."
            )
        if self.frame_number is not None and (self.sop_instance_uid is None or self.frame_number < 1):
            raise Rejected("frame_number counts from 1 and goes with sop_instance_uid.")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: an example by reference, or DICOM files that are not archived."""

    example: ExampleReference | tuple[Path, ...]
    limit: int = 10
    filters: Filters = field(default_factory=Filters)
    exclude_same_patient: bool = True

    def __post_init__(self) -> None:
        """Refuse a limit that nobody could read."""
        if not 1 <= self.limit <= MAX_LIMIT:
            raise Rejected(f"limit is {self.limit}; it must be between 1 and {MAX_LIMIT}.")


@dataclass(frozen=True, slots=True)
class _RankedStudy:
    """A candidate study with its fused score, its best series and the example's series it answers."""

    score: float
    best: Candidate
    answers: SeriesEmbedding


class Search:
    """Query by example: each series of the example among the vectors of the encoder that made its own."""

    def __init__(
        self,
        *,
        line_ups: Callable[[], LineUps],
        ledger: Ledger,
        archive: Archive,
        encoder: Encoder,
        index: VectorIndex,
        access: Access,
    ) -> None:
        """Take the world as ports; `line_ups` tells whose vectors are searched, anew for each question."""
        self._line_ups = line_ups
        self._ledger = ledger
        self._archive = archive
        self._encoder = encoder
        self._index = index
        self._access = access

    def similar(self, question: Question, caller: Caller) -> Answer:
        """Find the prior studies that look most like the example.

        Returns:
            Up to `question.limit` matches, a study each; fewer when the caller may not see more or
            the index holds no more.

        Raises:
            NotFound: the example is unknown, or the caller may not see it.
            NotIndexed: the example is known but has no vectors (yet).
            Rejected: the DICOM given holds nothing that can be embedded.
            Unavailable: a neighbour did not answer.
        """
        started = time.perf_counter()
        example = self._embeddings(question.example, caller, self._line_ups())
        scope = Scope(
            filters=question.filters,
            not_study=example[0].reference.study_instance_uid,
            not_patient=example[0].attributes.patient if question.exclude_same_patient else None,
        )
        ranked = self._visible_studies(example, scope, question.limit, caller)
        matches = self._matches(ranked)
        return Answer(
            example=example,
            encoder=(matches[0] if matches else example[0]).encoder,
            matches=matches,
            took_ms=(time.perf_counter() - started) * 1000,
        )

    def _embeddings(
        self, example: ExampleReference | tuple[Path, ...], caller: Caller, line_ups: LineUps
    ) -> tuple[SeriesEmbedding, ...]:
        """A worker that has not seen a switch yet, or has seen it first, uses the line-up beside."""
        if isinstance(example, ExampleReference):
            found = self._indexed(example, caller, line_ups.serving)
        else:
            found = self._encoder.embed(example)
        strange = [e.encoder for e in found if e.encoder not in line_ups.versions]
        if strange:
            raise EncoderUnavailable(
                f"The worker answers with {strange[0]}, the index holds {line_ups.serving}: "
                "give both the same CBIR_ENCODERS_DIR and restart the worker."
            )
        if len({embedding.reference.study_instance_uid for embedding in found}) > 1:
            raise Rejected("The example spans several studies: ask about one study at a time.")
        return found

    def _indexed(
        self, example: ExampleReference, caller: Caller, serving: LineUp
    ) -> tuple[SeriesEmbedding, ...]:
        held = [
            embedding
            for version in serving.versions
            for embedding in self._index.embeddings_of(
                version,
                study_instance_uid=example.study_instance_uid,
                series_instance_uid=example.series_instance_uid,
                sop_instance_uid=example.sop_instance_uid,
            )
        ]
        found = _one_a_series(held, serving)
        visible = self._access.visible(caller, [embedding.reference for embedding in found])
        shown = tuple(e for e in found if e.reference.archive_id in visible)
        if example.sop_instance_uid is not None:
            narrowed = _frames_of(shown, example.sop_instance_uid, example.frame_number)
            return narrowed or self._embedded_now(example.sop_instance_uid, example.frame_number, caller)
        if not shown:
            self._explain_absence(example, caller)
        return _of_one_study(shown)

    def _embedded_now(
        self, sop_instance_uid: str, frame_number: int | None, caller: Caller
    ) -> tuple[SeriesEmbedding, ...]:
        """An instance that the archive holds but whose frames were not among those sampled."""
        instance = self._archive.find_instance(sop_instance_uid)
        series = SeriesReference("", "", instance.series_archive_id)
        if not self._access.visible(caller, [series]):
            raise NotFound(f"There is no instance {sop_instance_uid}.")
        with tempfile.TemporaryDirectory(prefix="cbir-example-") as folder:
            fetched = [f.path for f in self._archive.fetch([instance], Path(folder))]
            if not fetched:
                raise NotFound(f"Instance {sop_instance_uid} is no longer in the archive.")
            return self._encoder.embed(fetched, frame_number)

    def _explain_absence(self, example: ExampleReference, caller: Caller) -> NoReturn:
        """Say the state of what the caller may see; what she may not see is unknown to her."""
        named = example.study_instance_uid or example.series_instance_uid
        rows = self._ledger.find(
            study_instance_uid=example.study_instance_uid, series_instance_uid=example.series_instance_uid
        )
        references = [
            SeriesReference(row.study_instance_uid, row.series_instance_uid, row.archive_id) for row in rows
        ]
        visible = self._access.visible(caller, references)
        for row in rows:
            if row.archive_id in visible:
                raise NotIndexed(_why_not(named, row), state=row.state, reason=row.reason or None)
        raise NotFound(f"Nothing is known of {named}: check the UID, or wait until it is indexed.")

    def _visible_studies(
        self, example: Sequence[SeriesEmbedding], scope: Scope, limit: int, caller: Caller
    ) -> list[_RankedStudy]:
        wanted = limit * OVERFETCH
        while True:
            ranked = self._rank(example, scope, wanted)
            visible = self._access.visible(caller, [study.best.reference for study in ranked])
            shown = [study for study in ranked if study.best.reference.archive_id in visible]
            if len(shown) >= limit or len(ranked) < wanted or wanted >= MAX_STUDIES_PROBED:
                return shown[:limit]
            wanted *= OVERFETCH

    def _rank(self, example: Sequence[SeriesEmbedding], scope: Scope, wanted: int) -> list[_RankedStudy]:
        """Late interaction over series: a study scores the mean, over the example's series, of its best."""
        near = [self._by_study(e, scope, wanted) for e in example]
        studies = {uid for found in near for uid in found}
        for embedding, found in zip(example, near, strict=True):
            missing = tuple(sorted(studies - found.keys()))
            if missing:
                found.update(self._by_study(embedding, replace(scope, only_studies=missing), len(missing)))
        ranked = [_fused(uid, example, near) for uid in studies]
        ranked.sort(key=lambda study: (-study.score, study.best.reference.study_instance_uid))
        return ranked[:wanted]

    def _by_study(self, embedding: SeriesEmbedding, scope: Scope, limit: int) -> dict[str, Candidate]:
        found = self._index.nearest(
            embedding.encoder, embedding.vector, embedding.frame_vectors, limit=limit, scope=scope
        )
        return {candidate.reference.study_instance_uid: candidate for candidate in found}

    def _matches(self, ranked: Sequence[_RankedStudy]) -> tuple[Match, ...]:
        wanted: dict[EncoderVersion, list[str]] = {}
        for study in ranked:
            wanted.setdefault(study.answers.encoder, []).append(study.best.reference.archive_id)
        stored = {version: self._index.embeddings_by_id(version, ids) for version, ids in wanted.items()}
        pairs = [(s, stored[s.answers.encoder].get(s.best.reference.archive_id)) for s in ranked]
        present = [(study, embedding) for study, embedding in pairs if embedding is not None]
        return tuple(_match(rank, *pair) for rank, pair in enumerate(present, start=1))


def _fused(
    study_instance_uid: str, example: Sequence[SeriesEmbedding], near: Sequence[dict[str, Candidate]]
) -> _RankedStudy:
    votes = [
        (found[study_instance_uid], embedding)
        for found, embedding in zip(near, example, strict=True)
        if study_instance_uid in found
    ]
    best, answers = max(votes, key=lambda vote: vote[0].score)
    score = sum(candidate.score for candidate, _ in votes) / len(votes)
    return _RankedStudy(score=score, best=best, answers=answers)


def _match(rank: int, study: _RankedStudy, stored: SeriesEmbedding) -> Match:
    alike = study.answers.frame_vectors @ stored.frame_vectors.T
    example_index, frame_index = np.unravel_index(int(alike.argmax()), alike.shape)
    return Match(
        rank=rank,
        score=study.score,
        reference=stored.reference,
        attributes=stored.attributes,
        frame=stored.frames[int(frame_index)],
        answers=study.answers.reference,
        example_frame=study.answers.frames[int(example_index)],
        encoder=stored.encoder,
    )


def _why_not(named: str | None, row: SeriesRow) -> str:
    why = f" ({row.reason})" if row.reason else ""
    if row.state in (State.SKIPPED, State.FAILED):
        return f"{named} cannot be asked with: it is {row.state}{why}. {row.detail}".strip()
    return f"{named} is {row.state}{why}: ask again in a moment, or upload it."


def _frames_of(
    embeddings: Iterable[SeriesEmbedding], sop_instance_uid: str, frame_number: int | None
) -> tuple[SeriesEmbedding, ...]:
    narrowed = []
    for embedding in embeddings:
        chosen = [
            index
            for index, frame in enumerate(embedding.frames)
            if frame.sop_instance_uid == sop_instance_uid and frame_number in (None, frame.frame_number)
        ]
        if chosen:
            narrowed.append(embedding.narrowed(chosen))
    return tuple(narrowed[:1])


def _one_a_series(held: Iterable[SeriesEmbedding], serving: LineUp) -> tuple[SeriesEmbedding, ...]:
    """A series that an encoder holds from the time when it took this modality stands there once.

    The encoder that takes it now comes first.
    """
    chosen: dict[str, SeriesEmbedding] = {}
    for embedding in held:
        archive_id = embedding.reference.archive_id
        if serving.route(embedding.attributes.modality) == embedding.encoder or archive_id not in chosen:
            chosen[archive_id] = embedding
    return tuple(chosen.values())


def _of_one_study(embeddings: tuple[SeriesEmbedding, ...]) -> tuple[SeriesEmbedding, ...]:
    """A series UID that two studies share by mistake names the first study, always the same one."""
    first = min((e.reference.study_instance_uid for e in embeddings), default=None)
    return tuple(e for e in embeddings if e.reference.study_instance_uid == first)
