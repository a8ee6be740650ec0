"""What a student shall have of its teacher, by hand."""

from __future__ import annotations

import torch

from training.losses.distillation import cosine_distillation, relational_distillation

TEACHER = torch.tensor([[1.0, 0.0], [0.0, 1.0]])


def test_a_student_that_points_where_its_teacher_does_has_nothing_to_learn() -> None:
    assert cosine_distillation(3 * TEACHER, TEACHER) == 0
    assert relational_distillation(3 * TEACHER, TEACHER) == 0


def test_the_cosine_is_averaged_over_pairs() -> None:
    student = torch.tensor([[2.0, 0.0], [0.0, -1.0]])
    torch.testing.assert_close(cosine_distillation(student, TEACHER), torch.tensor(1.0))


def test_a_student_that_is_turned_as_a_whole_keeps_every_relation() -> None:
    turned = torch.tensor([[0.0, 1.0], [-1.0, 0.0]])
    assert relational_distillation(turned, TEACHER) == 0
    torch.testing.assert_close(
        relational_distillation(torch.tensor([[1.0, 0.0], [1.0, 0.0]]), TEACHER), torch.tensor(0.5)
    )
