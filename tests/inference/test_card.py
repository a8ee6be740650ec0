from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from inference.card import EncoderError, load_card
from tests.inference.conftest import GREY32

Change = Callable[[dict[str, Any]], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GREY32, tmp_path / "encoder"))


def rewrite(folder: Path, change: Change) -> Path:
    path = folder / "card.json"
    card = json.loads(path.read_text())
    change(card)
    path.write_text(json.dumps(card))
    return folder


def test_a_card_is_read_and_its_model_is_the_one_it_describes(folder: Path) -> None:
    card = load_card(folder)
    assert card.serves("CT")
    assert card.encoder_version.name == "grey32"
    assert card.encoder_version.dimension == card.dimension == 1024


@pytest.mark.parametrize("name", ["card.json", "encoder.onnx"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=name):
        load_card(folder)


def test_a_model_that_was_exchanged_is_noticed(folder: Path) -> None:
    with (folder / "encoder.onnx").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(EncoderError, match="SHA-256"):
        load_card(folder)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda card: card.update(colour="blue"), "colour"),
        (lambda card: card.pop("licence"), "licence"),
        (lambda card: card["input"].update(std=[0.0]), "std"),
        (lambda card: card["input"].update(mean=[0.0, 0.0]), "mean"),
        (lambda card: card["input"].update(resize="squeeze"), "resize"),
        (lambda card: card.update(name="../../etc"), "name"),
        (lambda card: card.update(modalities=[]), "modalities"),
    ],
)
def test_a_malformed_card_says_where(folder: Path, change: Change, named: str) -> None:
    with pytest.raises(EncoderError, match=named):
        load_card(rewrite(folder, change))


def test_a_card_that_is_no_json_is_an_encoder_error(folder: Path) -> None:
    (folder / "card.json").write_text("{")
    with pytest.raises(EncoderError, match="not a model card"):
        load_card(folder)


def test_the_version_changes_with_the_preprocessing_and_not_with_the_description(folder: Path) -> None:
    before = load_card(folder).encoder_version
    described = load_card(rewrite(folder, lambda card: card.update(notes="better words")))
    assert described.encoder_version == before
    boxed = load_card(rewrite(folder, lambda card: card["input"].update(resize="letterbox")))
    assert boxed.encoder_version.sha256 != before.sha256


def test_a_card_names_the_modalities_it_serves(folder: Path) -> None:
    card = load_card(rewrite(folder, lambda card: card.update(modalities=["MR"])))
    assert card.serves("MR")
    assert not card.serves("CT")
