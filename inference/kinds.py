"""Which instances are clinical images, and what the others are: a reason for each kind."""

from __future__ import annotations

from typing import Final

from indexer.answers.identity import is_own_answer

"""Manufacturer (0008,0070) of everything this system writes; such instances are never indexed."""

_STORAGE: Final = "1.2.840.10008.5.1.4.1.1."

_REASONS: Final = {
    "1.2.840.10008.1.3.10": "directory",
    "1.2.840.10008.5.1.4.38.1": "not_an_image",
    "1.2.840.10008.5.1.4.39.1": "color_palette",
    "1.2.840.10008.5.1.4.43.1": "not_an_image",
    "1.2.840.10008.5.1.4.44.1": "not_an_image",
    "1.2.840.10008.5.1.4.45.1": "not_an_image",
    _STORAGE + "4.2": "spectroscopy",
    _STORAGE + "30": "parametric_map",
    _STORAGE + "66": "raw_data",
    _STORAGE + "66.1": "registration",
    _STORAGE + "66.2": "fiducials",
    _STORAGE + "66.3": "registration",
    _STORAGE + "66.4": "segmentation",
    _STORAGE + "66.5": "segmentation",
    _STORAGE + "66.6": "tractography",
    _STORAGE + "66.7": "segmentation",
    _STORAGE + "66.8": "segmentation",
    _STORAGE + "67": "real_world_value_mapping",
    _STORAGE + "68.1": "surface_scan",
    _STORAGE + "68.2": "surface_scan",
    _STORAGE + "77.1.5.3": "stereometric_relationship",
    _STORAGE + "79.1": "measurements",
    _STORAGE + "88.59": "key_objects",
    _STORAGE + "90.1": "assessment",
    _STORAGE + "91.1": "annotations",
    _STORAGE + "481.1": "rt_image",
    _STORAGE + "481.2": "dose_grid",
    _STORAGE + "481.3": "structure_set",
    _STORAGE + "481.4": "treatment_record",
    _STORAGE + "481.5": "treatment_plan",
    _STORAGE + "481.6": "treatment_record",
    _STORAGE + "481.7": "treatment_record",
    _STORAGE + "481.8": "treatment_plan",
    _STORAGE + "481.9": "treatment_record",
}

_FAMILIES: Final = (
    (_STORAGE + "9.", "waveform"),
    (_STORAGE + "11.", "presentation_state"),
    (_STORAGE + "78.", "measurements"),
    (_STORAGE + "80.", "measurements"),
    (_STORAGE + "88.", "report"),
    (_STORAGE + "104.", "encapsulated_document"),
    (_STORAGE + "200.", "protocol"),
    (_STORAGE + "201.", "protocol"),
    (_STORAGE + "481.", "radiotherapy"),
)

_VIDEO: Final = (
    "1.2.840.10008.1.2.4.100",
    "1.2.840.10008.1.2.4.101",
    "1.2.840.10008.1.2.4.102",
    "1.2.840.10008.1.2.4.103",
    "1.2.840.10008.1.2.4.104",
    "1.2.840.10008.1.2.4.105",
    "1.2.840.10008.1.2.4.106",
    "1.2.840.10008.1.2.4.107",
    "1.2.840.10008.1.2.4.108",
)


def no_image_reason(sop_class_uid: str, manufacturer: str, transfer_syntax_uid: str) -> str | None:
    """Why this instance is not a clinical image, in one word; None when it may be one.

    Source:
        DICOM PS3.4 B.5 (storage SOP classes), PS3.6 A (UIDs).
    """
    if is_own_answer(manufacturer):
        return "own_answer"
    if sop_class_uid in _REASONS:
        return _REASONS[sop_class_uid]
    for prefix, reason in _FAMILIES:
        if sop_class_uid.startswith(prefix):
            return reason
    if transfer_syntax_uid.startswith(_VIDEO):
        return "video"
    return None
