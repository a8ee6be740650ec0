"""The images that a run learns from, kept beside its configuration, so that no fold is measured on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from training.errors import TrainingError

LEARNED_FROM_NAME: Final = "learned_from.json"


class LearnedFrom(BaseModel):
    """What a run saw, in the order in which it was given.

    Attributes:
        images: names, as in labels.csv.
        fold: that was held out; None where there are no folds.
        folds: how many there were.
        earlier: names of what the run that it started from had seen; None where that is not known.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    images: tuple[str, ...]
    fold: int | None = None
    folds: int | None = None
    earlier: tuple[str, ...] | None = ()

    @property
    def seen(self) -> tuple[str, ...] | None:
        """The names of everything that the weights have been learned from; None where it is not known."""
        return None if self.earlier is None else (*self.images, *self.earlier)

    def keep(self, folder: Path, *, begun: bool) -> None:
        """Write it into a run's folder, or see that it is what stands there.

        Args:
            folder: of the run.
            begun: whether something was learned there already.

        Raises:
            TrainingError: the run learned from other images, or does not say from which.
        """
        file = folder / LEARNED_FROM_NAME
        if file.exists():
            if _read(file) != self:
                raise TrainingError(
                    f"{folder} holds a run that learned from other images, or from another fold of them: "
                    "take another folder, or delete it."
                )
            return
        if begun:
            raise TrainingError(
                f"{folder} holds a run that does not say which images it learned from: take another folder, "
                "or delete it."
            )
        beside = file.with_suffix(".part")
        beside.write_text(self.model_dump_json() + "\n", encoding="utf-8")
        beside.replace(file)


def seen_by(start: Path | None) -> tuple[str, ...] | None:
    """What the run in a folder, and those before it, learned from: nothing for a file; None: not known.

    Raises:
        TrainingError: the run's own list cannot be read.
    """
    if start is None or not start.is_dir():
        return ()
    file = start / LEARNED_FROM_NAME
    return _read(file).seen if file.exists() else None


def refuse_seen(
    start: Path | None, images: Sequence[str], groups: NDArray[np.intp], held_out: NDArray[np.intp]
) -> None:
    """See that the run which a fold starts from learned from none of the groups that are held out.

    Args:
        start: the run's folder; a file of weights, or None, has seen none of our images.
        images: (n,) names.
        groups: (n,) a group number an image.
        held_out: places of what is held out.

    Raises:
        TrainingError: it learned from some, or does not say what it learned from.
    """
    seen = seen_by(start)
    if seen is None:
        raise TrainingError(
            f"{start} does not say which images it learned from, so nothing can be held out of it: learn it "
            "again, or start from a file of weights."
        )
    names = set(seen)
    learned = {int(group) for name, group in zip(images, groups, strict=True) if name in names}
    shared = [images[place] for place in held_out if int(groups[place]) in learned]
    if shared:
        raise TrainingError(
            f"{start} learned from subjects of {len(shared)} images that are held out, first {shared[0]}: "
            "start from a run that did not see them."
        )


def _read(file: Path) -> LearnedFrom:
    try:
        return LearnedFrom.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        raise TrainingError(
            f"{file} is no list of images: take another folder, or delete this one."
        ) from error
