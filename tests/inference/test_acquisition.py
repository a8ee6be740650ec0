"""What kind of acquisition a series is, and how it lies: by words, by physics, of real headers."""

from __future__ import annotations

import os
from pathlib import Path

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from inference.acquisition import plane_of, sequence_of
from inference.attributes import attributes_of
from inference.reading import tolerant

WILD = Path(os.environ.get("CBIR_TEST_DATA", "")) / "wild"


def header(**elements: object) -> Dataset:
    dataset = Dataset()
    with tolerant():
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("written", "sequence"),
    [
        ("AX T1 SE", "T1"),
        ("t1_mprage_sag_p2_iso", "T1"),
        ("SAG T1 FLAIR", "T1"),
        ("MP-RAGE post op", "T1"),
        ("IRM cérébrale T1 sans injection", "T1"),
        ("T1 C-", "T1"),
        ("AX T1 SE GADO", "T1CE"),
        ("T1 avec contraste", "T1CE"),
        ("eT1W_SE +C", "T1CE"),
        ("T1W w/Gd (fat suppressed)", "T1CE"),
        ("COR T1 FS POST", "T1CE"),
        ("C-Spine T2 sag", "T2"),
        ("sT2W_FLAIR", "FLAIR"),
        ("t2_tse_dark-fluid_tra", "FLAIR"),
        ("Sag T2 STIR", "STIR"),
        ("AX T2 EG", "T2STAR"),
        ("T2*", "T2STAR"),
        ("swi_images", "T2STAR"),
        ("DP FS SAG", "PD"),
        ("ep2d_diff_trace", "DWI"),
        ("diffusion b1000", "DWI"),
        ("ep2d_diff_b1000_ADC", "ADC"),
        ("TOF 3D Willis", "TOF"),
        ("Repérage 3 plans", "LOC"),
        ("T1/T2 map", ""),
        ("Somebody^Else", ""),
    ],
)
def test_the_words_of_a_description_name_the_sequence(written: str, sequence: str) -> None:
    assert sequence_of(header(SeriesDescription=written), "MR") == sequence


def test_words_win_over_physics_and_the_protocol_is_read_where_the_description_says_nothing() -> None:
    long_times = {"ScanningSequence": "SE", "EchoTime": 90, "RepetitionTime": 4000}
    assert sequence_of(header(SeriesDescription="T1", **long_times), "MR") == "T1"
    assert sequence_of(header(SeriesDescription="series 4", ProtocolName="T1", **long_times), "MR") == "T1"
    assert sequence_of(header(SeriesDescription="series 4", **long_times), "MR") == "T2"


@pytest.mark.parametrize(
    ("physics", "sequence"),
    [
        ({"ScanningSequence": "SE", "EchoTime": 12, "RepetitionTime": 500}, "T1"),
        ({"ScanningSequence": "SE", "EchoTime": 100, "RepetitionTime": 4000}, "T2"),
        ({"ScanningSequence": "SE", "EchoTime": 20, "RepetitionTime": 3000}, "PD"),
        ({"ScanningSequence": "SE", "EchoTime": 50, "RepetitionTime": 1200}, ""),
        (
            {
                "ScanningSequence": ["SE", "IR"],
                "EchoTime": 120,
                "RepetitionTime": 9000,
                "InversionTime": 2500,
            },
            "FLAIR",
        ),
        ({"ScanningSequence": "IR", "EchoTime": 60, "RepetitionTime": 4000, "InversionTime": 160}, "STIR"),
        (
            {"ScanningSequence": ["GR", "IR"], "EchoTime": 3, "RepetitionTime": 2300, "InversionTime": 900},
            "T1",
        ),
        ({"ScanningSequence": "GR", "EchoTime": 20, "RepetitionTime": 600, "FlipAngle": 20}, "T2STAR"),
        ({"ScanningSequence": ["EP", "SE"], "EchoTime": 90, "RepetitionTime": 5000}, ""),
        ({"EchoTime": 12}, ""),
    ],
)
def test_without_words_the_times_of_the_sequence_tell(physics: dict[str, object], sequence: str) -> None:
    assert sequence_of(header(**physics), "MR") == sequence


