"""The same pictures under another patient's id: a possible same person."""

from __future__ import annotations

from typing import Final

from indexer.domain import SeriesEmbedding

LEAST_FRAME: Final = 0.985
"""The cosine of two frames from which they are taken for the same picture.

Of 5,366 images whose patients are told apart (radiology-small) the nearest image of another patient
reached .984 at most, but for four pairs of two patients at .995 and more, most likely one person entered
twice. The threshold was set on these images. Copies of one image reach it in 82 of 100 when scaled to three
quarters or re-windowed, in 64 when compressed again at JPEG quality 50, in 27 when noisy and in 7 when
cropped. Other pictures of a person seldom reach it: this finds pictures that were entered twice.
"""

LEAST_PAIR: Final = 0.93
"""The late interaction that the two series need besides, so that no two empty end slices are a person.

The nearest series of another patient among 184 MR series reached .928.
"""


def may_be_same_person(frame_cosine: float, pair_score: float) -> bool:
    """Whether two series of different patients hold the same pictures.

    Args:
        frame_cosine: of their nearest two frames.
        pair_score: their late interaction; both in [-1, 1].
    """
    return frame_cosine >= LEAST_FRAME and pair_score >= LEAST_PAIR


def hold_same_pictures(example: SeriesEmbedding, prior: SeriesEmbedding) -> bool:
    """Whether two whole series may be of one person, where they were not what was compared.

    Vectors of two encoders tell nothing.
    """
    if example.encoder != prior.encoder:
        return False
    nearest = (example.frame_vectors @ prior.frame_vectors.T).max(axis=1)
    return may_be_same_person(float(nearest.max()), float(nearest.mean()))
