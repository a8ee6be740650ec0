"""Real files of every kind, and files with one thing broken, from the shared test data."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.pixels.processing import apply_modality_lut
from pydicom.pixels.utils import pixel_array

from indexer.errors import Rejected
from inference.embedding import SeriesEmbedder
from inference.reading import tolerant
from inference.rendering import modality_values, render_frame
from tests.inference.conftest import stored

pytestmark = pytest.mark.shared_data

NO_IMAGES = ("SEG", "SR", "RTDOSE", "RTSTRUCT", "RTPLAN", "RTIMAGE", "ANN", "RWV", "KO", "PR")
SKIPPED_OBJECTS = ("Parametric Map", "Parametric Map Storage")

BROKEN = {
    "bare_image.dcm": "not_dicom",
    "text.dcm": "not_dicom",
    "zero_length.dcm": "not_dicom",
    "truncated_header.dcm": "truncated_header",
    "truncated_pixels.dcm": "truncated_pixel_data",
    "jpeg_frame_truncated.dcm": "truncated_pixel_data",
    "rows_doubled.dcm": "truncated_pixel_data",
    "rows_zero.dcm": "invalid_header",
    "no_bits.dcm": "invalid_header",
    "no_photometric.dcm": "invalid_header",
    "pixeldata_removed.dcm": "no_pixel_data",
    "ts_lies.dcm": "unreadable_header",
    "empty_uids.dcm": "missing_uid",
    "no_series_uid.dcm": "missing_uid",
    "no_sop_uid.dcm": "missing_uid",
    "no_study_uid.dcm": "missing_uid",
}
MISLABELLED = ("files/dtf__SC_rgb_jpeg_lossy_gdcm.dcm",)
KNOWN_TRUNCATED = ("jpeg_frame_truncated.dcm",)


def rows(wild: Path) -> list[dict[str, str]]:
    with (wild / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def clinical(row: dict[str, str]) -> bool:
    return (
        row["decode"] == "ok"
        and row["modality"] not in NO_IMAGES
        and row["sop_class"] not in SKIPPED_OBJECTS
        and Path(row["path"]).name not in KNOWN_TRUNCATED
    )


def test_every_decodable_clinical_image_is_rendered(wild: Path, embedder: SeriesEmbedder) -> None:
    images = [row["path"] for row in rows(wild) if clinical(row)]
    refused = {}
    for path in images:
        try:
            png = embedder.render_file(wild / path, 1, 128)
        except Rejected as error:
            refused[path] = error.reason
            continue
        shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
        assert shown is not None
        assert max(shown.shape[:2]) <= 128
    assert refused == {}
    assert len(images) > 120


def test_stored_and_modality_values_are_those_of_pydicom(wild: Path) -> None:
    compared, differing = 0, {}
    for row in rows(wild):
        if not clinical(row) or row["path"] in MISLABELLED:
            continue
        with tolerant():
            dataset = pydicom.dcmread(wild / row["path"], force=True)
            frames = min(int(dataset.get("NumberOfFrames") or 1), 4)
            lossy = row["transfer_syntax"].endswith((".50", ".51", ".81", ".91"))
            for index in range(frames):
                theirs = pixel_array(dataset, index=index)
                ours = stored(wild / row["path"], index)
                apart = np.abs(ours.values.astype(float) - theirs).max()
                if theirs.ndim == 2 and not lossy and "RescaleSlope" in dataset and dataset.RescaleSlope:
                    expected = apply_modality_lut(theirs, dataset)
                    apart = max(apart, np.abs(modality_values(ours) - expected).max())
                compared += 1
                if apart > (2 if lossy else 1e-3):
                    differing[row["path"], index] = apart
    assert differing == {}
    assert compared > 150


def test_what_is_no_clinical_image_is_skipped_and_never_fails(wild: Path, embedder: SeriesEmbedder) -> None:
    others = [row["path"] for row in rows(wild) if row["modality"] in NO_IMAGES and row["kind"] == "files"]
    for path in others:
        with pytest.raises(Rejected) as refused:
            embedder.embed_files([wild / path])
        assert refused.value.reason not in ("undecodable_pixel_data", "unreadable_header", "missing_uid"), (
            path
        )
    assert len(others) > 15


@pytest.mark.parametrize(("name", "reason"), BROKEN.items())
def test_a_broken_file_gives_its_true_reason(
    wild: Path, embedder: SeriesEmbedder, name: str, reason: str
) -> None:
    with pytest.raises(Rejected) as refused:
        embedder.embed_files([wild / "derived" / name])
    assert refused.value.reason == reason


def test_a_file_that_lies_about_its_frames_gives_those_it_has(wild: Path, embedder: SeriesEmbedder) -> None:
    found = embedder.embed_groups([wild / "derived" / "frames_lie.dcm"])
    assert [frame.frame_number for frame in found.series[0].embedding.frames] == [1]
    assert [s.reason for s in found.series[0].skipped] == ["truncated_pixel_data"] * 4


def test_other_derived_files_are_embedded_or_refused_but_nothing_hangs(
    wild: Path, embedder: SeriesEmbedder
) -> None:
    for path in sorted(p for p in (wild / "derived").rglob("*.dcm") if p.name not in BROKEN):
        started = time.monotonic()
        try:
            embedder.embed_files([path])
        except Rejected as refused:
            assert refused.reason == "blank_frame", path.name
        assert time.monotonic() - started < 200


def test_one_series_uid_under_two_studies_gives_two_series(wild: Path, embedder: SeriesEmbedder) -> None:
    paths = [wild / "derived" / f"series_in_two_studies_{n}.dcm" for n in (1, 2)]
    found = embedder.embed_files(paths)
    assert len({e.reference.archive_id for e in found}) == 2
    assert len({e.reference.series_instance_uid for e in found}) == 1


def test_a_real_ct_series_is_alike_along_its_slices(wild: Path, embedder: SeriesEmbedder) -> None:
    (found,) = embedder.embed_files(sorted((wild / "series" / "ct_head_GE_HiSpeedDual").glob("*.dcm")))
    neighbours = (found.frame_vectors[:-1] * found.frame_vectors[1:]).sum(axis=1)
    assert neighbours.min() > 0.5
    assert neighbours.mean() > float(found.frame_vectors[0] @ found.frame_vectors[-1])


def test_spectral_selection_is_read_like_its_lossless_twin(wild: Path) -> None:
    (lossy,) = (wild / "files").glob("*JPEGProcess6_8*")
    (lossless,) = (wild / "files").glob("*JPEGProcess14*")
    difference = modality_values(stored(lossy)) - modality_values(stored(lossless))
    assert np.abs(difference).mean() < 5, "HU"
    assert (
        np.corrcoef(render_frame(stored(lossy)).ravel(), render_frame(stored(lossless)).ravel())[0, 1] > 0.99
    )


def test_lossy_and_lossless_twins_are_alike(wild: Path) -> None:
    reversible = render_frame(stored(wild / "files" / "dtf__VL1_J2KR"))
    lossy = render_frame(stored(wild / "files" / "dtf__VL1_J2KI"))
    assert np.corrcoef(reversible.ravel(), lossy.ravel())[0, 1] > 0.99
