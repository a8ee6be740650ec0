"""Which cluster shows which organ is learned from what occurs together, or read from a table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.errors import TrainingError
from training.pairs.assignment import (
    Occurrence,
    association,
    learned_assignment,
    read_assignment,
    write_assignment,
)

ORGANS = ("bladder", "kidney", "liver", "spleen")


def occurrence(studies: int = 60, noise: float = 0.1) -> Occurrence:
    """Cluster n shows organ n; a share of the studies shows or speaks of another one."""
    rng = np.random.default_rng(1)
    shown = rng.random((studies, len(ORGANS))) < 0.5
    flipped = rng.random(shown.shape) < noise
    return Occurrence(shown, ORGANS, shown ^ flipped)


def test_clusters_get_the_organs_that_occur_with_them() -> None:
    assert learned_assignment(occurrence()) == dict(enumerate(ORGANS))


def test_an_organ_that_every_report_speaks_of_tells_nothing() -> None:
    given = occurrence()
    always = Occurrence(
        given.clusters, ("abdomen", *ORGANS), np.c_[np.ones(len(given.spoken), bool), given.spoken]
    )
    assert np.abs(association(always)[:, 0]).max() < 1e-9
    assert "abdomen" not in learned_assignment(always).values()


def test_two_clusters_may_share_an_organ_only_when_allowed() -> None:
    given = occurrence()
    doubled = Occurrence(np.c_[given.clusters, given.clusters[:, 2]], ORGANS, given.spoken)
    shared = learned_assignment(doubled, shared=True)
    assert (shared[2], shared[4]) == ("liver", "liver")
    assert sorted(learned_assignment(doubled).values()) == sorted(ORGANS)


def test_what_never_occurs_together_is_no_association() -> None:
    given = occurrence(noise=0.0)
    assert (association(Occurrence(given.clusters, ORGANS, ~given.clusters)).diagonal() < 0).all()


def test_nothing_to_learn_from_is_said() -> None:
    nothing = Occurrence.of([{0}, {1}], [set(), set()], 2)
    with pytest.raises(TrainingError, match="No report speaks"):
        learned_assignment(nothing)
    always = Occurrence.of([{0, 1}] * 9, [{"liver", "kidney"}] * 9, 2)
    with pytest.raises(TrainingError, match="name their organs"):
        learned_assignment(always)


def test_an_assignment_by_hand_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "assignment.csv"
    write_assignment(path, {0: "liver", 2: "kidney"}, 3)
    assert read_assignment(path, 3) == {0: "liver", 2: "kidney"}
    with pytest.raises(TrainingError, match="names the cluster"):
        read_assignment(path, 1)


@pytest.mark.parametrize("text", ["number,organ\n1,liver\n", "cluster,organ\none,liver\n"])
def test_an_assignment_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "assignment.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError):
        read_assignment(path, 3)
