"""Images of a cluster joined with the sentences of their study that speak of the cluster's organ."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from training.errors import TrainingError
from training.pairs.assignment import Occurrence
from training.pairs.examinations import private_folder, study_of, write_labels
from training.pairs.tagging import Tagger, tagged_sentences

PAIRS_NAME: Final = "pairs.csv"

Tagged = Mapping[str, Mapping[str, Sequence[str]]]
"""Sentences by study and organ."""


@dataclass(frozen=True, slots=True)
class ImageSentence:
    """One pair; `sentence` is text of a patient's report, `patient` a keyed hash."""

    image: str
    sentence: str
    organ: str
    study: str
    patient: str


def tagged_studies(examinations: Benchmark, tagger: Tagger) -> dict[str, dict[str, tuple[str, ...]]]:
    """The sentences of each study by organ.

    Raises:
        TrainingError: no image has a report, or no report speaks of an organ.
    """
    reports = {study_of(image): image.report for image in examinations.images if image.report}
    if not reports:
        raise TrainingError(f"No image of {examinations.folder} has a report: nothing can be paired.")
    tagged = {study: tagged_sentences(report, tagger) for study, report in reports.items()}
    if not any(tagged.values()):
        raise TrainingError(
            f"None of {len(reports)} reports speaks of an organ that is known: extend the lexicon, or look "
            "at the language of the reports."
        )
    return tagged


def occurrence_of(examinations: Benchmark, clusters: NDArray[np.intp], k: int, tagged: Tagged) -> Occurrence:
    """Which clusters and which organs occur in each study; `clusters` is (n,), of each image."""
    shown: dict[str, set[int]] = defaultdict(set)
    for image, cluster in zip(examinations.images, clusters, strict=True):
        shown[study_of(image)].add(int(cluster))
    studies = [study for study in sorted(shown) if study in tagged]
    return Occurrence.of([shown[study] for study in studies], [tagged[study].keys() for study in studies], k)


def pairs_of(
    examinations: Benchmark, clusters: NDArray[np.intp], assignment: Mapping[int, str], tagged: Tagged
) -> tuple[ImageSentence, ...]:
    """Every image with every sentence of its study that speaks of its cluster's organ.

    Args:
        examinations: n images.
        clusters: (n,) the cluster of each.
        assignment: organ by cluster.
        tagged: sentences by study and organ.

    Raises:
        TrainingError: there is not one pair.
    """
    pairs = tuple(
        ImageSentence(image.image, sentence, organ, study_of(image), image.subject)
        for image, cluster in zip(examinations.images, clusters, strict=True)
        if (organ := assignment.get(int(cluster)))
        for sentence in tagged.get(study_of(image), {}).get(organ, ())
    )
    if not pairs:
        raise TrainingError("No image goes with a sentence: look at the clusters and their organs.")
    return pairs


def write_pairs(folder: Path, examinations: Benchmark, pairs: Sequence[ImageSentence]) -> Benchmark:
    """Write pairs.csv, and a benchmark's folder that `cbir train image-text` learns from.

    Each image that has a pair is a row of labels.csv: its sentences, joined, are the caption, its organ the
    finding. Images are links to those of the examinations. Both tables hold text of reports.
    """
    private_folder(folder)
    path = folder / PAIRS_NAME
    path.touch(mode=0o600)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([column.name for column in fields(ImageSentence)])
        writer.writerows(astuple(pair) for pair in pairs)
    own: dict[str, list[ImageSentence]] = defaultdict(list)
    for pair in pairs:
        own[pair.image].append(pair)
    rows = [
        replace(image, caption=" ".join(pair.sentence for pair in own[image.image]), mask="",
                finding=own[image.image][0].organ)
        for image in examinations.images
        if image.image in own
    ]  # fmt: skip
    for row in rows:
        _link(folder / row.image, examinations.folder / row.image)
    write_labels(folder, rows)
    return Benchmark.open(folder)


def _link(link: Path, image: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    link.unlink(missing_ok=True)
    link.symlink_to(image.resolve())
