from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset
from pydicom.pixels.processing import (
    apply_color_lut,
    apply_modality_lut,
    apply_voi_lut,
    convert_color_space,
)
from pydicom.sequence import Sequence

from indexer.errors import Rejected
from indexer.ports import Window as PortWindow
from inference.frames import render
from inference.limits import Limits
from inference.reading import tolerant
from inference.rendering import (
    CT_WINDOW_HU,
    Window,
    is_blank,
    modality_values,
    pixel_aspect,
    render_frame,
    show_frame,
    to_png,
)
from tests.fakes.instance_file import instance, ramp, write
from tests.inference.conftest import PYDICOM_FILES, stored

Render = Callable[..., NDArray[np.float32]]

WINDOWED = [
    "MR_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_bigendian.dcm",
    "693_J2KI.dcm",
    "examples_overlay.dcm",
]
UNWINDOWED = ["CT_small.dcm", "JPEG2000.dcm", "JPGExtended.dcm"]
COLOUR = [
    "examples_rgb_color.dcm",
    "examples_ybr_color.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "SC_rgb_rle.dcm",
]


def item(**elements: object) -> Sequence:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return Sequence([dataset])


def windowed_by_pydicom(dataset: Dataset) -> NDArray[np.float64]:
    """apply_voi_lut, brought from pydicom's output range to [0, 1]."""
    modality = apply_modality_lut(dataset.pixel_array, dataset)
    shown = apply_voi_lut(modality, dataset).astype(np.float64)
    bits, signed = dataset.BitsStored, dataset.PixelRepresentation
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    if "RescaleSlope" in dataset:
        low = low * dataset.RescaleSlope + dataset.RescaleIntercept
        high = high * dataset.RescaleSlope + dataset.RescaleIntercept
    return np.asarray((shown - low) / (high - low))


@pytest.mark.parametrize("name", WINDOWED)
def test_a_window_shows_what_pydicom_shows(name: str) -> None:
    with tolerant():
        dataset = pydicom.dcmread(PYDICOM_FILES / name)
        assert "WindowWidth" in dataset
        expected = windowed_by_pydicom(dataset)
    np.testing.assert_allclose(render_frame(stored(PYDICOM_FILES / name)), expected, atol=2e-4)


@pytest.mark.parametrize("name", WINDOWED + UNWINDOWED)
def test_modality_values_are_those_of_pydicom(name: str) -> None:
    with tolerant():
        dataset = pydicom.dcmread(PYDICOM_FILES / name)
        expected = apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_allclose(modality_values(stored(PYDICOM_FILES / name)), expected, atol=1e-3)


@pytest.mark.parametrize("name", COLOUR)
def test_colour_is_the_rgb_that_pydicom_gives(name: str) -> None:
    with tolerant():
        pixels = pydicom.dcmread(PYDICOM_FILES / name).pixel_array
    first = pixels if pixels.ndim == 3 else pixels[0]
    shown = render_frame(stored(PYDICOM_FILES / name))
    scale = shown.shape[0] / first.shape[0]
    assert scale == 1
    np.testing.assert_allclose(shown, first / 255, atol=1e-6)


def test_a_palette_is_looked_up_as_pydicom_does() -> None:
    with tolerant():
        dataset = pydicom.dcmread(PYDICOM_FILES / "examples_palette.dcm")
        expected = apply_color_lut(dataset.pixel_array, dataset)
    shown = render_frame(stored(PYDICOM_FILES / "examples_palette.dcm"))
    np.testing.assert_allclose(shown, expected / np.iinfo(expected.dtype).max, atol=1e-6)


def test_ybr_that_no_decoder_turned_into_rgb_is_turned_here(rendered: Render) -> None:
    ybr = np.random.default_rng(2).integers(0, 256, (8, 8, 3)).astype("u1")
    shown = rendered(instance(ybr, PhotometricInterpretation="YBR_FULL"))
    np.testing.assert_allclose(shown, convert_color_space(ybr, "YBR_FULL", "RGB") / 255, atol=1.5 / 255)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_every_window_function_is_that_of_the_standard(rendered: Render, function: str) -> None:
    dataset = instance(WindowCenter=100, WindowWidth=80, VOILUTFunction=function)
    expected = windowed_by_pydicom(dataset_with_syntax(dataset))
    np.testing.assert_allclose(rendered(dataset), expected, atol=2e-4)


