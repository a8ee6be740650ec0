from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from inference.card import EncoderError
from inference.text import TextEncoder
from tests.fakes.text_tower import add_text_tower, mean_of_words
from tests.inference.conftest import GREY32

AXES = np.eye(1024, dtype=np.float32)
WORDS = {"brain": AXES[0], "chest": AXES[1], "mass": AXES[2]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return add_text_tower(Path(shutil.copytree(GREY32, tmp_path / "encoder")), WORDS, max_tokens=3)


def test_texts_become_unit_rows_that_do_not_depend_on_their_batch(folder: Path) -> None:
    text = TextEncoder(folder, threads=1)
    vectors = text.encode(["Brain mass", "chest", "chest mass mass"])
    np.testing.assert_allclose(vectors[0, :3], [0.5**0.5, 0, 0.5**0.5], atol=1e-6)
    np.testing.assert_allclose(vectors[1], text.encode(["chest"])[0], atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_what_is_longer_than_the_card_allows_is_cut_off(folder: Path) -> None:
    vectors = TextEncoder(folder).encode(["brain brain brain chest mass", "brain"])
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)


def test_a_text_without_a_known_word_has_a_zero_row(folder: Path) -> None:
    assert not TextEncoder(folder).encode(["", "unheard of"]).any()


def test_a_text_is_known_when_a_word_of_it_is(folder: Path) -> None:
    text = TextEncoder(folder)
    assert [text.knows(words) for words in ("an unheard mass", "unheard of", "")] == [True, False, False]
    assert text.languages == ("en",)


def test_sentences_are_joined_into_passages_that_are_read_at_once(folder: Path) -> None:
    passages = TextEncoder(folder).passages(["brain", "chest mass", "mass", "brain brain chest mass", "mass"])
    assert passages == ["brain chest mass", "mass", "brain brain chest mass", "mass"]


def test_many_texts_are_embedded_in_batches_and_progress_is_told(folder: Path) -> None:
    text, told = TextEncoder(folder), list[int]()
    many = text.encode_all(["brain", "chest", "mass"], batch_size=2, progress=told.append)
    np.testing.assert_allclose(many[:, :3], np.eye(3), atol=1e-6)
    assert told == [2, 1]
    assert text.encode_all([]).shape == (0, 1024)


def test_an_encoder_without_a_text_tower_says_so() -> None:
    with pytest.raises(EncoderError, match="no text tower"):
        TextEncoder(GREY32)


@pytest.mark.parametrize("name", ["tokenizer.json", "text.onnx"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(EncoderError, match=name):
        TextEncoder(folder)


def test_an_exchanged_tokenizer_is_noticed(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(EncoderError, match="SHA-256"):
        TextEncoder(folder)


def test_a_tokenizer_that_is_none_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    rehash(folder)
    with pytest.raises(EncoderError, match="not a tokenizer"):
        TextEncoder(folder)


def test_a_model_with_other_inputs_is_refused(folder: Path) -> None:
    model = mean_of_words(AXES[:3], inputs=("ids", "attention_mask"))
    (folder / "text.onnx").write_bytes(model.SerializeToString())
    rehash(folder)
    with pytest.raises(EncoderError, match="input_ids"):
        TextEncoder(folder)


def test_a_model_of_another_dimension_is_refused(folder: Path) -> None:
    (folder / "text.onnx").write_bytes(mean_of_words(AXES[:4, :5]).SerializeToString())
    rehash(folder)
    with pytest.raises(EncoderError, match="5 numbers"):
        TextEncoder(folder).encode(["brain"])


def rehash(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_text())
    for key, name in (("onnx_sha256", "text.onnx"), ("tokenizer_sha256", "tokenizer.json")):
        card["text"][key] = hashlib.sha256((folder / name).read_bytes()).hexdigest()
    (folder / "card.json").write_text(json.dumps(card))
