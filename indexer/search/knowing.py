"""What an encoder knows: directions that stand for the images it was made for, and some for none."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from indexer.domain import SeriesEmbedding, Vector


def _nothing() -> Vector:
    return np.zeros((0, 0), dtype=np.float32)


@dataclass(frozen=True, slots=True)
class Known:
    """What an encoder knows: unit rows float32 (k, d) that stand for what it was trained and tested on.

    Attributes:
        prototypes: the middles of groups of images that it was made for.
        least: a frame that is known less than this, by `known_by`, is an outsider.
        close: the score from which two series count as alike where nothing is known of an archive.
        outside: unit rows (m, d) of what is no image of anything: noise. Empty where there are none.

    Source:
        Ming et al., "Delving into Out-of-Distribution Detection with Vision-Language Representations",
        NeurIPS 2022 (the best cosine with a concept's prototype as the score); Hendrycks et al., "Deep
        Anomaly Detection with Outlier Exposure", ICLR 2019 (examples of the outside beside those of the
        inside).
    """

    prototypes: Vector
    least: float
    close: float = 1.0
    outside: Vector = field(default_factory=_nothing)

    def known_by(self, frame_vectors: Vector) -> Vector:
        """How well each frame is known.

        The best cosine with a prototype; less by as much as the frame is nearer to the outside.

        Args:
            frame_vectors: float32 (n, d), unit rows.

        Returns:
            float32 (n,), at most 1.
        """
        inside = (frame_vectors @ self.prototypes.T).max(axis=1)
        return np.asarray(inside - np.maximum(0.0, self._outside(frame_vectors) - inside), dtype=np.float32)

    def is_outsider(self, series: SeriesEmbedding) -> bool:
        """Whether more than half of a series' frames are outsiders."""
        return float(np.median(self.known_by(series.frame_vectors))) < self.least

    def close_to(self, series: SeriesEmbedding) -> float:
        """The score from which another series is close to it: nearer than unlike ones are, and than noise."""
        return max(self.close, float(np.median(self._outside(series.frame_vectors))))

    def _outside(self, frame_vectors: Vector) -> Vector:
        if not self.outside.size:
            return np.full(len(frame_vectors), -1.0, dtype=np.float32)
        return np.asarray((frame_vectors @ self.outside.T).max(axis=1), dtype=np.float32)
