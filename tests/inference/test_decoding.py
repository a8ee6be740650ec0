from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate

from indexer.errors import NotFound, Rejected, TooLarge, Unsupported
from inference.decoding import StoredPixels
from inference.limits import Limits
from inference.reading import open_instance, tolerant
from inference.rendering import render_frame
from tests.fakes.instance_file import instance, ramp, write
from tests.inference.conftest import PYDICOM_FILES, stored

BROKEN = {
    "JPEG2000-embedded-sequence-delimiter.dcm": "too_large",
    "MR_truncated.dcm": "truncated_pixel_data",
}
PUT_RIGHT = {"JPEG-lossy.dcm": "JPGExtended.dcm"}
"""A file whose scan header is wrong, and the same with it corrected by hand."""


def decodable() -> list[str]:
    """Every image of the pydicom package that pydicom itself decodes and that we do not skip."""
    names = []
    for path in sorted(PYDICOM_FILES.glob("*.dcm")):
        try:
            with open_instance(path, Limits()):
                names.append(path.name)
        except Rejected:
            continue
    return [name for name in names if name not in (*BROKEN, *PUT_RIGHT)]


@pytest.mark.parametrize("name", decodable())
def test_every_frame_has_the_values_that_pydicom_gives(name: str) -> None:
    with tolerant():
        dataset = pydicom.dcmread(PYDICOM_FILES / name)
        expected = dataset.pixel_array
        frames = expected if int(dataset.get("NumberOfFrames", 1) or 1) > 1 else expected[None]
    for index, values in enumerate(frames):
        np.testing.assert_array_equal(stored(PYDICOM_FILES / name, index).values, values)


@pytest.mark.parametrize(("name", "reason"), BROKEN.items())
def test_what_pydicom_cannot_decode_either_is_refused_with_a_reason(name: str, reason: str) -> None:
    with pytest.raises(Rejected) as refused:
        stored(PYDICOM_FILES / name)
    assert refused.value.reason == reason


@pytest.mark.parametrize(("wrong", "right"), PUT_RIGHT.items())
def test_a_sequential_jpeg_that_forgot_its_coefficients_is_read_as_if_it_had_not(
    wrong: str, right: str
) -> None:
    np.testing.assert_array_equal(
        stored(PYDICOM_FILES / wrong).values, stored(PYDICOM_FILES / right).values, strict=True
    )


def test_ycbcr_that_is_called_rgb_is_known_by_its_subsampling(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(PYDICOM_FILES / "SC_rgb_jpeg_lossy_gdcm.dcm")
    assert dataset.PhotometricInterpretation == "YBR_FULL"
    dataset.PhotometricInterpretation = "RGB"
    dataset.save_as(tmp_path / "called_rgb.dcm")
    assert stored(tmp_path / "called_rgb.dcm").photometric_interpretation == "YBR_FULL"
    shown = render_frame(stored(tmp_path / "called_rgb.dcm"))
    honest = render_frame(stored(PYDICOM_FILES / "SC_rgb_jpeg_lossy_gdcm.dcm"))
    np.testing.assert_allclose(shown, honest, atol=2 / 255)


@pytest.mark.parametrize(
    "name", ["SC_rgb_jpeg.dcm", "SC_jpeg_no_color_transform.dcm", "SC_rgb_jpeg_app14_dcmd.dcm"]
)
def test_rgb_in_jpeg_stays_rgb(name: str) -> None:
    with tolerant():
        assert pydicom.dcmread(PYDICOM_FILES / name).PhotometricInterpretation == "RGB"
    assert stored(PYDICOM_FILES / name).photometric_interpretation == "RGB"


def test_the_comparison_covers_the_kinds_of_pixels_there_are() -> None:
    assert len(decodable()) > 45


def test_a_frame_in_the_middle_is_read_alone(tmp_path: Path) -> None:
    frames = np.stack([ramp() + 1000 * n for n in range(5)]).astype("u2")
    path = write(instance(frames), tmp_path / "frames.dcm")
    np.testing.assert_array_equal(stored(path, 3).values, frames[3])


def test_a_frame_that_does_not_exist_is_not_found(tmp_path: Path) -> None:
    path = write(instance(), tmp_path / "one.dcm")
    for index in (1, -1):
        with pytest.raises(NotFound):
            stored(path, index)


def test_declared_sizes_are_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = write(instance(Rows=60_000, Columns=60_000), tmp_path / "huge.dcm")
    with pytest.raises(TooLarge):
        stored(path)


def test_a_frame_of_allowed_pixels_may_still_have_too_many_bytes(tmp_path: Path) -> None:
    path = write(instance(Rows=9_000, Columns=9_000), tmp_path / "large.dcm")
    with pytest.raises(TooLarge):
        stored(path, limits=Limits(max_frame_bytes=2**20))


def test_pixel_data_that_end_early_are_called_truncated(tmp_path: Path) -> None:
    path = write(instance(Rows=32), tmp_path / "short.dcm")
    whole = write(instance(), tmp_path / "whole.dcm").read_bytes()
    cut = tmp_path / "cut.dcm"
    cut.write_bytes(whole[:-100])
    for broken in (path, cut):
        with pytest.raises(Rejected) as refused:
            stored(broken)
        assert refused.value.reason == "truncated_pixel_data"


def test_the_frames_before_the_cut_are_still_there(tmp_path: Path) -> None:
    path = write(instance(NumberOfFrames=2_000_000_000), tmp_path / "liar.dcm")
    np.testing.assert_array_equal(stored(path, 0).values, ramp())
    with pytest.raises(Rejected) as refused:
        stored(path, 1_999_999_999)
    assert refused.value.reason == "truncated_pixel_data"


@pytest.mark.parametrize("name", ["SC_rgb_jpeg_dcmtk.dcm", "MR_small_jp2klossless.dcm"])
def test_a_codestream_that_is_cut_short_is_called_truncated(tmp_path: Path, name: str) -> None:
    dataset = pydicom.dcmread(PYDICOM_FILES / name)
    frame = next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: len(frame) // 2]])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(tmp_path / "cut.dcm")
    with pytest.raises(Rejected) as refused:
        stored(tmp_path / "cut.dcm")
    assert refused.value.reason == "truncated_pixel_data"


def test_a_codestream_that_claims_more_than_its_header_is_refused(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(PYDICOM_FILES / "MR_small_jp2klossless.dcm")
    frame = bytearray(next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1)))
    frame[8:16] = (60_000).to_bytes(4, "big") * 2
    dataset.PixelData = encapsulate([bytes(frame)])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(tmp_path / "claims.dcm")
    with pytest.raises(TooLarge):
        stored(tmp_path / "claims.dcm")


