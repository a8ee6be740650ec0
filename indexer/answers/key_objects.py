"""Key object selections that come with a question, or alone: cases flagged on the workstation.

"Of Interest" and "Best In Set" say more like this, "Rejected for Quality Reasons" and "Quality Issue" less.
Any other title, whether of CID 7010 or not, says neither: of a case that was flagged it takes the flag back.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, TypeVar

import pydicom
from pydicom.dataset import Dataset

from indexer.answers.documents import Enough, Steps, content_items, documents
from indexer.answers.example import Example, ExampleInstance

logger = logging.getLogger(__name__)

Said = TypeVar("Said")
Flag = Literal["more", "less", "none"]
Step = Callable[[], None]
"""Called before whatever a document may hold very many of, as `Steps` is."""

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
    sent = frozenset(one.study_instance_uid for one in example.instances if one.is_image)
    last: dict[tuple[str, str], Flagged] = {}
    together = zip(paths, example.instances, strict=True)
    for one in each_selection(together, partial(_named, sent=sent)):
        whose = one.study_instance_uid, one.series_instance_uid
        last.pop(whose, None)
        last[whose] = one
    return tuple(last.values())[-MOST_FLAGGED:]


def each_selection(
    together: Iterable[tuple[Path, ExampleInstance]], says: Callable[[Dataset, Step], Iterable[Said]]
) -> list[Said]:
    """What the key object selections of others among these files say, the one written first at first.

    Those without Content Date and Time come before the others. What is malformed says nothing and does not
    stop the others; after so many `Steps` of all together the rest is left.

    Args:
        together: the files that were sent, with what each is.
        says: reads one selection, calling the step before whatever a document may hold very many of.
    """
    step, unreadable, found = Steps(), 0, list[tuple[str, list[Said]]]()
    with suppress(Enough):
        for path in documents([path for path, one in together if _is_selection(one)]):
            step()
            try:
                selection = pydicom.dcmread(path)
                found.append((_written(selection), list(says(selection, step))))
            except Enough:
                raise
            except Exception:  # noqa: BLE001 - pydicom's edge; its text may quote the document
                unreadable += 1
    if unreadable:
        logger.warning("key_object_unreadable times=%d", unreadable)
    return [one for _, said in sorted(found, key=lambda one: one[0]) for one in said]


def _is_selection(instance: ExampleInstance) -> bool:
    return instance.sop_class_uid == KEY_OBJECT_SELECTION and not instance.is_own_answer


def _written(selection: Dataset) -> str:
    """Content Date and Time, to be compared."""
    return f"{selection.get('ContentDate') or '':<8.8}{selection.get('ContentTime') or ''}"


def _named(selection: Dataset, step: Step, sent: frozenset[str]) -> Iterator[Flagged]:
    """The series of the evidence that hold an image which the content names, so many at most."""
    title = title_of(selection)
    if title is None:
        return
    flag = TITLES.get(title, "none")
    named, count = images_named(selection, step), 0
    for study in selection.get("CurrentRequestedProcedureEvidenceSequence", []) if named else []:
        study_uid = _uid(study, "StudyInstanceUID")
        for series in study.get("ReferencedSeriesSequence", []):
            step()
            series_uid = _uid(series, "SeriesInstanceUID")
            if "" in (study_uid, series_uid) or study_uid in sent or not _holds(series, named, step):
                continue
            yield Flagged(flag, study_uid, series_uid)
            count += 1
            if count == MOST_FLAGGED:
                return


def _holds(series: Dataset, named: frozenset[str], step: Step) -> bool:
    for instance in series.get("ReferencedSOPSequence", []):
        step()
        if _uid(instance, "ReferencedSOPInstanceUID") in named:
            return True
    return False


def title_of(selection: Dataset) -> str | None:
    """The code of its title in scheme DCM; empty for one of another scheme, None where it has no title."""
    for title in selection.get("ConceptNameCodeSequence", [])[:1]:
        is_of_dicom = str(title.get("CodingSchemeDesignator", "")).strip() == "DCM"
        return str(title.get("CodeValue", "")).strip() if is_of_dicom else ""
    return None


def images_named(selection: Dataset, step: Step) -> frozenset[str]:
    """The SOP Instance UIDs of the images that its content names; `step` is called on the way."""
    items = content_items(selection, step) if "ContentSequence" in selection else iter(())
    named = set()
    for item in items:
        for reference in item.get("ReferencedSOPSequence", []) if item.get("ValueType") == "IMAGE" else []:
            step()
            named.add(_uid(reference, "ReferencedSOPInstanceUID"))
    return frozenset(named - {""})


def _uid(item: Dataset, keyword: str) -> str:
    uid = str(item.get(keyword) or "").strip("\0 ")
    return uid if len(uid) <= 64 and _UID.fullmatch(uid) else ""
