"""What a file says of its frames before they are shown in somebody else's study: a name may stand in them."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial

from indexer.domain import Region
from indexer.elements import DEFLATED, TRANSFER_SYNTAX_UID, read_elements
from indexer.errors import Rejected

_LAST: Final = 0x00282110
_WANTED: Final = (0x00080016, 0x00186011, 0x00280010, 0x00280011, 0x00280301, _LAST)
"""SOP Class UID, Ultrasound Regions, Rows, Columns, Burned In Annotation, Lossy Image Compression."""
_LOSSY_SYNTAXES: Final = frozenset(
    f"1.2.840.10008.1.2.4.{leaf}" for leaf in ("50", "51", "81", "91", "93", "203", "205")
)
HEAD_BYTES: Final = 2**18
"""Of a file: more than any header has up to (0028,2110), and little where it is a hostile one."""
_MOST_REGIONS: Final = 32

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1"
ULTRASOUND: Final = frozenset(f"{_STORAGE}.{leaf}" for leaf in ("3", "3.1", "6", "6.1"))
OFTEN_WITH_NAMES: Final = ULTRASOUND | {
    f"{_STORAGE}.{leaf}" for leaf in ("7", "7.1", "7.2", "7.3", "7.4", "77.1.1", "77.1.1.1")
}
"""Ultrasound, Secondary Capture and endoscopy: devices that write the patient into the picture."""
WHOLE: Final = (Region(0.0, 0.0, 1.0, 1.0),)


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What may be shown of the frames of one file to readers of another patient's study.

    Attributes:
        rows: of a frame.
        columns: of a frame.
        is_lossy: it was compressed with loss at some time.
        parts: the parts of a frame in which no name stands: all of it, the ultrasound regions, or none.
    """

    rows: int
    columns: int
    is_lossy: bool
    parts: tuple[Region, ...]


def disclosure_of(path: Path) -> Disclosure:
    """Read it from a DICOM file.

    (0028,0301) Burned In Annotation is believed. Where it is missing, frames of kinds that often carry the
    patient's name are shown as far as ultrasound regions say where the picture proper is, and not otherwise.

    Raises:
        Rejected: this is no DICOM that can be read, or it has no rows and columns.

    Source:
        DICOM PS3.3 C.7.6.1 (Burned In Annotation), C.8.5.5 (US Region Calibration).
    """
    with path.open("rb") as file:
        syntax = (read_elements(file, [TRANSFER_SYNTAX_UID]) or {}).get(TRANSFER_SYNTAX_UID, b"")
        file.seek(0)
        head = file.read(HEAD_BYTES)
    if syntax == DEFLATED:
        raise Rejected("A deflated file is not looked into.", reason="unreadable")
    try:
        header = read_partial(BytesIO(head), lambda tag, *_: tag > _LAST, specific_tags=list(_WANTED))
        rows, columns = int(header.Rows), int(header.Columns)
        return Disclosure(
            rows=rows,
            columns=columns,
            is_lossy=header.get("LossyImageCompression") == "01" or syntax.decode() in _LOSSY_SYNTAXES,
            parts=_parts(header, rows, columns),
        )
    except Exception as error:  # pydicom's edge: what it cannot read is not shown
        raise Rejected("The header cannot be read.", reason="unreadable") from error


def _parts(header: Dataset, rows: int, columns: int) -> tuple[Region, ...]:
    burned_in, sop_class = header.get("BurnedInAnnotation"), header.get("SOPClassUID")
    if burned_in == "NO" or (burned_in != "YES" and sop_class not in OFTEN_WITH_NAMES):
        return WHOLE
    if sop_class not in ULTRASOUND:
        return ()
    corners = [
        (
            int(item.RegionLocationMinX0),
            int(item.RegionLocationMinY0),
            int(item.RegionLocationMaxX1),
            int(item.RegionLocationMaxY1),
        )
        for item in list(header.get("SequenceOfUltrasoundRegions", []))[:_MOST_REGIONS]
    ]
    return tuple(
        Region(left / columns, top / rows, (right - left) / columns, (bottom - top) / rows)
        for left, top, right, bottom in corners
        if 0 <= left < right <= columns and 0 <= top < bottom <= rows
    )
