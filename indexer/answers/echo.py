"""A study that comes back with our own answer in it: asked about again, it would come back for ever.

A workstation that forwards every changed study to us would, with each answer filed in that study, send us
the study again. So a study whose every image is named by a fresh answer of ours that came with it is an
echo, unless cases were flagged since. Later the same study is a question like any other; to another of our
AE titles it is one at once: each asks in its own way, so an answer says in Station Name (0008,1010) which
one it is from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.uid import SecondaryCaptureImageStorage

from indexer.answers.example import Example
from indexer.elements import DEFLATED, TRANSFER_SYNTAX_UID, read_elements

FRESH: Final = timedelta(minutes=10)
LARGEST_BYTES: Final = 2**20
"""Of an answer that is looked into: far more than any of ours has before its pixels."""
_REFERENCED_SERIES: Final = 0x00081115


def is_echo(
    example: Example,
    paths: Sequence[Path],
    now: datetime,
    called: str = "",
    since: datetime | None = None,
) -> bool:
    """Whether only our answers came, or images that a fresh one among them has already answered.

    Args:
        example: the instances.
        paths: their files, in the same order.
        now: local time.
        called: our AE title that they were sent to; empty for the first.
        since: local time; an answer that was written before is out of date.
    """
    answers = [
        path for path, instance in zip(paths, example.instances, strict=True) if instance.is_own_answer
    ]
    others = {i.sop_instance_uid for i in example.instances if not i.is_own_answer}
    since = (since or datetime.min).replace(microsecond=0)
    return not others or any(others <= set(_answered(path, now, called, since)) for path in answers)


def tell_who_answers(documents: Sequence[Dataset], called: str) -> None:
    """Write our AE title that was called into its answer; the first, an empty one, is not written."""
    if called:
        for document in documents:
            document.StationName = called


def _answered(path: Path, now: datetime, called: str, since: datetime) -> Iterator[str]:
    """The instances that a fresh answer of that title rests on; none of what cannot be read."""
    try:
        if not _may_be_built(path):
            return
        answer = _head_of(path)
        written = datetime.strptime(f"{answer.ContentDate}{answer.ContentTime}"[:14], "%Y%m%d%H%M%S")
        is_fresh = written >= since and abs(now - written) <= FRESH
        if is_fresh and str(answer.get("StationName") or "") == called:
            yield from _evidence(answer)
    except Exception:  # noqa: BLE001 - pydicom's edge; an unreadable answer answers nothing
        return


def _may_be_built(path: Path) -> bool:
    """Whether pydicom may build it: anybody can call a file our answer, and ours are never deflated."""
    with path.open("rb") as file:
        syntax = (read_elements(file, [TRANSFER_SYNTAX_UID]) or {}).get(TRANSFER_SYNTAX_UID)
    return syntax != DEFLATED


def _head_of(path: Path) -> Dataset:
    """What stands before the pixels; of a file that says more than ours ever do, nothing."""
    with path.open("rb") as file:
        head = BytesIO(file.read(LARGEST_BYTES))
    answer = read_partial(head, lambda tag, *_: tag > _REFERENCED_SERIES)
    if answer.SOPClassUID == SecondaryCaptureImageStorage:
        return answer
    if path.stat().st_size > LARGEST_BYTES:
        raise ValueError("a report of this size is none of ours")
    return pydicom.dcmread(path)


def _evidence(answer: Dataset) -> Iterator[str]:
    for series in answer.get("ReferencedSeriesSequence", []):
        for reference in series.get("ReferencedInstanceSequence", []):
            yield str(reference.ReferencedSOPInstanceUID)
    for study in answer.get("CurrentRequestedProcedureEvidenceSequence", []):
        for series in study.get("ReferencedSeriesSequence", []):
            for reference in series.get("ReferencedSOPSequence", []):
                yield str(reference.ReferencedSOPInstanceUID)
