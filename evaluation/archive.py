"""What can be said of an encoder on a hospital's own archive, where nobody has labelled anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from evaluation.collapse import Spread, spread_of
from evaluation.errors import BenchmarkError
from evaluation.hubness import Hubness, hubness_of
from evaluation.identity import identify
from evaluation.measurement import IDENTITY, LABELS, Measurement, measurements
from evaluation.ranking import Labelled, Names, retrieval_by_label, unit_vectors
from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
)
from indexer.ports import VectorIndex

FEWEST_SERIES: Final = 10
MOST_SERIES: Final = 5000
NEAR_DUPLICATE: Final = 0.999
PAIRS_NAMED: Final = 50
_CHUNK: Final = 256


@dataclass(frozen=True, slots=True)
class IndexedVectors:
    """A sample of an archive: (n,) references and attributes, (n, d) pooled unit vectors.

    `frame` is the middle one of those that stand for each series; `total` counts the whole archive.
    """

    reference: tuple[SeriesReference, ...]
    attributes: tuple[SeriesAttributes, ...]
    frame: tuple[FrameReference, ...]
    vector: Vector
    total: int

    @property
    def subject(self) -> Names:
        """(n,) the patient's pseudonym; the study where the patient is not known."""
        pairs = zip(self.attributes, self.reference, strict=True)
        return np.array([a.patient or f"study {r.study_instance_uid}" for a, r in pairs])


@dataclass(frozen=True, slots=True)
class Twins:
    """Two series of different patients with nearly one vector: one patient with two ids, or a copy."""

    left: SeriesReference
    right: SeriesReference
    cosine: float


@dataclass(frozen=True, slots=True)
class ArchiveFigures:
    """The label-free figures of an encoder on an archive; `twins` are the nearest first."""

    measured: tuple[Measurement, ...]
    spread: Spread
    hubness: Hubness
    twins: tuple[Twins, ...]
    twins_counted: int


def sample_index(
    index: VectorIndex, encoder: EncoderVersion, most: int = MOST_SERIES, seed: int = 0
) -> IndexedVectors:
    """Read the pooled vectors of at most `most` series, chosen at random, the same ones each time.

    Reports among them are left out.

    Raises:
        BenchmarkError: fewer than 10 series of images are indexed.
        VectorIndexUnavailable: the index does not answer.
    """
    every = sorted(index.archive_ids(encoder))
    if len(every) < FEWEST_SERIES:
        raise BenchmarkError(
            f"{len(every)} series are indexed with {encoder}: at least {FEWEST_SERIES} are needed. "
            "See `cbir status`."
        )
    chosen = sorted(np.random.default_rng(seed).permutation(len(every))[:most].tolist())
    found = [
        (e.reference, e.attributes, e.frames[len(e.frames) // 2], e.vector)
        for start in range(0, len(chosen), _CHUNK)
        for e in _embeddings(index, encoder, [every[i] for i in chosen[start : start + _CHUNK]])
        if e.attributes.kind == "image"
    ]
    if len(found) < FEWEST_SERIES:
        raise BenchmarkError(f"Of the series sampled only {len(found)} are of images: sample more of them.")
    found.sort(key=lambda one: one[0].archive_id)
    reference, attributes, frame, vector = zip(*found, strict=True)
    return IndexedVectors(reference, attributes, frame, unit_vectors(np.stack(vector)), len(every))


def measure_archive(indexed: IndexedVectors) -> ArchiveFigures:
    """All that needs no label: agreement by DICOM attributes, re-identification, spread, hubs, twins."""
    twins, counted = _twins(indexed)
    return ArchiveFigures(
        measured=(*_agreement(indexed), *_identity(indexed)),
        spread=spread_of(indexed.vector),
        hubness=hubness_of(indexed.vector, indexed.subject),
        twins=twins,
        twins_counted=counted,
    )


def _embeddings(
    index: VectorIndex, encoder: EncoderVersion, archive_ids: Sequence[str]
) -> Iterable[SeriesEmbedding]:
    """A chunk; what is left of it but the pooled vectors need not be kept."""
    return index.embeddings_by_id(encoder, archive_ids).values()


def _agreement(indexed: IndexedVectors) -> Iterator[Measurement]:
    """Whether the neighbours are of the query's modality and body part, as the headers say."""
    labels = {
        "modality": [a.modality for a in indexed.attributes],
        "body part examined": [a.body_part_examined for a in indexed.attributes],
        "modality and body part": [
            f"{a.modality} {a.body_part_examined}" if a.modality and a.body_part_examined else ""
            for a in indexed.attributes
        ],
    }
    for name, column in labels.items():
        label = np.array(column)
        known = np.flatnonzero(label != "")
        subject = indexed.subject[known]
        if len(known) < FEWEST_SERIES or len(set(label[known])) < 2 or len(set(subject)) < 2:
            continue
        labelled = Labelled(indexed.vector[known], label[known], subject)
        values = retrieval_by_label(labelled, labelled)
        yield from measurements(LABELS, f"archive {name}", values, tuple(subject.tolist()))


def _identity(indexed: IndexedVectors) -> Iterator[Measurement]:
    """Whether the nearest series of another study is of the same patient."""
    known = [i for i, attributes in enumerate(indexed.attributes) if attributes.patient is not None]
    patient = np.array([indexed.attributes[i].patient for i in known], dtype=np.str_)
    study = np.array([indexed.reference[i].study_instance_uid for i in known], dtype=np.str_)
    try:
        found = identify(indexed.vector[known], patient, study)
    except BenchmarkError:
        return
    who = tuple(patient[found.query].tolist())
    task = "archive same patient, other study"
    yield Measurement(IDENTITY, task, "P@1", found.precision_at_1, who, float(found.chance.mean()))
    at_r = float(found.chance_at_r.mean())
    yield Measurement(IDENTITY, task, "mAP@R", found.average_precision_at_r, who, at_r)


def _twins(indexed: IndexedVectors) -> tuple[tuple[Twins, ...], int]:
    subject, pairs = indexed.subject, list[Twins]()
    for start in range(0, len(subject), _CHUNK):
        cosine = indexed.vector[start : start + _CHUNK] @ indexed.vector.T
        other = subject[start : start + _CHUNK, None] != subject[None]
        for row, column in zip(*np.nonzero((cosine >= NEAR_DUPLICATE) & other), strict=True):
            if start + row < column:
                left, right = indexed.reference[start + row], indexed.reference[column]
                pairs.append(Twins(left, right, float(cosine[row, column])))
    pairs.sort(key=lambda pair: -pair.cosine)
    return tuple(pairs[:PAIRS_NAMED]), len(pairs)
