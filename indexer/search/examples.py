"""The example's vectors: read from the index where it is archived, made where it is new."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from indexer.domain import SeriesEmbedding, SeriesReference
from indexer.errors import EncoderUnavailable, NotFound, NotIndexed, Rejected
from indexer.ledger import Ledger, SeriesRow, State
from indexer.line_up import LineUp, LineUps
from indexer.ports import Access, Archive, Caller, Encoder, VectorIndex
from indexer.search.question import ExampleReference


@dataclass(frozen=True, slots=True)
class Examples:
    """Finds what is asked with, as far as the caller may see it."""

    ledger: Ledger
    archive: Archive
    encoder: Encoder
    index: VectorIndex
    access: Access

    def read(
        self, example: ExampleReference | tuple[Path, ...], caller: Caller, line_ups: LineUps
    ) -> tuple[SeriesEmbedding, ...]:
        """The embeddings of the example, one a series, all of one study.

        A worker that has not seen a switch yet, or has seen it first, uses the line-up beside.

        Raises:
            NotFound: the example is unknown, or the caller may not see it.
            NotIndexed: the example is known but has no vectors (yet).
            Rejected: the DICOM given holds nothing that can be embedded.
            Unavailable: a neighbour did not answer.
        """
        if isinstance(example, ExampleReference):
            found = self._indexed(example, caller, line_ups.serving)
        else:
            found = tuple(replace(sent, extent="sent") for sent in self.encoder.embed(example))
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
            for embedding in self.index.embeddings_of(
                version,
                study_instance_uid=example.study_instance_uid,
                series_instance_uid=example.series_instance_uid,
                sop_instance_uid=example.sop_instance_uid,
            )
        ]
        found = _one_a_series(held, serving)
        visible = self.access.visible(caller, [embedding.reference for embedding in found])
        shown = _images_of(e for e in found if e.reference.archive_id in visible)
        if example.sop_instance_uid is not None:
            narrowed = _frames_of(shown, example.sop_instance_uid, example.frame_number)
            return narrowed or self._embedded_now(example, caller, serving)
        if not shown:
            self._explain_absence(example, caller)
        return _of_one_study(shown)

    def _embedded_now(
        self, example: ExampleReference, caller: Caller, serving: LineUp
    ) -> tuple[SeriesEmbedding, ...]:
        """An instance that the archive holds but whose frames were not among those sampled.

        Or one whose series is not indexed yet: of that one it may be all.
        """
        sop_instance_uid = example.sop_instance_uid or ""
        instance = self.archive.find_instance(sop_instance_uid)
        series = SeriesReference("", "", instance.series_archive_id)
        if not self.access.visible(caller, [series]):
            raise NotFound(f"There is no instance {sop_instance_uid}.")
        with tempfile.TemporaryDirectory(prefix="cbir-example-") as folder:
            fetched = [f.path for f in self.archive.fetch([instance], Path(folder))]
            if not fetched:
                raise NotFound(f"Instance {sop_instance_uid} is no longer in the archive.")
            found = self.encoder.embed(fetched, example.frame_number)
        is_part = (example.frame_number is not None and instance.number_of_frames > 1) or any(
            self.index.indexed(version, [series.archive_id]) for version in serving.versions
        )
        return tuple(replace(one, extent="part" if is_part else "sent") for one in found)

    def _explain_absence(self, example: ExampleReference, caller: Caller) -> NoReturn:
        """Say the state of what the caller may see; what she may not see is unknown to her."""
        named = example.study_instance_uid or example.series_instance_uid
        rows = self.ledger.find(
            study_instance_uid=example.study_instance_uid, series_instance_uid=example.series_instance_uid
        )
        references = [
            SeriesReference(row.study_instance_uid, row.series_instance_uid, row.archive_id) for row in rows
        ]
        visible = self.access.visible(caller, references)
        for row in rows:
            if row.archive_id in visible:
                raise NotIndexed(_why_not(named, row), state=row.state, reason=row.reason or None)
        raise NotFound(f"Nothing is known of {named}: check the UID, or wait until it is indexed.")


def _images_of(shown: Iterable[SeriesEmbedding]) -> tuple[SeriesEmbedding, ...]:
    """Those of images. Raises Rejected where there are only reports: words are asked with as words."""
    every = tuple(shown)
    images = tuple(embedding for embedding in every if embedding.attributes.kind == "image")
    if every and not images:
        raise Rejected("That is a report: ask with images of its study, or with a text.", reason="report")
    return images


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
