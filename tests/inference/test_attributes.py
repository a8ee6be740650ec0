from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from inference.attributes import attributes_of
from inference.header_values import number_of, position_mm
from inference.reading import tolerant


def header(**elements: object) -> Dataset:
    dataset = Dataset()
    with tolerant():
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
    return dataset


def test_modality_and_body_part_are_trimmed_and_upper_case() -> None:
    found = attributes_of(header(Modality="ct ", BodyPartExamined=" Chest "))
    assert (found.modality, found.body_part_examined) == ("CT", "CHEST")


@pytest.mark.parametrize("text", ["MR?", "<b>CT</b>", "Jürgen", "'; DROP TABLE", "A" * 40, ""])
def test_what_is_no_code_is_left_out(text: str) -> None:
    assert attributes_of(header(Modality=text)).modality == ""


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("20240229", date(2024, 2, 29)),
        ("2024.02.29", date(2024, 2, 29)),
        ("20230229", None),
        ("yesterday", None),
    ],
)
def test_study_dates_are_read_as_far_as_they_are_dates(written: str, read: date | None) -> None:
    assert attributes_of(header(StudyDate=written)).study_date == read


def test_the_position_is_measured_along_the_slice_normal() -> None:
    axial = header(ImagePositionPatient=[10, 20, -30.5], ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    sagittal = header(ImagePositionPatient=[10, 20, -30.5], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    assert position_mm(axial) == pytest.approx(-30.5)
    assert position_mm(sagittal) == pytest.approx(-10)


@pytest.mark.parametrize("orientation", [[0, 0, 0, 0, 0, 0], [1, 0, 0, 1, 0, 0], [1, 0, 0]])
def test_a_position_without_a_plane_is_unknown(orientation: list[float]) -> None:
    assert position_mm(header(ImagePositionPatient=[1, 2, 3], ImageOrientationPatient=orientation)) is None


@given(st.text(max_size=16))
def test_no_written_number_does_more_than_be_none(text: str) -> None:
    dataset = Dataset()
    with tolerant():
        dataset.add_new("PatientComments", "LT", text)
    found = number_of(dataset, "PatientComments")
    assert found is None or found == float(text)
