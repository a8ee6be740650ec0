"""What an encoder knows: directions of the images it was made for, and the limits that tell outsiders."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from sklearn.cluster import KMeans

from evaluation.benchmark import Benchmark, LabelledImage
from evaluation.embedding import Embed, embed_images
from evaluation.errors import BenchmarkError
from evaluation.known_split import PARTS, is_held_out, is_radiology
from evaluation.outsiders import EXEMPLARY, noise
from indexer.domain import Vector
from indexer.search.knowing import Known
from inference.card import CARD_NAME, KNOWN_NAME, KnownImages, load_card, sha256_of
from inference.encoder import unit_rows
from inference.known import load_known
from training.errors import TrainingError

NOISE_SEED: Final = 17
NOISE_A_KIND: Final = 12
PAIRS: Final = 60_000


@dataclass(frozen=True, slots=True)
class KnownSettings:
    """How the directions and the limits are made.

    Attributes:
        directions: how many stand for the images that the encoder was made for.
        false_refusals: the share of held-out images that may lie below `least`.
        unlike: the share of pairs of another modality or body part that may lie above `close`.
        seed: of the clusters and of the pairs.
    """

    directions: int = 128
    false_refusals: float = 0.01
    unlike: float = 0.01
    seed: int = 0


def make_known(benchmark: Benchmark, embed: Embed, settings: KnownSettings) -> Known:
    """Directions and limits from the images of radiology that may be shipped.

    The directions are the centres of spherical k-means over four fifths of the subjects; `least` is the
    quantile of what the other fifth is known by; `close` is reached by few pairs of unlike images. A few
    vectors of noise stand for the outside.

    Args:
        benchmark: its permissive images of radiology are used, and no others.
        embed: the encoder.
        settings: how many, and how strict.

    Raises:
        BenchmarkError: there are too few such images.

    Source:
        Dhillon and Modha, "Concept Decompositions for Large Sparse Text Data Using Clustering", Machine
        Learning 2001 (spherical k-means; here k-means of unit rows, whose centres are brought to unit
        length).
    """
    usable = benchmark.where(lambda image: image.is_permissive and is_radiology(image))
    vectors = embed_images(usable, embed).vector
    seen = vectors.any(axis=1)
    held_out = np.array([is_held_out(image) for image in usable.images])
    inside, tested = vectors[seen & ~held_out], vectors[seen & held_out]
    if len(inside) <= settings.directions or not len(tested):
        raise BenchmarkError(
            f"{len(inside)} images to learn {settings.directions} directions from and {len(tested)} to test "
            "them on are too few: take fewer directions, or more subjects."
        )
    centres = KMeans(settings.directions, n_init=3, random_state=settings.seed).fit(inside).cluster_centers_
    outside = embed([frame for _, frame in noise(EXEMPLARY, NOISE_A_KIND, NOISE_SEED)])
    close = float(np.quantile(_unlike(vectors, usable.images, settings.seed), 1 - settings.unlike))
    draft = Known(_stored(centres), least=-1.0, close=close, outside=_stored(outside[outside.any(axis=1)]))
    least = float(np.quantile(draft.known_by(tested), settings.false_refusals))
    return Known(draft.prototypes, least=round(least, 4), close=round(close, 4), outside=draft.outside)


def write_known(folder: Path, known: Known, made_from: str) -> KnownImages:
    """Put known.npy into an encoder's folder and name it in its card; what vectors are called stays.

    Raises:
        EncoderError: the folder is no encoder's.
        TrainingError: the directions are of another dimension.
    """
    card = load_card(folder)
    if known.prototypes.shape[1] != card.dimension:
        raise TrainingError(
            f"The directions are not of {folder}: they have other dimensions than its vectors."
        )
    rows = np.concatenate([known.prototypes, known.outside.reshape(-1, card.dimension)])
    beside = folder / f"{KNOWN_NAME}.part"
    with beside.open("wb") as file:
        np.save(file, rows.astype(np.float16), allow_pickle=False)
    part = KnownImages(
        sha256=sha256_of(beside),
        least=known.least,
        close=known.close,
        outside=len(known.outside),
        made_from=made_from,
    )
    beside.replace(folder / KNOWN_NAME)
    written = card.model_copy(update={"known": part})
    (folder / CARD_NAME).write_text(
        written.model_dump_json(indent=2, exclude_none=True) + "\n", encoding="utf-8"
    )
    load_known(folder, written)
    return part


def described(benchmark: Benchmark, settings: KnownSettings) -> str:
    """What the directions were made from, in words for the card."""
    usable = [image for image in benchmark.images if image.is_permissive and is_radiology(image)]
    tested = sum(is_held_out(image) for image in usable)
    names = sorted({image.dataset for image in usable})
    return (
        f"{len(usable) - tested} permissive images of {', '.join(names)}; least: of {tested} images of "
        f"held-out subjects (1 in {PARTS}, by a hash) {settings.false_refusals:.0%} lie below it; close: "
        f"{settings.unlike:.0%} of the pairs of another modality or body part lie above it; outside: noise."
    )


def _unlike(vectors: Vector, images: Sequence[LabelledImage], seed: int) -> Vector:
    kinds = np.array([f"{image.modality}|{image.body_part}" for image in images])
    left, right = np.random.default_rng(seed).integers(0, len(vectors), (2, PAIRS))
    apart = kinds[left] != kinds[right]
    if not apart.any():
        raise BenchmarkError("All images are of one modality and body part: nothing tells what unlike is.")
    return np.asarray((vectors[left[apart]] * vectors[right[apart]]).sum(axis=1))


def _stored(rows: Vector) -> Vector:
    """Unit rows as they come back from the file: the limits must hold for those."""
    return unit_rows(unit_rows(np.asarray(rows, np.float32)).astype(np.float16).astype(np.float32))
