"""What kind of acquisition a series is, and how it lies, in a few words of ours.

Words that a person or a device wrote win; where there are none, the physics of the header tells.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from inference import series_words
from inference.header_values import functional_group, number_of, numbers_of, sequence_item, texts_of
from inference.reading import text_of

PROJECTIONS: Final = frozenset({"CR", "DX", "RG", "MG"})
SLICES: Final = frozenset({"MR", "CT", "PT", "NM"})

OBLIQUITY_COSINE: Final = 0.8
"""A slice whose normal is farther than this from every axis is oblique (36.9 degrees).

Source: D. Clunie, PixelMed, ImageOrientation.obliquityThresholdCosineValue.
"""

_ACQUISITION_CONTRAST: Final = {
    "DIFFUSION": "DWI",
    "FLUID_ATTENUATED": "FLAIR",
    "PERFUSION": "PERF",
    "PROTON_DENSITY": "PD",
    "STIR": "STIR",
    "T1": "T1",
    "T2": "T2",
    "T2_STAR": "T2STAR",
    "TOF": "TOF",
}
"""Acquisition Contrast (0008,9209), and value 3 of Image Type in enhanced MR (PS3.3 C.8.13.3.1.1)."""

_IMAGE_TYPES: Final = {
    "LOCALIZER": "LOC",
    "ADC": "ADC",
    "DIFFUSION": "DWI",
    "TRACEW": "DWI",
    "PERFUSION": "PERF",
    "SWI": "T2STAR",
}

_NO_AGENT: Final = frozenset({"NO", "NONE", "NON", "SANS", "0", "N", "NIL", "NA"})

_FRONTAL: Final = frozenset({"AP", "PA", "RLD", "LLD"})
_LATERAL: Final = frozenset({"LL", "RL", "LAT", "LATERAL"})
_MAMMOGRAPHIC: Final = {"CC": "CC", "XCC": "CC", "XCCL": "CC", "XCCM": "CC", "MLO": "MLO"} | dict.fromkeys(
    ("ML", "LM", "LMO"), "LATERAL"
)
_VIEW_CODES: Final = {
    "399348003": "FRONTAL",
    "272479007": "FRONTAL",
    "399033003": "FRONTAL",
    "R-10206": "FRONTAL",
    "R-10214": "FRONTAL",
    "399067008": "LATERAL",
    "399173006": "LATERAL",
    "399198007": "LATERAL",
    "R-10236": "LATERAL",
    "R-10232": "LATERAL",
    "399162004": "CC",
    "R-10242": "CC",
    "399368009": "MLO",
    "R-10226": "MLO",
    "399260004": "LATERAL",
    "R-10224": "LATERAL",
    "399352003": "LATERAL",
    "R-10228": "LATERAL",
}
"""View Code Sequence (0054,0220): PS3.16 CID 4010 and 4014, in SNOMED CT and in the older SRT codes."""


@dataclass(frozen=True, slots=True)
class _Timing:
    """Times in ms, None where unknown; `echo` and `repetition` as an enhanced header may have them."""

    scanning: frozenset[str]
    echo: float | None
    repetition: float | None
    inversion: float | None
    flip_angle: float | None


def sequence_of(header: Dataset, modality: str) -> str:
    """What kind of acquisition of its modality a series is; empty where that is not known.

    Of MR: LOC, ADC, DWI, PERF, BOLD, MRS, TOF, MRA, T2STAR (with susceptibility weighting), STIR, SSFP,
    FLAIR, PD, T2, T1, T1CE. Of CT: LOC, CONTRAST, NONCONTRAST. Of others nothing.
    """
    if modality == "MR":
        return _mr_sequence(header)
    return _ct_sequence(header) if modality == "CT" else ""


def plane_of(header: Dataset, modality: str) -> str:
    """How the first frame of an instance lies; empty where that is not known.

    Of slices AXIAL, CORONAL, SAGITTAL, OBLIQUE; of projections FRONTAL, LATERAL; of mammograms CC, MLO,
    LATERAL.
    """
    if modality == "MG":
        return _mammographic_view(header)
    if modality in PROJECTIONS:
        return _view(header)
    return _slice_plane(header) if modality in SLICES else ""


def _mr_sequence(header: Dataset) -> str:
    written = [_plain(header, "SeriesDescription"), _plain(header, "ProtocolName")]
    found = next(filter(None, map(series_words.mr_sequence, written)), "")
    if found in ("PD", "T2") and any(_names_both(text) for text in written):
        found = _first_or_second_echo(header)
    if not found:
        found = _coded(header) or series_words.mr_sequence(_plain(header, "SequenceName"))
    found = found or _by_physics(_timing(header))
    return "T1CE" if found == "T1" and _is_enhanced(header, written, phases=False) else found


def _names_both(text: str) -> bool:
    return series_words.names(text, "PD") and series_words.names(text, "T2")


def _first_or_second_echo(header: Dataset) -> str:
    echo = _timing(header).echo
    return "" if echo is None else "PD" if echo < 50 else "T2"


def _coded(header: Dataset) -> str:
    """What the header says in terms of the standard, or of a vendor's Image Type."""
    frame_type = functional_group(header, 0, "MRImageFrameTypeSequence")
    contrast = text_of(frame_type, "AcquisitionContrast") or text_of(header, "AcquisitionContrast")
    image_type = texts_of(header, "ImageType")
    is_enhanced = "SharedFunctionalGroupsSequence" in header and len(image_type) > 2
    contrast = contrast or (image_type[2] if is_enhanced else "")
    coded = _ACQUISITION_CONTRAST.get(contrast.upper(), "")
    named = next((_IMAGE_TYPES[value.upper()] for value in image_type if value.upper() in _IMAGE_TYPES), "")
    if named or coded:
        return named or coded
    b_value = number_of(functional_group(header, 0, "MRDiffusionSequence"), "DiffusionBValue")
    return "DWI" if b_value is not None and b_value > 50 else ""


