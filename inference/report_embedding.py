"""Reports as vectors: what they tell of what is seen, embedded beside the images of their study."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import numpy as np

from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import Rejected, Unsupported
from indexer.ports import MOST_REPORTS, FetchedInstance, TextEmbedding
from inference.decoders import Decoders
from inference.embedding import Embedded, Pseudonym, refuse_other_series
from inference.outcome import Outcome
from inference.reports import DescribingReport, describing
from inference.sampling import SampledFrame
from inference.text import TextEncoder

MAX_PASSAGES: Final = 32
MOST_ASKED_WITH: Final = 16
"""Reports that one question is asked with; each may cost as many passages."""


def read_reports(paths: Sequence[Path], decoders: Decoders) -> tuple[DescribingReport, ...]:
    """The reports among files that a question is asked with; those that cannot be used are left out.

    Of very many the first are taken, and no more than `MOST_REPORTS` are looked at.

    Raises:
        Rejected: none of them can be read, or says what is seen; the reason is the most frequent one.
    """
    outcome, read = Outcome(), list[DescribingReport]()
    for path in paths[:MOST_REPORTS]:
        if len(read) == MOST_ASKED_WITH:
            break
        try:
            read.append(decoders.result(decoders.submit(describing, path, decoders.limits)))
        except Rejected as refused:
            outcome.refuse(refused, "")
    if not read:
        raise outcome.why_nothing()
    return tuple(read)


class ReportEmbedder:
    """Turns the reports of one series into its embedding: one vector a report. Thread-safe.

    The text is read in a decoder process, embedded and forgotten: it is neither kept nor logged.
    """

    def __init__(self, text: TextEncoder, decoders: Decoders, pseudonym: Pseudonym) -> None:
        """Join a text tower and decoders; `pseudonym` as `SeriesEmbedder` has it."""
        self._text = text
        self._decoders = decoders
        self._pseudonym = pseudonym

    @property
    def version(self) -> EncoderVersion:
        """The encoder among whose vectors the reports stand."""
        return self._text.version

    def embed_series(
        self,
        reference: SeriesReference,
        sampled: Sequence[SampledFrame],
        fetched: Iterable[FetchedInstance],
    ) -> Embedded:
        """Embed the reports of one series; each is one frame, its first.

        Raises:
            Unsupported: none of them says what is seen, or is a report at all.
            Rejected: none can be read; the reason is the most frequent one.
        """
        order = {frame.instance.archive_id: place for place, frame in enumerate(sampled)}
        outcome = Outcome()
        for instance in fetched:
            place = order.pop(instance.instance.archive_id, None)
            if place is not None:
                self._take(instance, place, reference, outcome)
        for place in order.values():
            gone = Rejected("The report was gone when it was fetched.", reason="not_fetched")
            outcome.refuse(gone, sampled[place].instance.sop_instance_uid)
        if not outcome.vectors or outcome.attributes is None:
            raise outcome.why_nothing()
        return Embedded(self._embedding(reference, outcome), tuple(outcome.skipped))

    def embed_together(self, reports: Sequence[DescribingReport]) -> TextEmbedding:
        """Embed the reports that a question is asked with: the mean of their vectors.

        Raises:
            Unsupported: no word of any of them is known (unknown_words).
        """
        vectors = [vector for report in reports if (vector := self._known(report)) is not None]
        if not vectors:
            raise self._unknown_words()
        owners = [(report.attributes.issuer, report.attributes.patient_id) for report in reports]
        patients = {self._pseudonym(*owner) for owner in owners}
        return TextEmbedding(
            self.version,
            pooled(np.stack(vectors)),
            studies=tuple(sorted({report.identity.study_instance_uid for report in reports})),
            patients=tuple(sorted(one for one in patients if one)),
            reports=len(vectors),
        )

    def _take(
        self, fetched: FetchedInstance, place: int, reference: SeriesReference, outcome: Outcome
    ) -> None:
        try:
            call = self._decoders.submit(describing, fetched.path, self._decoders.limits)
            report = self._decoders.result(call)
            refuse_other_series(report.identity, reference)
            vector = self._vector(report)
        except Rejected as refused:
            outcome.refuse(refused, fetched.instance.sop_instance_uid)
            return
        outcome.vectors[place] = (_frame_of(report), vector)
        if outcome.attributes is None or place < outcome.attributes[0]:
            outcome.attributes = (place, report.attributes)

    def _vector(self, report: DescribingReport) -> Vector:
        vector = self._known(report)
        if vector is None:
            raise self._unknown_words()
        return vector

    def _known(self, report: DescribingReport) -> Vector | None:
        """The mean of its passages' vectors, of unit length; None where no word of it is known."""
        known = [sentence for sentence in report.sentences if self._text.knows(sentence)]
        rows = self._text.encode_all(self._text.passages(known)[:MAX_PASSAGES])
        rows = rows[rows.any(axis=1)]
        return pooled(rows) if len(rows) else None

    def _unknown_words(self) -> Unsupported:
        return Unsupported(
            f"The text encoder reads {', '.join(self._text.languages)}, and knows no word of the report.",
            reason="unknown_words",
        )

    def _embedding(self, reference: SeriesReference, outcome: Outcome) -> SeriesEmbedding:
        assert outcome.attributes is not None  # noqa: S101 - the caller has looked
        attributes = outcome.attributes[1]
        in_order = [outcome.vectors[place] for place in sorted(outcome.vectors)]
        frame_vectors = np.stack([vector for _, vector in in_order])
        return SeriesEmbedding(
            reference=reference,
            attributes=SeriesAttributes(
                modality=attributes.modality,
                body_part_examined=attributes.body_part_examined,
                study_date=attributes.study_date,
                patient=self._pseudonym(attributes.issuer, attributes.patient_id),
                kind="report",
            ),
            encoder=self.version,
            frames=tuple(frame for frame, _ in in_order),
            vector=pooled(frame_vectors),
            frame_vectors=frame_vectors,
        )


def _frame_of(report: DescribingReport) -> FrameReference:
    """A report is one frame, its first."""
    return FrameReference(report.identity.sop_class_uid, report.identity.sop_instance_uid, 1)
