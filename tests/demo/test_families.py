"""The synthetic studies are DICOM, alike within a family, and the same every time."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread

from demo.families import FAMILIES, Family, write_studies


def test_the_same_seed_writes_the_same_bytes(tmp_path: Path) -> None:
    first = list(write_studies(tmp_path / "1", per_family=1))
    second = list(write_studies(tmp_path / "2", per_family=1))
    for one, other in zip(first, second, strict=True):
        assert [p.read_bytes() for p in one.paths] == [p.read_bytes() for p in other.paths]


def test_no_two_studies_share_a_uid_or_a_patient(tmp_path: Path) -> None:
    written = [p for study in write_studies(tmp_path, per_family=3) for p in study.paths]
    headers = [dcmread(path, stop_before_pixels=True) for path in written]
    assert len({h.SOPInstanceUID for h in headers}) == len(written)
    assert len({(h.StudyInstanceUID, h.PatientID) for h in headers}) == 3 * len(FAMILIES)


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_study_says_that_it_is_synthetic_and_shows_something(family: Family, tmp_path: Path) -> None:
    (study,) = write_studies(tmp_path, per_family=1, families=(family,))
    assert len(study.paths) == len(family.series) * family.frames
    dataset = dcmread(study.paths[0])
    assert "synthetic" in dataset.ImageComments.lower()
    assert dataset.pixel_array.std() > 10
