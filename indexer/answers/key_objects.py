"""Key object selections that come with a question, or alone: cases flagged on the workstation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from indexer.answers.example import Example

Flag = Literal["more", "less"]


@dataclass(frozen=True, slots=True)
class Flagged:
    """A series that a key object selection names, by its UIDs as the workstation knows them."""

    flag: Flag
    study_instance_uid: str
    series_instance_uid: str


def flagged_in(example: Example, paths: Sequence[Path]) -> tuple[Flagged, ...]:
    """What the key object selections among these files flag, each series once, the last word counting.

    Args:
        example: the instances that were sent.
        paths: their files, in the same order.

    Source:
        DICOM PS3.3 A.35.4, PS3.16 TID 2010 and CID 7010.
    """
    raise NotImplementedError
