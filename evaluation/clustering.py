"""How well clusters found without labels agree with labels that are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

from evaluation.errors import BenchmarkError


@dataclass(frozen=True, slots=True)
class ClusterAgreement:
    """Figures of a clustering.

    Attributes:
        purity: share of the images that bear their cluster's most frequent label, in (0, 1]; grows with the
            number of clusters.
        nmi: normalised mutual information (arithmetic mean), in [0, 1].
        ari: adjusted Rand index, 0 for chance, 1 for the same partition.
        used: clusters that hold an image.
    """

    purity: float
    nmi: float
    ari: float
    used: int


def cluster_agreement(labels: Sequence[str], clusters: NDArray[np.intp]) -> ClusterAgreement:
    """Compare (n,) clusters with n labels.

    Raises:
        BenchmarkError: there is nothing to compare, or not as many labels as clusters.

    Source:
        Manning, Raghavan and Schuetze, "Introduction to Information Retrieval", 2008, section 16.3; Hubert
        and Arabie, "Comparing Partitions", J. Classif. 1985.
    """
    if not len(labels) or len(labels) != len(clusters):
        raise BenchmarkError(f"{len(labels)} labels cannot be compared with {len(clusters)} clusters.")
    names, label = np.unique(np.asarray(labels), return_inverse=True)
    numbers, cluster = np.unique(clusters, return_inverse=True)
    counts = np.zeros((len(numbers), len(names)), dtype=np.int64)
    np.add.at(counts, (cluster, label), 1)
    return ClusterAgreement(
        purity=float(counts.max(1).sum() / counts.sum()),
        nmi=float(normalized_mutual_info_score(label, cluster)),
        ari=float(adjusted_rand_score(label, cluster)),
        used=len(numbers),
    )