def test_a_transfer_syntax_that_lies_is_noticed(tmp_path: Path) -> None:
    whole = (PYDICOM_FILES / "MR_small_RLE.dcm").read_bytes()
    (tmp_path / "liar.dcm").write_bytes(whole.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.1\0"))
    with pytest.raises(Rejected) as refused:
        stored(tmp_path / "liar.dcm")
    assert refused.value.reason == "transfer_syntax_mismatch"


def test_garbage_in_place_of_a_codestream_is_undecodable(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(PYDICOM_FILES / "MR_small_RLE.dcm")
    dataset.PixelData = encapsulate([b"\x07garbage" * 9])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(tmp_path / "garbage.dcm")
    with pytest.raises(Rejected) as refused:
        stored(tmp_path / "garbage.dcm")
    assert refused.value.reason == "undecodable_pixel_data"


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("Rows", None),
        ("Columns", 0),
        ("BitsAllocated", None),
        ("BitsStored", 17),
        ("SamplesPerPixel", 2),
        ("SamplesPerPixel", 3),
        ("PhotometricInterpretation", None),
        ("PhotometricInterpretation", "HSV"),
    ],
)
def test_a_header_without_sense_is_invalid(tmp_path: Path, keyword: str, value: object) -> None:
    path = write(instance(None, **{keyword: value}), tmp_path / "odd.dcm")
    with pytest.raises(Rejected) as refused:
        stored(path)
    assert refused.value.reason == "invalid_header"


def test_junk_above_the_stored_bits_is_masked(tmp_path: Path) -> None:
    clean = ramp()
    path = write(instance(clean | 0xF000, BitsStored=12, HighBit=11), tmp_path / "junk.dcm")
    np.testing.assert_array_equal(stored(path).values, clean)


def test_single_bits_are_unpacked_across_frames(tmp_path: Path) -> None:
    bits = np.random.default_rng(5).integers(0, 2, (3, 5, 7)).astype("u1")
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    path = write(
        instance(
            bits, BitsAllocated=1, BitsStored=1, HighBit=0, PixelData=packed + b"\0" * (len(packed) % 2)
        ),
        tmp_path / "bits.dcm",
    )
    for index in range(3):
        np.testing.assert_array_equal(stored(path, index).values, bits[index])


def test_planes_and_interleaved_colours_are_the_same(tmp_path: Path) -> None:
    colour = np.random.default_rng(6).integers(0, 255, (6, 4, 3)).astype("u1")
    planes = instance(colour, PlanarConfiguration=1, PixelData=colour.transpose(2, 0, 1).tobytes())
    np.testing.assert_array_equal(stored(write(planes, tmp_path / "planes.dcm")).values, colour)


@given(rows=st.integers(0, 2**16), columns=st.integers(0, 2**16), frames=st.integers(-5, 2**31 - 1))
def test_no_declared_size_gets_past_the_limits(rows: int, columns: int, frames: int) -> None:
    limits = Limits(max_frame_pixels=100_000)
    with tempfile.TemporaryDirectory() as folder:
        dataset = instance(Rows=min(rows, 65_535), Columns=min(columns, 65_535), NumberOfFrames=frames)
        path = write(dataset, Path(folder) / "any.dcm")
        try:
            with open_instance(path, limits) as opened:
                description = StoredPixels(opened, limits).description
        except Rejected as refused:
            assert not isinstance(refused, Unsupported)
            return
        assert 0 < description.rows * description.columns <= 100_000
