"""From examinations with reports to image-sentence pairs: clusters, tagged sentences, and their joining."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from evaluation.benchmark import Benchmark
from training.fit import RunFolder
from training.images import read_images
from training.methods.clusters import ClusterSettings, learn_clusters
from training.pairs.assignment import learned_assignment, read_assignment, write_assignment
from training.pairs.examinations import private_folder
from training.pairs.pairing import ImageSentence, occurrence_of, pairs_of, tagged_studies, write_pairs
from training.pairs.tagging import Tagger

CLUSTERS: Final = "clusters"
ASSIGNMENT_NAME: Final = "assignment.csv"
_PICTURED: Final = 16
_SIDE: Final = 96


@dataclass(frozen=True, slots=True)
class MinedPairs:
    """What came of a mining.

    Attributes:
        folder: the pairs as a benchmark.
        pairs: image, sentence, organ.
        clusters: (n,) the cluster of each image of the examinations.
        assignment: organ by cluster.
    """

    folder: Benchmark
    pairs: tuple[ImageSentence, ...]
    clusters: NDArray[np.intp]
    assignment: Mapping[int, str]


def mine_pairs(
    examinations: Benchmark,
    tagger: Tagger,
    settings: ClusterSettings,
    out: Path,
    *,
    by_hand: Path | None = None,
    shared: bool = False,
) -> MinedPairs:
    """Cluster the images, tag the reports and write the pairs; a mining that was cut off goes on.

    The folder `out` gets pairs.csv and labels.csv (both hold text of reports), assignment.csv, the run of the
    clusters and a picture of each, by which a person can tell its organ.

    Args:
        examinations: images with reports; see `training.pairs.examinations`.
        tagger: finds organs in sentences.
        settings: of the clusters.
        out: a folder that only its user can read from now on.
        by_hand: a CSV file cluster,organ; None learns the assignment.
        shared: several clusters may show one organ.

    Raises:
        TrainingError: too few images, no reports, no organ spoken of, or no assignment can be learned.
    """
    private_folder(out)
    tagged = tagged_studies(examinations, tagger)
    images = read_images(examinations, settings.side)
    names = [image.image for image in examinations.images]
    chances = learn_clusters(images, settings, RunFolder(out / CLUSTERS), names)
    clusters = np.asarray(chances.argmax(1), dtype=np.intp)
    _picture_clusters(examinations, chances, out / CLUSTERS)
    if by_hand is None:
        occurrence = occurrence_of(examinations, clusters, settings.clusters, tagged)
        assignment = learned_assignment(occurrence, shared=shared)
    else:
        assignment = read_assignment(by_hand, settings.clusters)
    write_assignment(out / ASSIGNMENT_NAME, assignment, settings.clusters)
    pairs = pairs_of(examinations, clusters, assignment, tagged)
    return MinedPairs(write_pairs(out, examinations, pairs), pairs, clusters, assignment)


def _picture_clusters(examinations: Benchmark, chances: NDArray[np.float32], folder: Path) -> None:
    """cluster-NN.png: the images that are surest of each cluster, in rows of four."""
    for cluster in range(chances.shape[1]):
        own = np.flatnonzero(chances.argmax(1) == cluster)
        surest = own[np.argsort(-chances[own, cluster], kind="stable")][:_PICTURED]
        if not len(surest):
            continue
        tiles = [_tile(examinations, int(index)) for index in surest]
        columns = math.isqrt(_PICTURED)
        tiles += [np.zeros((_SIDE, _SIDE), np.uint8)] * (-len(tiles) % columns)
        rows = [np.hstack(tiles[start : start + columns]) for start in range(0, len(tiles), columns)]
        cv2.imwrite(str(folder / f"cluster-{cluster:02d}.png"), np.vstack(rows))


def _tile(examinations: Benchmark, index: int) -> NDArray[np.uint8]:
    pixels = examinations.pixels(index)
    grey = pixels if pixels.ndim == 2 else pixels.mean(axis=2)
    resized = cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(np.rint(resized * 255), dtype=np.uint8)
