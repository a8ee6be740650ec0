from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from cbir.command import app
from evaluation.benchmark import LabelledImage
from inference.card import EncoderError
from inference.encoder import OnnxEncoder, unit_rows
from tests.training.export.towers import pictures
from training.errors import TrainingError
from training.export.images import CheckImages
from training.export.parity import inputs_of
from training.export.retrieval import retrieval_effect
from training.export.sources import open_source
from training.fit import RunFolder
from training.methods.noisy_labels import NoisyLabelModel, NoisyLabelsConfiguration
from training.runs import METHODS


def noisy_run(folder: Path) -> NoisyLabelModel:
    """A finished run whose weights are drawn."""
    torch.manual_seed(2)
    wanted = NoisyLabelsConfiguration(dataset="drawn", frozen_blocks=0, side=32, projection=16, folds=0)
    RunFolder(folder).open(wanted)
    model = NoisyLabelModel(wanted, 3)
    torch.save(model.state_dict(), RunFolder(folder).model)
    return model.eval()


def write_pictures(folder: Path, count: int) -> Path:
    folder.mkdir()
    for number, picture in enumerate(pictures(count)):
        Image.fromarray(np.rint(picture * 255).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


def test_the_command_exports_a_run_and_the_product_embeds_as_its_tower_does(tmp_path: Path) -> None:
    model = noisy_run(tmp_path / "run")
    images, out = write_pictures(tmp_path / "images", 4), tmp_path / "my-encoder"
    options = [
        "--images",
        str(images),
        "--weights-licence",
        "CC0-1.0",
        "--modality",
        "US",
        "--commercial-use",
    ]
    answer = CliRunner().invoke(app, ["export", str(tmp_path / "run"), str(out), *options])
    assert answer.exit_code == 0, answer.output
    assert "largest difference" in answer.output
    encoder = OnnxEncoder(out, threads=1)
    assert encoder.card.name == "my-encoder"
    assert encoder.card.modalities == ("US",)
    assert encoder.card.licence.weights == "CC0-1.0"
    assert encoder.card.licence.commercial_use
    assert (encoder.card.input.resize, encoder.card.input.height) == ("letterbox", 32)
    inputs = inputs_of(pictures(2, seed=8), encoder.card.input.preprocessing)
    with torch.no_grad():
        expected = unit_rows(model.tower(torch.from_numpy(inputs)).numpy())
    np.testing.assert_allclose(encoder.encode(inputs), expected, atol=1e-4)


def test_commercial_use_is_not_taken_for_granted_and_a_bad_name_is_refused(tmp_path: Path) -> None:
    noisy_run(tmp_path / "run")
    images = write_pictures(tmp_path / "images", 3)
    options = ["--images", str(images), "--weights-licence", "unknown"]
    answer = CliRunner().invoke(app, ["export", str(tmp_path / "run"), str(tmp_path / "Über"), *options])
    assert "cannot be called that: name" in str(answer.exception)
    answer = CliRunner().invoke(app, ["export", str(tmp_path / "run"), str(tmp_path / "fine"), *options])
    assert answer.exit_code == 0, answer.output
    assert not OnnxEncoder(tmp_path / "fine", threads=1).card.licence.commercial_use


def test_every_method_that_is_known_can_give_its_tower() -> None:
    for module in METHODS.values():
        found = importlib.util.find_spec(module)
        assert found is not None, module
        assert found.origin is not None
        assert "def load_tower(" in Path(found.origin).read_text()


def test_a_run_that_has_not_ended_is_refused(tmp_path: Path) -> None:
    noisy_run(tmp_path)
    RunFolder(tmp_path).model.unlink()
    with pytest.raises(TrainingError, match="no finished run"):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (json.dumps({"method": "alchemy"}), "alchemy"),
        ("not json", "cannot be read"),
        ("[1, 2]", "no configuration"),
    ],
)
def test_a_configuration_that_is_none_is_refused(tmp_path: Path, written: str, said: str) -> None:
    (tmp_path / "configuration.json").write_text(written)
    with pytest.raises(TrainingError, match=said):
        open_source(str(tmp_path))


def test_a_folder_with_neither_and_a_name_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="neither"):
        open_source(str(tmp_path))
    with pytest.raises(EncoderError, match="no folder"):
        open_source(str(tmp_path / "missing"))


@pytest.mark.skipif(importlib.util.find_spec("open_clip") is not None, reason="open_clip is installed")
def test_without_open_clip_the_text_says_what_to_install() -> None:
    with pytest.raises(EncoderError, match="pip install open_clip_torch"):
        open_source("open_clip:hf-hub:owner/model")


def test_images_to_check_on_and_to_calibrate_with_are_not_the_same(tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "images", 9)
    drawn = CheckImages.read(folder, 4, 5)
    assert (len(drawn.checked), len(drawn.calibration)) == (4, 5)
    means = [float(picture.mean()) for picture in (*drawn.checked, *drawn.calibration)]
    assert len(set(means)) == 9
    few = CheckImages.read(folder, 64, 96)
    assert len(few.checked) + len(few.calibration) == 9
    assert few.checked
    assert few.calibration


def test_a_folder_without_pictures_and_a_file_that_is_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="holds 0 pictures"):
        CheckImages.read(tmp_path, 4, 0)
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="not a picture"):
        CheckImages.read(tmp_path, 2, 0)


def test_the_effect_on_retrieval_is_what_changes_among_the_nearest() -> None:
    rows = [row(number) for number in range(24)]
    before = np.eye(2, 8, dtype=np.float32)[np.arange(24) % 2]
    before = before + np.random.default_rng(0).normal(0, 0.01, before.shape).astype(np.float32)
    same = retrieval_effect(rows, before, before * 3)
    assert (same.kept, same.before, same.after) == (1.0, 1.0, 1.0)
    mixed = retrieval_effect(rows, before, np.roll(before, 5, axis=0))
    assert mixed.before == 1.0
    assert mixed.kept < 1.0
    noise = np.random.default_rng(1).normal(size=before.shape).astype(np.float32)
    assert retrieval_effect(rows, before, noise).after < 0.8


def row(number: int) -> LabelledImage:
    known = {"image": f"{number}.png", "dataset": "drawn", "subject": str(number), "modality": "CT"}
    empty = dict.fromkeys(LabelledImage.__slots__, "")
    return LabelledImage(**{**empty, **known, "body_part": ("head", "chest")[number % 2]})
