"""Key object selections that come with a question, or alone: cases flagged on the workstation.

"Of Interest" and "Best In Set" say more like this, "Rejected for Quality Reasons" and "Quality Issue" less.
Any other title, whether of CID 7010 or not, says neither: of a case that was flagged it takes the flag back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

import pydicom
from pydicom.dataset import Dataset

from indexer.answers.documents import MOST_STEPS, Enough, content_items, documents
from indexer.answers.example import Example, ExampleInstance

logger = logging.getLogger(__name__)

Flag = Literal["more", "less", "none"]

KEY_OBJECT_SELECTION: Final = "1.2.840.10008.5.1.4.1.1.88.59"
TITLES: Final[dict[str, Flag]] = {
    "113000": "more",  # Of Interest
    "113013": "more",  # Best In Set
    "113001": "less",  # Rejected for Quality Reasons
    "113010": "less",  # Quality Issue
}
NO_CASE_FLAGGED: Final = (
    "The key object that was sent flags no case: give it the title Of Interest (more like this) or Rejected "
    "for Quality Reasons (less like this), and choose an image of a case that a recent answer to this "
    "workstation listed. To ask about a study, send its images."
)
"""Why selections alone are no question."""
MOST_FLAGGED: Final = 100
"""Series of all the selections of a question together."""

_UID: Final = re.compile(r"[0-9]+(?:\.[0-9]+)+")


@dataclass(frozen=True, slots=True)
class Flagged:
    """A series that a key object selection names, by its UIDs as the workstation knows them.

    `flag` is "none" where the title says neither more nor less.
    """

    flag: Flag
    study_instance_uid: str
    series_instance_uid: str


def flagged_in(example: Example, paths: Sequence[Path]) -> tuple[Flagged, ...]:
    """What the key object selections among these files say of series, each once, the last word counting.

    Of several selections the one that says to be written later has the last word. Images that come along
    are the question itself: a selection of theirs, as an archive forwards it with its study, is no flag.

    Args:
        example: the instances that were sent.
        paths: their files, in the same order.

    Returns:
        At most `MOST_FLAGGED`, those of the last word last.

    Source:
        DICOM PS3.3 A.35.4, C.17.6.2 (evidence), PS3.16 TID 2010 and CID 7010.
    """
    together = list(zip(paths, example.instances, strict=True))
    looking = _Looking(sent=frozenset(i.study_instance_uid for _, i in together if i.is_image))
    with suppress(Enough):
        for path in documents(path for path, i in together if _may_flag(i)):
            looking.into(path)
    if looking.unreadable:
        logger.warning("key_object_unreadable times=%d", looking.unreadable)
    return looking.flagged()


def _may_flag(instance: ExampleInstance) -> bool:
    return instance.sop_class_uid == KEY_OBJECT_SELECTION and not instance.is_own_answer


@dataclass(slots=True)
class _Looking:
    """The walk through all selections: what each flags with when it was written, and what it may cost yet."""

    sent: frozenset[str]
    steps_left: int = MOST_STEPS
    unreadable: int = 0
    found: list[tuple[str, tuple[Flagged, ...]]] = field(default_factory=list)

    def step(self) -> None:
        self.steps_left -= 1
        if self.steps_left < 0:
            raise Enough

    def into(self, path: Path) -> None:
        """One selection: what is malformed flags nothing and does not stop the others."""
        self.step()
        try:
            selection = pydicom.dcmread(path)
            flag = _flag(selection)
            if flag is not None:
                self.found.append((_written(selection), tuple(self._named(selection, flag))))
        except Enough:
            raise
        except Exception:  # noqa: BLE001 - pydicom's edge; its text may quote the document
            self.unreadable += 1

    def flagged(self) -> tuple[Flagged, ...]:
        last: dict[tuple[str, str], Flagged] = {}
        for _, series in sorted(self.found, key=lambda one: one[0]):
            for one in series:
                whose = one.study_instance_uid, one.series_instance_uid
                last.pop(whose, None)
                last[whose] = one
        return tuple(last.values())[-MOST_FLAGGED:]

    def _named(self, selection: Dataset, flag: Flag) -> Iterator[Flagged]:
        """The series of the evidence that hold an image which the content names, so many at most."""
        named = self._images(selection)
        count = 0
        for study in selection.get("CurrentRequestedProcedureEvidenceSequence", []) if named else []:
            study_uid = _uid(study, "StudyInstanceUID")
            for series in study.get("ReferencedSeriesSequence", []):
                self.step()
                flagged = Flagged(flag, study_uid, _uid(series, "SeriesInstanceUID"))
                if "" in (flagged.study_instance_uid, flagged.series_instance_uid) or study_uid in self.sent:
                    continue
                if self._holds(series, named):
                    yield flagged
                    count += 1
                    if count == MOST_FLAGGED:
                        return

    def _images(self, selection: Dataset) -> frozenset[str]:
        items = content_items(selection, self.step) if "ContentSequence" in selection else iter(())
        named = set()
        for item in items:
            for reference in (
                item.get("ReferencedSOPSequence", []) if item.get("ValueType") == "IMAGE" else []
            ):
                self.step()
                named.add(_uid(reference, "ReferencedSOPInstanceUID"))
        return frozenset(named - {""})

    def _holds(self, series: Dataset, named: frozenset[str]) -> bool:
        for instance in series.get("ReferencedSOPSequence", []):
            self.step()
            if _uid(instance, "ReferencedSOPInstanceUID") in named:
                return True
        return False


def _flag(selection: Dataset) -> Flag | None:
    """What its title says; None where it has no title."""
    for title in selection.get("ConceptNameCodeSequence", [])[:1]:
        if str(title.get("CodingSchemeDesignator", "")).strip() == "DCM":
            return TITLES.get(str(title.get("CodeValue", "")).strip(), "none")
        return "none"
    return None


def _written(selection: Dataset) -> str:
    """Content Date and Time, to be compared; a selection without them was written before the others."""
    return f"{selection.get('ContentDate') or '':<8.8}{selection.get('ContentTime') or ''}"


def _uid(item: Dataset, keyword: str) -> str:
    uid = str(item.get(keyword) or "").strip("\0 ")
    return uid if len(uid) <= 64 and _UID.fullmatch(uid) else ""
