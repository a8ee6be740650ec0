"""A synthetic index: clustered unit vectors, several series a study, several studies a patient."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
)

SERIES_A_STUDY: Final = 3
SEQUENCES: Final = ("T1", "T2", "FLAIR")
STUDIES_A_PATIENT: Final = 2
MODALITIES: Final = ("CT", "CT", "CT", "MR", "MR", "DX", "DX", "DX", "US", "MG")
BODY_PARTS: Final = ("CHEST", "ABDOMEN", "HEAD", "KNEE")
LATENT: Final = 48
SERIES_A_CLUSTER: Final = 200
CHUNK: Final = 1000
STUDY_SPREAD: Final = 0.6
FRAME_SPREAD: Final = 0.35
MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"


@dataclass(frozen=True, slots=True)
class SyntheticIndex:
    """What is stored: the same seed gives the same series.

    Each modality has its clusters; a study leans from the middle of one, its series and their frames
    from the study. All of it lies in a latent space of 48 dimensions, as real embeddings do in few.
    """

    series: int
    frames: int
    encoder: EncoderVersion
    seed: int = 5

    @property
    def studies(self) -> int:
        """How many studies they are."""
        return -(-self.series // SERIES_A_STUDY)

    def chunks(self) -> Iterator[list[SeriesEmbedding]]:
        """Every series, in pieces of a thousand."""
        rng = np.random.default_rng(self.seed)
        basis = rng.normal(size=(LATENT, self.encoder.dimension)).astype(np.float32)
        clusters = rng.normal(size=(max(self.series // SERIES_A_CLUSTER, 4), LATENT)).astype(np.float32)
        for start in range(0, self.series, CHUNK):
            yield self._chunk(start, min(start + CHUNK, self.series), basis, clusters)

    def _chunk(self, start: int, stop: int, basis: Vector, clusters: Vector) -> list[SeriesEmbedding]:
        numbers = np.arange(start, stop)
        rng = np.random.default_rng([self.seed, start])
        latent = np.stack([self._study_latent(int(study), clusters) for study in numbers // SERIES_A_STUDY])
        latent += 0.5 * FRAME_SPREAD * rng.normal(size=latent.shape)
        framed = latent[:, None, :] + FRAME_SPREAD * rng.normal(size=(len(numbers), self.frames, LATENT))
        vectors = _unit(framed.astype(np.float32) @ basis)
        pooled = _unit(vectors.mean(axis=1))
        return [self._series(int(n), pooled[i], vectors[i]) for i, n in enumerate(numbers)]

    def _study_latent(self, study: int, clusters: Vector) -> NDArray[np.float64]:
        rng = np.random.default_rng([self.seed, 1, study])
        return np.asarray(clusters[rng.integers(len(clusters))] + STUDY_SPREAD * rng.normal(size=LATENT))

    def _series(self, number: int, pooled: Vector, frames: Vector) -> SeriesEmbedding:
        study = number // SERIES_A_STUDY
        study_uid, series_uid = f"1.2.3.{study}", f"1.2.3.{study}.{number}"
        return SeriesEmbedding(
            reference=SeriesReference(study_uid, series_uid, f"{study_uid}/{series_uid}"),
            attributes=SeriesAttributes(
                modality=MODALITIES[study * 7 % len(MODALITIES)],
                body_part_examined=BODY_PARTS[study % len(BODY_PARTS)],
                study_date=date(2010, 1, 1) + timedelta(days=study % 5000),
                patient=f"bench:patient-{study // STUDIES_A_PATIENT}",
                sequence=SEQUENCES[number % SERIES_A_STUDY],
                plane="AXIAL",
            ),
            encoder=self.encoder,
            frames=tuple(FrameReference(MR_IMAGE, f"{series_uid}.{n}", 1) for n in range(1, self.frames + 1)),
            vector=pooled,
            frame_vectors=frames,
        )


def _unit(vectors: Vector) -> Vector:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), dtype=np.float32)