def _timing(header: Dataset) -> _Timing:
    echo = functional_group(header, 0, "MREchoSequence")
    times = functional_group(header, 0, "MRTimingAndRelatedParametersSequence")
    modifier = functional_group(header, 0, "MRModifierSequence")
    inversion = number_of(header, "InversionTime") or next(iter(numbers_of(modifier, "InversionTimes")), None)
    return _Timing(
        scanning=frozenset(texts_of(header, "ScanningSequence")),
        echo=number_of(header, "EchoTime") or number_of(echo, "EffectiveEchoTime"),
        repetition=number_of(times, "RepetitionTime"),
        inversion=inversion or None,
        flip_angle=number_of(times, "FlipAngle"),
    )


def _by_physics(timing: _Timing) -> str:
    """T1, T2, PD, FLAIR, STIR or T2STAR by the times of the sequence, where these are unmistakable.

    Source:
        R. Bitar et al., MR Pulse Sequences: What Every Radiologist Wants to Know but Is Afraid to Ask,
        RadioGraphics, 2006: short and long TR and TE, inversion times that null fat and water.
    """
    echo, repetition, inversion = timing.echo, timing.repetition, timing.inversion
    if echo is None or repetition is None or "EP" in timing.scanning:
        return ""
    if "GR" in timing.scanning:
        return _gradient_echo(echo, repetition, inversion, timing.flip_angle)
    if inversion is not None and ("IR" in timing.scanning or inversion >= 80):
        return _inversion_recovery(echo, repetition, inversion)
    return _spin_echo(echo, repetition) if timing.scanning & {"SE", "RM"} else ""


def _spin_echo(echo: float, repetition: float) -> str:
    if repetition <= 1000:
        return "T1" if echo <= 30 else ""
    if repetition < 1500:
        return ""
    return "T2" if echo >= 60 else "PD" if echo <= 40 else ""