def dataset_with_syntax(dataset: Dataset) -> Dataset:
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    return dataset


def test_the_first_of_several_windows_counts(rendered: Render) -> None:
    several = rendered(instance(WindowCenter=[100, 200], WindowWidth=[50, 20]))
    np.testing.assert_array_equal(several, rendered(instance(WindowCenter=100, WindowWidth=50)))


@pytest.mark.parametrize(("centre", "width"), [("", ""), (100, 0), (100, -5), (None, 50), (100, None)])
def test_a_window_that_is_none_is_estimated(rendered: Render, centre: object, width: object) -> None:
    shown = rendered(instance(None, WindowCenter=centre, WindowWidth=width))
    np.testing.assert_array_equal(shown, rendered(instance()))
    assert shown.min() == 0
    assert shown.max() == 1


def test_a_width_below_one_is_a_ramp_over_floating_point_values(rendered: Render) -> None:
    dataset = instance(RescaleSlope="0.001", RescaleIntercept="0", WindowCenter="0.1", WindowWidth="0.2")
    np.testing.assert_allclose(rendered(dataset).ravel()[:200], np.arange(200) / 200, atol=1e-4)


def test_each_instance_is_windowed_by_its_own_slope_and_intercept(rendered: Render) -> None:
    window = {"WindowCenter": 1000, "WindowWidth": 500}
    plain = rendered(instance(ramp() * 10, **window))
    rescaled = rendered(instance(ramp(), RescaleSlope=10, RescaleIntercept=0, **window))
    np.testing.assert_allclose(plain, rescaled, atol=1e-5)


def test_a_slope_of_zero_does_not_wipe_the_picture_out(rendered: Render) -> None:
    shown = rendered(instance(RescaleSlope=0, RescaleIntercept=0))
    np.testing.assert_array_equal(shown, rendered(instance()))


def test_ct_without_a_window_is_shown_in_soft_tissue(rendered: Render) -> None:
    centre, width = CT_WINDOW_HU
    ct = {"Modality": "CT", "RescaleSlope": 1, "RescaleIntercept": -1024}
    values = np.linspace(0, 4000, 256).astype("u2").reshape(16, 16)
    shown = rendered(instance(values, **ct))
    np.testing.assert_array_equal(
        shown, rendered(instance(values, WindowCenter=centre, WindowWidth=width, **ct))
    )


@pytest.mark.parametrize("modality", [None, ""])
def test_a_ct_without_its_modality_is_known_by_its_class(rendered: Render, modality: str | None) -> None:
    values = np.array([[-160, 40], [240, 1000]], "i2")
    shown = rendered(instance(values, Modality=modality, RescaleSlope=1, RescaleIntercept=0))
    np.testing.assert_array_equal(
        shown, rendered(instance(values, Modality="CT", RescaleSlope=1, RescaleIntercept=0))
    )


def test_air_in_a_ct_stays_black_instead_of_becoming_amplified_noise(rendered: Render) -> None:
    noise = np.random.default_rng(3).integers(0, 20, (16, 16)).astype("u2")
    window = {"WindowCenter": 40, "WindowWidth": 80}
    shown = rendered(instance(noise, Modality="CT", RescaleSlope=1, RescaleIntercept=-1024, **window))
    assert is_blank(shown)
    assert not is_blank(rendered(instance(noise, Modality="MR", WindowCenter=5000, WindowWidth=10)))


def test_eight_bits_without_a_window_are_shown_as_they_are(rendered: Render) -> None:
    values = np.full((4, 4), 51, dtype="u1")
    values[0, 0] = 102
    np.testing.assert_allclose(rendered(instance(values)), values / 255)


def test_monochrome1_is_inverted(rendered: Render) -> None:
    window = {"WindowCenter": 128, "WindowWidth": 256}
    inverted = rendered(instance(PhotometricInterpretation="MONOCHROME1", **window))
    np.testing.assert_allclose(inverted, 1 - rendered(instance(**window)), atol=1e-6)


def test_padding_is_black_and_does_not_count_for_the_window(rendered: Render) -> None:
    values = ramp(kind="i2")
    padded = values.copy()
    padded[:4] = -2000
    for value in (-2000, 63536):
        dataset = instance(padded)
        dataset.add_new("PixelPaddingValue", "SS" if value < 0 else "US", value)
        shown = rendered(dataset)
        assert shown[:4].max() == 0
        np.testing.assert_array_equal(shown[4:], rendered(instance(values[4:])))


