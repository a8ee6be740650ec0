"""Other cases found by an image, by a text, and by both together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evaluation.ranking import Labelled, Names, retrieval_by_label, unit_vectors
from indexer.domain import Vector

VISUAL: Final = "visual"
TEXTUAL: Final = "textual"
BOTH: Final = "visual + textual"
CUTOFFS: Final = (1, 5, 10)


@dataclass(frozen=True, slots=True)
class CaseQueries:
    """Queries of images with a text, against a gallery of images of other subjects.

    Attributes:
        image_vector: float32 (n, d), of a joint space.
        text_vector: float32 (n, d), of the text that goes with each image: never its label.
        label: (n,) what makes another image relevant.
        subject: (n,).
    """

    image_vector: Vector
    text_vector: Vector
    label: Names
    subject: Names

    def measure(self, text_share: float = 0.5) -> Mapping[str, Mapping[str, NDArray[np.float64]]]:
        """Per query P@k, mAP@k, R@k and chance, of each kind of query.

        A query of both is the sum of the two unit vectors, weighted by `text_share` and the rest. The
        gallery holds the images alone, as an archive that was indexed without reports does.

        Raises:
            BenchmarkError: a query has no image of another subject.

        Source:
            Late fusion by a weighted sum of scores: Fox and Shaw, "Combination of Multiple Searches",
            TREC-2, 1994 (CombSUM); of unit vectors it is the same ranking.
        """
        images, texts = unit_vectors(self.image_vector), unit_vectors(self.text_vector)
        gallery = Labelled(images, self.label, self.subject)
        both = unit_vectors((1.0 - text_share) * images + text_share * texts)
        queries = {VISUAL: images, TEXTUAL: texts, BOTH: both}
        return {
            kind: retrieval_by_label(Labelled(vectors, self.label, self.subject), gallery, CUTOFFS)
            for kind, vectors in queries.items()
        }