def _gradient_echo(echo: float, repetition: float, inversion: float | None, flip_angle: float | None) -> str:
    if echo >= 15:
        return "T2STAR"
    prepared = inversion is not None and 300 <= inversion <= 1400
    spoiled = flip_angle is not None and flip_angle >= 50 and repetition >= 50
    return "T1" if echo <= 8 and (prepared or spoiled) else ""


def _inversion_recovery(echo: float, repetition: float, inversion: float) -> str:
    if inversion <= 250:
        return "STIR"
    if inversion >= 1500 and echo >= 60 and repetition >= 4000:
        return "FLAIR"
    return "T1" if inversion <= 1200 and echo <= 40 else ""


def _ct_sequence(header: Dataset) -> str:
    written = [_plain(header, "SeriesDescription"), _plain(header, "ProtocolName")]
    image_type = {value.upper() for value in texts_of(header, "ImageType")}
    if "LOCALIZER" in image_type or any(map(series_words.is_localizer, written)):
        return "LOC"
    enhanced = _is_enhanced(header, written, phases=True)
    return "" if enhanced is None else "CONTRAST" if enhanced else "NONCONTRAST"


def _is_enhanced(header: Dataset, written: list[str], *, phases: bool) -> bool | None:
    """Whether a contrast agent was given: by the words, else by Contrast/Bolus Agent; None: not told."""
    for text in written:
        said = series_words.has_contrast(text, phases=phases)
        if said is not None:
            return said
    agent = text_of(header, "ContrastBolusAgent").upper()
    route = text_of(header, "ContrastBolusRoute").upper()
    if not agent or "ORAL" in agent or "ORAL" in route or "RECTAL" in route:
        return None
    return not (agent in _NO_AGENT or series_words.has_contrast(agent.lower(), phases=False) is False)


def _slice_plane(header: Dataset) -> str:
    oriented = functional_group(header, 0, "PlaneOrientationSequence")
    cosines = numbers_of(oriented, "ImageOrientationPatient")
    if len(cosines) == 6:
        normal = np.abs(np.cross(cosines[:3], cosines[3:]))
        if abs(float(np.linalg.norm(normal)) - 1) < 0.05:
            axis = int(normal.argmax())
            return ("SAGITTAL", "CORONAL", "AXIAL")[axis] if normal[axis] >= OBLIQUITY_COSINE else "OBLIQUE"
    written = (_plain(header, "SeriesDescription"), _plain(header, "ProtocolName"))
    return next(filter(None, map(series_words.plane, written)), "")


def _view(header: Dataset) -> str:
    position = text_of(header, "ViewPosition").upper().partition(" ")[0]
    if position in _FRONTAL or position in _LATERAL:
        return "FRONTAL" if position in _FRONTAL else "LATERAL"
    written = (_plain(header, "SeriesDescription"), _plain(header, "ProtocolName"))
    named = next(filter(None, map(series_words.projection, written)), "")
    return _view_by_code(header) or _view_by_orientation(header) or named


def _mammographic_view(header: Dataset) -> str:
    position = _MAMMOGRAPHIC.get(text_of(header, "ViewPosition").upper(), "")
    written = (_plain(header, "SeriesDescription"), _plain(header, "ProtocolName"))
    named = next(filter(None, map(series_words.mammogram, written)), "")
    return position or _view_by_code(header) or named


def _view_by_code(header: Dataset) -> str:
    item = sequence_item(header, "ViewCodeSequence", 0)
    return "" if item is None else _VIEW_CODES.get(text_of(item, "CodeValue"), "")


def _view_by_orientation(header: Dataset) -> str:
    """Rows to the left or right and columns to the feet: frontal (PS3.3 C.7.6.1.1.1)."""
    directions = texts_of(header, "PatientOrientation")
    if len(directions) != 2 or directions[1][0] not in "FH":
        return ""
    return {"L": "FRONTAL", "R": "FRONTAL", "A": "LATERAL", "P": "LATERAL"}.get(directions[0][0], "")


def _plain(header: Dataset, keyword: str) -> str:
    return series_words.plain(text_of(header, keyword))
