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
from indexer.ports import FetchedInstance, TextEmbedding
from inference.decoders import Decoders
from inference.embedding import Embedded, Pseudonym, refuse_other_series
from inference.outcome import Outcome
from inference.reports import DescribingReport, describing
from inference.sampling import SampledFrame
from inference.text import TextEncoder

MAX_PASSAGES: Final = 32
MOST_ASKED_WITH: Final = 16
"""Reports that one question is asked with; each may cost as many passages."""


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

    def embed_files(self, paths: Sequence[Path]) -> TextEmbedding:
        """Embed the reports that a question is asked with, all together: the mean of their vectors.

        Those that cannot be read, or say nothing of what is seen, are left out beside others; of very many
        the first are taken.

        Raises:
            Rejected: none of them can be used; the reason is the most frequent one.
        """
        outcome = Outcome()
        for place, path in enumerate(paths):
            if len(outcome.vectors) == MOST_ASKED_WITH:
                break
            try:
                report = self._read(path)
                outcome.vectors[place] = (_frame_of(report), self._vector(report))
            except Rejected as refused:
                outcome.refuse(refused, "")
        if not outcome.vectors:
            raise outcome.why_nothing()
        return TextEmbedding(
            self.version, pooled(np.stack([vector for _, vector in outcome.vectors.values()]))
        )

    def _read(self, path: Path) -> DescribingReport:
        return self._decoders.result(self._decoders.submit(describing, path, self._decoders.limits))

    def _take(
        self, fetched: FetchedInstance, place: int, reference: SeriesReference, outcome: Outcome
    ) -> None:
        try:
            report = self._read(fetched.path)
            refuse_other_series(report.identity, reference)
            vector = self._vector(report)
        except Rejected as refused:
            outcome.refuse(refused, fetched.instance.sop_instance_uid)
            return
        outcome.vectors[place] = (_frame_of(report), vector)
        if outcome.attributes is None or place < outcome.attributes[0]:
            outcome.attributes = (place, report.attributes)

    def _vector(self, report: DescribingReport) -> Vector:
        """The mean of its passages' vectors, of unit length."""
        known = [sentence for sentence in report.sentences if self._text.knows(sentence)]
        rows = self._text.encode_all(self._text.passages(known)[:MAX_PASSAGES])
        rows = rows[rows.any(axis=1)]
        if not len(rows):
            raise Unsupported(
                f"The text encoder reads {', '.join(self._text.languages)}, and knows no word of the report.",
                reason="unknown_words",
            )
        return pooled(rows)

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
