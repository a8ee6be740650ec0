from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from evaluation.errors import BenchmarkError
from evaluation.vectors import ImageVectors

VECTOR = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.mark.parametrize("name", ["some.npz", "without_ending"])
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / name
    ImageVectors(("a.png", "ü b.png"), VECTOR, ("a mass",), VECTOR[:1]).write(path)
    read = ImageVectors.read(path)
    assert (read.image, read.caption) == (("a.png", "ü b.png"), ("a mass",))
    np.testing.assert_array_equal(read.vector, VECTOR)
    np.testing.assert_array_equal(read.caption_vector, VECTOR[:1])


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    ImageVectors(("a.png", "b.png"), VECTOR).write(path)
    of_objects = np.array([["no", "number"]], dtype=object)
    vectors = ImageVectors(("a.png",), VECTOR[:1])
    object.__setattr__(vectors, "vector", of_objects)
    with pytest.raises(ValueError, match="allow_pickle"):
        vectors.write(path)
    assert ImageVectors.read(path).image == ("a.png", "b.png")


def test_the_file_has_the_arrays_that_scores_are_read_from_and_no_pickle(tmp_path: Path) -> None:
    ImageVectors(("a.png", "b.png"), VECTOR).write(tmp_path / "v.npz")
    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        assert set(arrays) == {"image", "vector"}
        assert arrays["image"].tolist() == ["a.png", "b.png"]
    assert ImageVectors.read(tmp_path / "v.npz").caption_vector is None


def test_vectors_that_do_not_fit_their_names_are_refused() -> None:
    with pytest.raises(BenchmarkError, match=r"1 image names do not fit vectors of the shape \(2, 3\)"):
        ImageVectors(("a.png",), VECTOR)
    with pytest.raises(BenchmarkError, match="2 image names"):
        ImageVectors(("a.png", "b.png"), VECTOR[0])
    with pytest.raises(BenchmarkError, match="0 caption names"):
        ImageVectors(("a.png", "b.png"), VECTOR, (), VECTOR)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_vectors_that_are_not_finite_are_refused(value: float) -> None:
    with pytest.raises(BenchmarkError, match="not finite"):
        ImageVectors(("a.png", "b.png"), np.full_like(VECTOR, value))


def test_a_file_that_holds_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.npz"
    with pytest.raises(BenchmarkError, match="does not hold"):
        ImageVectors.read(path)
    for content in (b"", b"no archive", b"PK\x03\x04 cut off"):
        path.write_bytes(content)
        with pytest.raises(BenchmarkError, match="does not hold"):
            ImageVectors.read(path)
    np.savez(path, image=np.array(["a.png"]))
    with pytest.raises(BenchmarkError, match="does not hold"):
        ImageVectors.read(path)
    np.savez(path, image=np.array(["a.png"]), vector=VECTOR[:1], caption=np.array(["x"]))
    with pytest.raises(BenchmarkError, match="does not hold"):
        ImageVectors.read(path)
    with path.open("wb") as file:
        np.save(file, VECTOR)
    with pytest.raises(BenchmarkError, match="does not hold"):
        ImageVectors.read(path)