def test_padding_stays_black_under_monochrome1(rendered: Render) -> None:
    values = ramp()
    values[:4] = 0
    dataset = instance(values, PhotometricInterpretation="MONOCHROME1", PixelPaddingValue=0)
    assert rendered(dataset)[:4].max() == 0


def test_padding_may_be_a_range(rendered: Render) -> None:
    dataset = instance(PixelPaddingValue=200, PixelPaddingRangeLimit=255)
    shown = rendered(dataset).ravel()
    assert shown[200:].max() == 0
    assert shown[199] == 1


def test_a_frame_of_nothing_but_padding_is_blank_and_no_error(rendered: Render) -> None:
    assert is_blank(rendered(instance(np.full((8, 8), 7, "u2"), PixelPaddingValue=7)))


def test_modality_and_voi_lut_sequences_are_applied(rendered: Render) -> None:
    modality = item(LUTDescriptor=[256, 0, 16], LUTData=[4 * n for n in range(256)], ModalityLUTType="US")
    voi = item(LUTDescriptor=[1024, 0, 16], LUTData=[65535 - 64 * n for n in range(1024)])
    for sequence in (modality, voi):
        sequence[0]["LUTDescriptor"].VR = "US"
        sequence[0]["LUTData"].VR = "US"
    dataset = instance(ModalityLUTSequence=modality, VOILUTSequence=voi)
    shown = rendered(dataset).ravel()
    expected = apply_voi_lut(apply_modality_lut(ramp(), dataset), dataset).ravel() / 65535
    np.testing.assert_allclose(shown, expected, atol=1e-6)


def test_a_voi_lut_that_declares_more_bits_than_it_uses_is_not_dark(rendered: Render) -> None:
    voi = item(LUTDescriptor=[256, 0, 16], LUTData=list(range(0, 4096, 16)))
    for keyword in ("LUTDescriptor", "LUTData"):
        voi[0][keyword].VR = "US"
    assert rendered(instance(VOILUTSequence=voi)).max() > 0.99


def enhanced() -> Dataset:
    """Two frames, each with its own rescale and window, and a spacing of 2 mm x 1 mm shared by both."""
    groups = []
    for slope, centre in ((1, 100), (10, 1000)):
        group = Dataset()
        group.PixelValueTransformationSequence = item(
            RescaleSlope=slope, RescaleIntercept=0, RescaleType="US"
        )
        group.FrameVOILUTSequence = item(WindowCenter=centre, WindowWidth=50 * slope)
        groups.append(group)
    shared = item(PixelMeasuresSequence=item(PixelSpacing=[2, 1]))
    return instance(
        np.stack([ramp(), ramp()]),
        PerFrameFunctionalGroupsSequence=Sequence(groups),
        SharedFunctionalGroupsSequence=shared,
    )


def test_functional_groups_are_read_for_each_frame(rendered: Render) -> None:
    first, second = rendered(enhanced(), 0), rendered(enhanced(), 1)
    assert first.shape == (32, 16)
    np.testing.assert_allclose(first, second, atol=0.02)
    assert 0 < first.mean() < 1


def test_pixels_that_are_not_square_become_so(rendered: Render) -> None:
    assert rendered(instance(PixelSpacing=[3, 1])).shape == (48, 16)
    assert rendered(instance(PixelSpacing=[1, 2])).shape == (16, 32)
    assert rendered(instance(PixelAspectRatio=[4, 2])).shape == (32, 16)


@pytest.mark.parametrize("spacing", [[0, 0], [1, 1], [1, 1000], [-1, 1], [2]])
def test_absurd_spacings_are_left_alone(rendered: Render, spacing: list[float]) -> None:
    assert rendered(instance(PixelSpacing=spacing)).shape == (16, 16)


def test_a_spacing_in_words_is_no_spacing(tmp_path: Path) -> None:
    path = write(instance(PixelSpacing=[1.5, 1]), tmp_path / "words.dcm")
    path.write_bytes(path.read_bytes().replace(b"1.5\\1", b"a,b\\c"))
    assert pixel_aspect(stored(path)) == 1


