"""The report on a hospital's own archive: what an encoder does there, without one label."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from evaluation.archive import NEAR_DUPLICATE, ArchiveFigures, IndexedVectors
from evaluation.consistency import Sample
from evaluation.measurement import CONSISTENCY, Comparison, Measurement, compare
from evaluation.plots import dot_plot, tsne_map
from evaluation.ranking import Labelled
from evaluation.report import Pair, Picture, Report
from indexer.domain import EncoderVersion
from inference.preprocess import Pixels

PLOTTED: Final = 1500
UNKNOWN: Final = "not stated"
_FEWEST_PLOTTED: Final = 20


def archive_sample(indexed: IndexedVectors, places: Sequence[int], frames: Sequence[Pixels]) -> Sample:
    """Frames of the series at these places, to be ranked among the pooled vectors of all."""
    subject = indexed.subject
    none = np.full(len(subject), "", dtype=np.str_)
    return Sample(
        frames=tuple(frames),
        subject=subject[list(places)],
        label=none[list(places)],
        gallery=Labelled(indexed.vector, none, subject),
    )


def archive_report(
    indexed: IndexedVectors,
    figures: ArchiveFigures,
    stability: Sequence[Measurement],
    encoder: EncoderVersion,
    about: Mapping[str, str],
    seed: int = 0,
) -> Report:
    """Put together what was measured; series are named by UID, patients not at all."""
    comparisons = compare((*figures.measured, *stability), {})
    patients = {a.patient for a in indexed.attributes if a.patient is not None}
    unknown = sum(attributes.patient is None for attributes in indexed.attributes)
    return Report(
        title="Retrieval on this archive",
        encoder=encoder.name,
        about={
            **about,
            "Encoder": str(encoder),
            "Series": f"{len(indexed.reference)} of {indexed.total} that are indexed",
            "Patients": f"{len(patients)}; {unknown} series have none that is known",
            "Intervals": "95 % percentile bootstrap over patients, 500 draws, seed 0",
        },
        comparisons=comparisons,
        spread={encoder.name: figures.spread},
        pictures=tuple(_pictures(indexed, comparisons, encoder.name, seed)),
        hubness=figures.hubness,
        pairs=tuple(
            Pair(twins.left.series_instance_uid, twins.right.series_instance_uid, twins.cosine)
            for twins in figures.twins
        ),
        pairs_counted=figures.twins_counted,
        notes=(
            "A series' own patient is never its neighbour; where the patient is not known, its own study is "
            "not.",
            "Labels are the DICOM attributes Modality and Body Part Examined as the headers have them.",
            f"Near-duplicates have a cosine of {NEAR_DUPLICATE} or more.",
        ),
    )


def _pictures(
    indexed: IndexedVectors, comparisons: Sequence[Comparison], encoder: str, seed: int
) -> Iterator[Picture]:
    first = [c for c in comparisons if c.is_headline and c.family != CONSISTENCY]
    if first:
        text = "A bar is the 95 % interval over patients, a stroke is chance."
        yield Picture("figures", "Figures with intervals", text, dot_plot(first, encoder))
    if len(indexed.reference) < _FEWEST_PLOTTED:
        return
    some = sorted(np.random.default_rng(seed).permutation(len(indexed.reference))[:PLOTTED].tolist())
    for name, column in (
        ("modality", [a.modality for a in indexed.attributes]),
        ("body part examined", [a.body_part_examined for a in indexed.attributes]),
    ):
        label = np.array([value or UNKNOWN for value in column])
        text = "t-SNE of series: near is alike; the sizes of groups and the gaps between them mean nothing."
        png = tsne_map(indexed.vector[some], label[some], seed)
        yield Picture(f"map-{name.replace(' ', '-')}", f"Map of the archive by {name}", text, png)