def test_a_contrast_agent_makes_a_t1_enhanced_unless_words_deny_it() -> None:
    assert sequence_of(header(SeriesDescription="T1", ContrastBolusAgent="DOTAREM 10 ml"), "MR") == "T1CE"
    assert sequence_of(header(SeriesDescription="T1", ContrastBolusAgent="NONE"), "MR") == "T1"
    assert sequence_of(header(SeriesDescription="T1 sans gado", ContrastBolusAgent="DOTAREM"), "MR") == "T1"
    assert sequence_of(header(SeriesDescription="FLAIR", ContrastBolusAgent="DOTAREM"), "MR") == "FLAIR"


def test_a_double_echo_is_told_apart_by_its_echo_time() -> None:
    assert sequence_of(header(SeriesDescription="PD_T2", EchoTime=20), "MR") == "PD"
    assert sequence_of(header(SeriesDescription="PD_T2", EchoTime=90), "MR") == "T2"
    assert sequence_of(header(SeriesDescription="PD_T2"), "MR") == ""


def enhanced(**groups: Dataset) -> Dataset:
    shared = header(**{keyword: [item] for keyword, item in groups.items()})
    return header(SharedFunctionalGroupsSequence=[shared])


def test_enhanced_headers_tell_by_their_functional_groups() -> None:
    diffusion = header(DiffusionBValue=1000.0)
    assert sequence_of(enhanced(MRDiffusionSequence=diffusion), "MR") == "DWI"
    weighted = header(AcquisitionContrast="FLUID_ATTENUATED")
    assert sequence_of(enhanced(MRImageFrameTypeSequence=weighted), "MR") == "FLAIR"
    times = enhanced(
        MREchoSequence=header(EffectiveEchoTime=90.0),
        MRTimingAndRelatedParametersSequence=header(RepetitionTime=4000.0),
    )
    times.ScanningSequence = "SE"
    assert sequence_of(times, "MR") == "T2"
    lying = enhanced(PlaneOrientationSequence=header(ImageOrientationPatient=[0, 1, 0, 0, 0, -1]))
    assert plane_of(lying, "MR") == "SAGITTAL"


@pytest.mark.parametrize(
    ("written", "sequence"),
    [
        ("TAP PORTAL", "CONTRAST"),
        ("Abdomen avec injection", "CONTRAST"),
        ("angioscanner", "CONTRAST"),
        ("CT w/contrast (IV)", "CONTRAST"),
        ("Thorax sans injection", "NONCONTRAST"),
        ("SPC", "NONCONTRAST"),
        ("5/5mm Plain", "NONCONTRAST"),
        ("ABDOMEN W/O CONTRAST", "NONCONTRAST"),
        ("avec et sans injection", ""),
        ("C-SPINE", ""),
        ("GI contrast", ""),
        ("topogram", "LOC"),
    ],
)
def test_of_ct_it_is_told_whether_contrast_was_injected(written: str, sequence: str) -> None:
    assert sequence_of(header(SeriesDescription=written), "CT") == sequence


def test_an_agent_that_was_drunk_is_no_injection() -> None:
    assert sequence_of(header(ContrastBolusAgent="IOMERON 350"), "CT") == "CONTRAST"
    assert sequence_of(header(ContrastBolusAgent="Gastrografin", ContrastBolusRoute="ORAL"), "CT") == ""
    assert sequence_of(header(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]), "CT") == "LOC"


@pytest.mark.parametrize("modality", ["US", "CR", "PT", ""])
def test_other_modalities_have_no_sequence(modality: str) -> None:
    assert sequence_of(header(SeriesDescription="T1 avec injection"), modality) == ""


@pytest.mark.parametrize(
    ("orientation", "plane"),
    [
        ([1, 0, 0, 0, 1, 0], "AXIAL"),
        ([1, 0, 0, 0, 0.948, -0.317], "AXIAL"),
        ([1, 0, 0, 0, 0, -1], "CORONAL"),
        ([0, 1, 0, 0, 0, -1], "SAGITTAL"),
        ([0.7071, 0.7071, 0, 0, 0, -1], "OBLIQUE"),
        ([0, 0, 0, 0, 0, 0], ""),
    ],
)
def test_slices_lie_as_their_orientation_says(orientation: list[float], plane: str) -> None:
    assert plane_of(header(ImageOrientationPatient=orientation), "MR") == plane