def test_sixteen_bit_colour_and_thirty_two_bit_grey_keep_their_range(rendered: Render) -> None:
    colour = np.zeros((2, 2, 3), "u2")
    colour[0, 0] = (65535, 32768, 0)
    np.testing.assert_allclose(rendered(instance(colour))[0, 0], (1, 0.5, 0), atol=1e-4)
    large = (ramp().astype("u4") + 2**31).astype("u4")
    assert len(np.unique(rendered(instance(large)))) > 200


def test_floating_point_pixels_and_their_holes_are_shown(tmp_path: Path) -> None:
    values = ramp().astype("f4") / 7
    values[0, 0], values[0, 1] = np.nan, np.inf
    dataset = instance(BitsStored=None, HighBit=None, PixelRepresentation=None, BitsAllocated=32)
    del dataset.PixelData
    dataset.FloatPixelData = values.tobytes()
    dataset_with_syntax(dataset).save_as(tmp_path / "float.dcm", enforce_file_format=False)
    shown = render_frame(stored(tmp_path / "float.dcm"))
    assert np.isfinite(shown).all()
    assert shown[0, 0] == 0
    assert shown.max() == 1


def test_a_palette_that_is_missing_is_a_reason(rendered: Render) -> None:
    with pytest.raises(Rejected) as refused:
        rendered(instance(ramp(kind="u1"), PhotometricInterpretation="PALETTE COLOR"))
    assert refused.value.reason == "invalid_palette"


def test_a_png_is_shrunk_but_never_enlarged_and_keeps_its_colours() -> None:
    colour = np.zeros((40, 20, 3), np.float32)
    colour[..., 0] = 1
    small = cv2.imdecode(np.frombuffer(to_png(colour, 10), np.uint8), cv2.IMREAD_COLOR)
    assert small is not None
    assert small.shape == (10, 5, 3)
    assert small[0, 0].tolist() == [0, 0, 255]
    grey = cv2.imdecode(np.frombuffer(to_png(colour[..., 1], 100), np.uint8), cv2.IMREAD_UNCHANGED)
    assert grey is not None
    assert grey.shape == (40, 20)


@pytest.mark.parametrize("name", [*WINDOWED, *UNWINDOWED, "examples_jpeg2k.dcm"])
def test_a_frame_rendered_again_with_the_window_it_was_shown_with_looks_the_same(name: str) -> None:
    frame = stored(PYDICOM_FILES / name)
    shown = show_frame(frame)
    if shown.window is None:
        assert shown.pixels.ndim == 3
    else:
        again = show_frame(frame, shown.window)
        np.testing.assert_allclose(again.pixels, shown.pixels, atol=2e-3)
        assert again.window == shown.window


def test_a_wanted_window_is_over_modality_values_and_an_inverted_frame_stays_inverted(tmp_path: Path) -> None:
    values = np.array([[0, 1000, 1040, 1080, 4000]] * 2, "<u2")
    for photometric, expected in (("MONOCHROME2", [0, 0, 0.5, 1, 1]), ("MONOCHROME1", [1, 1, 0.5, 0, 0])):
        dataset = instance(values, PhotometricInterpretation=photometric, RescaleIntercept="-1000")
        dataset.RescaleSlope = "1"
        shown = show_frame(stored(write(dataset, tmp_path / f"{photometric}.dcm")), Window(40.5, 81))
        np.testing.assert_allclose(shown.pixels[0], expected, atol=1e-6)
        assert shown.inverted == (photometric == "MONOCHROME1")


def test_a_png_of_a_grey_frame_says_its_window_and_one_of_a_colour_frame_nothing() -> None:
    png = render(PYDICOM_FILES / "CT_small.dcm", 0, 64, Limits(), PortWindow(-600, 1500))
    texts = Image.open(BytesIO(png)).text  # type: ignore[attr-defined]
    assert texts == {
        "WindowCenter": "-600",
        "WindowWidth": "1500",
        "PhotometricInterpretation": "MONOCHROME2",
    }
    assert png != render(PYDICOM_FILES / "CT_small.dcm", 0, 64, Limits())
    colour = Image.open(BytesIO(render(PYDICOM_FILES / "examples_rgb_color.dcm", 0, 64, Limits())))
    assert colour.text == {}  # type: ignore[attr-defined]
