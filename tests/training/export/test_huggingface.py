from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer

from indexer.domain import Vector
from inference.card import EncoderError
from inference.encoder import OnnxEncoder, unit_rows
from inference.text import TextEncoder
from tests.training.export import vit_folder
from tests.training.export.towers import description, pictures
from training.export.huggingface import read_input
from training.export.model import export_encoder
from training.export.parity import inputs_of
from training.export.sources import open_source

TEXTS = ("normal chest radiograph", "mass", "the lung of the chest " * 6)


@pytest.mark.parametrize("kind", ["dinov2", "vit"])
def test_a_vision_models_vector_is_its_class_token(tmp_path: Path, kind: str) -> None:
    model = vit_folder.model_of(kind)
    source = open_source(str(vit_folder.write(tmp_path / "model", model)))
    assert source.text is None
    export_encoder(source.tower, tmp_path / "out", description(source.input), images=pictures(3))
    inputs = inputs_of(pictures(2, seed=9), source.input.preprocessing)
    with torch.no_grad():
        expected = model(pixel_values=torch.from_numpy(inputs)).last_hidden_state[:, 0].numpy()
    np.testing.assert_allclose(
        OnnxEncoder(tmp_path / "out", threads=1).encode(inputs), unit_rows(expected), atol=1e-5
    )


@pytest.mark.parametrize(("kind", "dimension"), [("clip", 24), ("siglip", 32)])
def test_both_sides_of_an_image_text_model_are_what_transformers_answers(
    tmp_path: Path, kind: str, dimension: int
) -> None:
    model = vit_folder.model_of(kind)
    source = open_source(str(vit_folder.write(tmp_path / "model", model)), languages=("en", "fr"))
    out = tmp_path / "out"
    card = export_encoder(source.tower, out, description(source.input), images=pictures(3), text=source.text)
    assert card.dimension == dimension
    assert card.text is not None
    assert card.text.max_tokens == 16
    assert card.text.languages == ("en", "fr")
    inputs = inputs_of(pictures(2, seed=9), source.input.preprocessing)
    with torch.no_grad():
        images = model.get_image_features(pixel_values=torch.from_numpy(inputs)).pooler_output.numpy()
        texts = np.stack([_text_features(model, tmp_path / "model", text) for text in TEXTS])
    np.testing.assert_allclose(OnnxEncoder(out, threads=1).encode(inputs), unit_rows(images), atol=1e-5)
    encoder = TextEncoder(out, threads=1)
    np.testing.assert_allclose(encoder.encode(TEXTS), unit_rows(texts), atol=1e-5)
    np.testing.assert_allclose(encoder.encode(TEXTS[1:2]), unit_rows(texts[1:2]), atol=1e-5)


def _text_features(model: Any, folder: Path, text: str) -> Vector:  # noqa: ANN401 - transformers has no types
    """As transformers documents it: each alone, padded to full length, the mask as the model wants it."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(16)
    tokenizer.enable_padding(pad_id=1, pad_token="[PAD]", length=16)
    encoded = tokenizer.encode(text)
    given = {"input_ids": torch.tensor([encoded.ids])}
    if model.config.model_type == "clip":
        given["attention_mask"] = torch.tensor([encoded.attention_mask])
    vector = model.get_text_features(**given).pooler_output[0].numpy()
    return np.asarray(vector, dtype=np.float32)


def test_positions_are_brought_to_the_size_that_the_preprocessor_wants(tmp_path: Path) -> None:
    model = vit_folder.model_of("dinov2", image_size=42)
    source = open_source(str(vit_folder.write(tmp_path / "model", model)))
    images = torch.from_numpy(inputs_of(pictures(2), source.input.preprocessing))
    with torch.no_grad():
        expected = model(pixel_values=images).last_hidden_state[:, 0]
        torch.testing.assert_close(source.tower(images), expected, atol=1e-5, rtol=1e-5)
    export_encoder(source.tower, tmp_path / "out", description(source.input), images=pictures(2))


def test_a_size_that_the_positions_cannot_be_brought_to_is_refused(tmp_path: Path) -> None:
    folder = vit_folder.write(tmp_path, vit_folder.model_of("vit", image_size=42))
    with pytest.raises(EncoderError, match="made for 42 x 42"):
        open_source(str(folder))


def test_the_map_has_a_place_for_each_patch(tmp_path: Path) -> None:
    source = open_source(str(vit_folder.write(tmp_path, vit_folder.model_of("clip"))))
    assert source.tower.feature_map(torch.zeros(2, 3, 28, 28)).shape == (2, 24, 4, 4)  # type: ignore[operator]


def test_the_input_is_that_of_the_preprocessor(tmp_path: Path) -> None:
    folder = vit_folder.write(
        tmp_path,
        vit_folder.model_of("vit"),
        do_center_crop=True,
        crop_size={"height": 24, "width": 20},
        size={"shortest_edge": 24},
    )
    found = read_input(str(folder))
    assert (found.height, found.width, found.resize, found.range) == (24, 20, "crop", (0.0, 1.0))
    assert found.mean == (0.5, 0.4, 0.3)
    assert found.std == (0.2, 0.3, 0.4)


def test_values_that_are_not_rescaled_stay_up_to_255(tmp_path: Path) -> None:
    folder = vit_folder.write(tmp_path, vit_folder.model_of("vit"), do_rescale=False, do_normalize=False)
    found = read_input(str(folder))
    assert (found.resize, found.range, found.mean, found.std) == ("stretch", (0, 255), (0,) * 3, (1,) * 3)


def test_a_text_tower_without_a_tokenizer_is_refused(tmp_path: Path) -> None:
    folder = vit_folder.write(tmp_path, vit_folder.model_of("siglip"))
    (folder / "tokenizer.json").unlink()
    with pytest.raises(EncoderError, match=r"no tokenizer\.json"):
        open_source(str(folder))


def test_without_a_preprocessor_the_input_is_not_guessed(tmp_path: Path) -> None:
    folder = vit_folder.write(tmp_path, vit_folder.model_of("vit"))
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(EncoderError, match=r"no preprocessor_config\.json"):
        open_source(str(folder))


def test_a_preprocessor_that_names_no_size_is_refused(tmp_path: Path) -> None:
    folder = vit_folder.write(tmp_path, vit_folder.model_of("vit"), size={"shortest_edge": 28})
    with pytest.raises(EncoderError, match="does not say what the input is"):
        open_source(str(folder))


def test_an_architecture_that_is_not_known_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(EncoderError, match="is a bert"):
        open_source(str(tmp_path))


def test_weights_that_are_damaged_are_refused(tmp_path: Path) -> None:
    folder = vit_folder.write(tmp_path, vit_folder.model_of("vit"))
    (folder / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(EncoderError, match="transformers cannot read"):
        open_source(str(folder))