def test_words_name_the_plane_where_the_orientation_is_missing() -> None:
    assert plane_of(header(SeriesDescription="coupe sagittale T2"), "MR") == "SAGITTAL"
    assert plane_of(header(SeriesDescription="AX et COR"), "CT") == ""
    assert (
        plane_of(header(SeriesDescription="sag", ImageOrientationPatient=[1, 0, 0, 0, 1, 0]), "MR") == "AXIAL"
    )


@pytest.mark.parametrize(
    ("modality", "elements", "plane"),
    [
        ("CR", {"ViewPosition": "PA"}, "FRONTAL"),
        ("CR", {"ViewPosition": "AP Supine"}, "FRONTAL"),
        ("DX", {"ViewPosition": "LL"}, "LATERAL"),
        ("DX", {"PatientOrientation": ["L", "F"]}, "FRONTAL"),
        ("DX", {"PatientOrientation": ["A", "F"]}, "LATERAL"),
        ("CR", {"SeriesDescription": "Thorax de profil"}, "LATERAL"),
        ("DX", {"ViewCodeSequence": [header(CodeValue="399173006")]}, "LATERAL"),
        ("MG", {"ViewPosition": "MLO"}, "MLO"),
        ("MG", {"SeriesDescription": "R CC"}, "CC"),
        ("MG", {"ViewCodeSequence": [header(CodeValue="R-10242")]}, "CC"),
        ("US", {"ViewPosition": "PA"}, ""),
    ],
)
def test_projections_are_named_by_their_view(modality: str, elements: dict[str, object], plane: str) -> None:
    assert plane_of(header(**elements), modality) == plane


@given(st.text(max_size=64), st.sampled_from(["MR", "CT", "CR", "MG"]))
def test_whatever_is_written_only_our_own_words_are_kept(text: str, modality: str) -> None:
    dataset = header(SeriesDescription=text, ProtocolName=text, ContrastBolusAgent=text, ViewPosition=text)
    words = {"", "T1", "T1CE", "T2", "T2STAR", "FLAIR", "STIR", "SSFP", "PD", "DWI", "ADC", "PERF", "BOLD"}
    words |= {"MRS", "TOF", "MRA", "LOC", "CONTRAST", "NONCONTRAST"}
    words |= {"AXIAL", "CORONAL", "SAGITTAL", "FRONTAL", "LATERAL", "CC", "MLO"}
    assert {sequence_of(dataset, modality), plane_of(dataset, modality)} <= words


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("path", "sequence", "plane"),
    [
        ("series/mr_brain_Siemens_Trio_MEMPRAGE", "T1", "SAGITTAL"),
        ("series/mr_dti_Toshiba_Galan", "DWI", "AXIAL"),
        ("series/mr_study_UIH/t1_gre_fsp_3d_sag", "T1", "SAGITTAL"),
        ("series/mr_study_Siemens_NIH", "BOLD", "AXIAL"),
        ("files/pydicom__MR_small_RLE.dcm", "T2", "AXIAL"),
        ("files/pydicom-data__693_UNCR.dcm", "NONCONTRAST", "AXIAL"),
        ("files/pydicom-data__emri_small_RLE.dcm", "T1", ""),
        ("files/fo-dicom__GH064.dcm", "LOC", "SAGITTAL"),
        ("files/fo-dicom__OutOfBoundsOverlay.dcm", "", "CC"),
        ("files/pydicom-data__RG3_J2KI.dcm", "", "FRONTAL"),
        ("files/highdicom__dx_image.dcm", "", "FRONTAL"),
    ],
)
def test_real_headers_are_understood(path: str, sequence: str, plane: str) -> None:
    given = WILD / path
    file = given if given.is_file() else next(p for p in sorted(given.rglob("*")) if p.is_file())
    with tolerant():
        found = attributes_of(pydicom.dcmread(file, stop_before_pixels=True, force=True))
    assert (found.sequence, found.plane) == (sequence, plane)
