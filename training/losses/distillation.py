"""A student's vectors shall be the teacher's, and lie to each other as the teacher's do."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def cosine_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """One minus the cosine of each pair, averaged.

    Args:
        student: (n, d).
        teacher: (n, d), rows of length one.
    """
    return (1.0 - (functional.normalize(student, dim=1) * teacher).sum(1)).mean()


def relational_distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the two matrices of cosines, (n, n) each.

    Args:
        student: (n, d).
        teacher: (n, e), rows of length one; the two spaces need not have one dimension.

    Source:
        Tung and Mori, "Similarity-Preserving Knowledge Distillation", ICCV 2019, eq. 4, on cosines;
        Park et al., "Relational Knowledge Distillation", CVPR 2019.
    """
    unit = functional.normalize(student, dim=1)
    return (unit @ unit.T - teacher @ teacher.T).square().mean()
