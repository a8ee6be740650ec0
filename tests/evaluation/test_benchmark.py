from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.benchmark import LABELS_NAME, Benchmark
from evaluation.errors import BenchmarkError
from tests.evaluation.rows import COLUMNS, row, write_image, write_noise, write_rows


def test_rows_come_in_the_table_s_order_with_empty_labels_where_none_is_known(tmp_path: Path) -> None:
    benchmark = Benchmark.open(write_noise(tmp_path, [row(2, finding="mass"), row(1, dataset="other")]))
    assert [image.image for image in benchmark.images] == ["2.png", "1.png"]
    assert (benchmark.images[0].finding, benchmark.images[1].finding) == ("mass", "")
    assert [image.image for image in benchmark.dataset("other").images] == ["1.png"]
    assert [image.image for image in benchmark.at([1, 0]).images] == ["1.png", "2.png"]
    assert len(benchmark) == 2


def test_labels_are_joined_and_an_unknown_column_is_refused(tmp_path: Path) -> None:
    image = Benchmark.open(write_noise(tmp_path, [row(1, modality="MR", body_part="Head")])).images[0]
    assert image.label("modality+body_part") == "MR|Head"
    assert image.label("modality+plane") == ""
    with pytest.raises(BenchmarkError, match="no column 'colour'"):
        image.label("modality+colour")


def test_only_what_is_called_permissive_is(tmp_path: Path) -> None:
    kinds = ["permissive", "permissive-unverified", "nc", "unclear", ""]
    rows = [row(number, licence_class=kind) for number, kind in enumerate(kinds)]
    benchmark = Benchmark.open(write_noise(tmp_path, rows))
    assert [image.is_permissive for image in benchmark.images] == [True, True, False, False, False]


def test_pixels_are_in_0_to_1_grey_or_rgb_and_masks_are_0_and_1(tmp_path: Path) -> None:
    write_image(tmp_path / "0.png", np.full((3, 4), 51, dtype=np.uint8))
    write_image(tmp_path / "1.png", np.full((3, 4, 3), (0, 51, 255), dtype=np.uint8))
    write_image(tmp_path / "mask.png", np.array([[0, 255], [100, 200]], dtype=np.uint8))
    benchmark = Benchmark.open(write_rows(tmp_path, [row(0, mask="mask.png"), row(1)]))
    grey, colour, mask = benchmark.pixels(0), benchmark.pixels(1), benchmark.mask(0)
    assert grey.shape == (3, 4)
    assert grey.dtype == np.float32
    np.testing.assert_allclose(grey, 0.2)
    np.testing.assert_allclose(colour[0, 0], [1.0, 0.2, 0.0])  # cv2 writes blue first
    np.testing.assert_array_equal(mask, [[0, 1], [0, 1]])
    assert benchmark.mask(1) is None


def test_a_table_from_a_spreadsheet_is_read(tmp_path: Path) -> None:
    table = write_noise(tmp_path, [row(1)]) / LABELS_NAME
    table.write_text("\ufeff" + table.read_text(), encoding="utf-8")
    assert len(Benchmark.open(tmp_path)) == 1


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "names no image"),
        ([row(1), row(1)], r"line 3: 1\.png is named twice"),
        ([row(1), row(2, subject="")], "line 3: image, dataset and subject must be given"),
        ([row(1, dataset="")], "line 2: image, dataset and subject must be given"),
        ([{**row(1), "image": ""}], "line 2: image, dataset and subject must be given"),
    ],
)
def test_rows_that_cannot_be_are_refused_with_their_line(
    tmp_path: Path, rows: list[dict[str, str]], said: str
) -> None:
    write_image(tmp_path / "1.png", np.zeros((2, 2), dtype=np.uint8))
    write_image(tmp_path / "2.png", np.zeros((2, 2), dtype=np.uint8))
    with pytest.raises(BenchmarkError, match=said):
        Benchmark.open(write_rows(tmp_path, rows))


def test_a_missing_table_column_image_or_mask_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"labels\.csv is missing"):
        Benchmark.open(tmp_path)
    write_rows(tmp_path, [row(1)], [column for column in COLUMNS if column not in ("plane", "mask")])
    with pytest.raises(BenchmarkError, match="lacks the columns plane, mask"):
        Benchmark.open(tmp_path)
    write_rows(tmp_path, [row(1), row(2)])
    with pytest.raises(BenchmarkError, match=r"2 files .* first 1\.png"):
        Benchmark.open(tmp_path)
    write_noise(tmp_path, [row(1, mask="drawn.png")])
    with pytest.raises(BenchmarkError, match=r"1 files .* first drawn\.png"):
        Benchmark.open(tmp_path)


def test_a_table_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / LABELS_NAME).write_bytes(b"image,dataset\n\xff\xfe\x00,x\n")
    with pytest.raises(BenchmarkError, match="UTF-8"):
        Benchmark.open(tmp_path)


def test_a_file_that_is_no_image_is_refused_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "1.png").write_bytes(b"not an image")
    benchmark = Benchmark.open(write_rows(tmp_path, [row(1)]))
    with pytest.raises(BenchmarkError, match=r"1\.png is not an image"):
        benchmark.pixels(0)


def test_nothing_is_left_when_nothing_is_of_the_kind(tmp_path: Path) -> None:
    benchmark = Benchmark.open(write_noise(tmp_path, [row(1)]))
    with pytest.raises(BenchmarkError, match="Nothing is left"):
        benchmark.where(lambda image: image.dataset == "none")
    with pytest.raises(BenchmarkError, match="Nothing is left"):
        benchmark.at([])


def test_a_data_set_that_is_not_there_is_named_with_those_that_are(tmp_path: Path) -> None:
    benchmark = Benchmark.open(write_noise(tmp_path, [row(1, dataset="knees")]))
    with pytest.raises(BenchmarkError, match="no data set hips; it has knees"):
        benchmark.dataset("hips")
