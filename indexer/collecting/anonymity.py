"""What may leave without a name: images, as far as they do not say that a name stands in their pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from indexer.elements import read_elements
from indexer.errors import Rejected

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1"
IMAGE_STORAGE: Final = frozenset(
    f"{_STORAGE}.{leaf}"
    for leaf in (
        *("1", "1.1", "1.1.1", "1.2", "1.2.1", "1.3", "1.3.1"),  # projection radiography, mammography
        *("2", "2.1", "2.2", "4", "4.1", "4.3", "4.4"),  # CT, MR
        *("3", "3.1", "5", "6", "6.1", "6.2"),  # ultrasound, the retired classes among them
        *("7", "7.1", "7.2", "7.3", "7.4"),  # secondary capture
        *("12.1", "12.1.1", "12.2", "12.2.1", "12.3", "13.1.1", "13.1.2", "13.1.3", "13.1.4", "13.1.5"),
        *("14.1", "14.2", "20", "128", "128.1", "130", "481.1"),  # IVOCT, nuclear medicine, PET, RT Image
        *("77.1.1", "77.1.1.1", "77.1.2", "77.1.2.1", "77.1.3", "77.1.4", "77.1.4.1", "77.1.6", "77.1.7"),
        *("77.1.5.1", "77.1.5.2", "77.1.5.4", "77.1.5.5", "77.1.5.6", "77.1.5.7", "77.1.5.8"),
    )
)
"""The SOP classes of images (PS3.4 B.5). Documents, reports, presentation states, key object selections,
waveforms, segmentations and what is yet to come carry text that no profile looks through."""

BURNED_IN_ANNOTATION: Final = 0x00280301


def says_that_it_names(path: Path) -> bool:
    """Whether (0028,0301) Burned In Annotation is YES, or cannot be looked for.

    Source:
        DICOM PS3.3 C.7.6.1.
    """
    try:
        with path.open("rb") as file:
            elements = read_elements(file, [BURNED_IN_ANNOTATION])
    except (OSError, Rejected):
        return True
    return elements is None or elements.get(BURNED_IN_ANNOTATION, b"").upper() == b"YES"
