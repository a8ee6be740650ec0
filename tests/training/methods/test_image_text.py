from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from evaluation.benchmark import Benchmark
from evaluation.errors import BenchmarkError
from evaluation.folds import refuse_shared_subjects
from tests.training.methods.captioned import PLACES, SHAPES, small, write_captioned
from training.errors import TrainingError
from training.fit import RunFolder, fit
from training.learned_from import LearnedFrom
from training.methods.image_text import (
    ImageText,
    ImageTextBatch,
    load_model,
    load_text_tower,
    load_tower,
    train_image_text,
)
from training.methods.image_text_configuration import RATE, RATE_OF_CLIP, ImageTextConfiguration
from training.methods.image_text_folds import folds_over_cases, measure, train_folds
from training.methods.image_text_model import PooledTower
from training.methods.image_text_pairs import ImageTextPairs
from training.towers.resnet import ResNet18


@pytest.fixture
def drawn(tmp_path: Path) -> Benchmark:
    return write_captioned(tmp_path / "bench")


class CutOff(Exception):
    pass


class Interrupted(ImageText):
    """The same method, cut off at its ninth step."""

    def batch(self, step: int) -> ImageTextBatch:
        if step == 8:
            raise CutOff
        return super().batch(step)


def weights(run: Path) -> dict[str, torch.Tensor]:
    state: dict[str, torch.Tensor] = torch.load(RunFolder(run).model, weights_only=True)
    return state


def loss_column(run: Path) -> list[float]:
    with RunFolder(run).losses.open(newline="", encoding="utf-8") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_it_learns_to_find_drawings_of_other_cases_by_their_captions(
    tmp_path: Path,
) -> None:
    drawn, wanted = write_captioned(tmp_path / "bench", each=10), small(tmp_path)
    found = train_folds(wanted, drawn, tmp_path / "runs", folds=2)
    figures = measure(found)
    text = figures["text"]
    assert isinstance(text, dict)
    assert text["text to image R@1"]["mean"] >= 0.45
    assert text["text to image R@1 chance"]["mean"] < 0.2
    assert text["text to image tied"]["highest"] == text["image to text tied"]["highest"] == 0
    losses = loss_column(tmp_path / "runs" / "fold-0")
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.5
    for fold in range(2):
        assert (tmp_path / "runs" / f"fold-{fold}" / "vectors.npz").is_file()


def test_a_folder_of_other_folds_is_refused(drawn: Benchmark, tmp_path: Path) -> None:
    wanted = small(tmp_path, steps=1)
    train_folds(wanted, drawn, tmp_path / "runs", folds=3)
    with pytest.raises(TrainingError, match="another fold of them"):
        train_folds(wanted, drawn, tmp_path / "runs", folds=2)
    assert len(train_folds(wanted, drawn, tmp_path / "runs", folds=3)) == 3


def test_a_run_that_has_seen_what_is_held_out_is_no_start_of_a_fold(drawn: Benchmark, tmp_path: Path) -> None:
    train_image_text(small(tmp_path, steps=1), drawn.at(range(7)), tmp_path / "earlier")
    wanted = small(tmp_path, steps=1, initialisation="captions", start_run=tmp_path / "earlier")
    with pytest.raises(TrainingError, match=r"learned from subjects of \d images that are held out"):
        train_folds(wanted, drawn, tmp_path / "runs", folds=2)
    assert len(train_folds(wanted, drawn.at(range(7, 48)), tmp_path / "others", folds=2)) == 2
    again = wanted.model_copy(update={"start_run": tmp_path / "others" / "fold-0"})
    with pytest.raises(TrainingError, match="are held out"):
        train_folds(again, drawn.at(range(7)), tmp_path / "third", folds=2)
    (tmp_path / "earlier" / "learned_from.json").unlink()
    with pytest.raises(TrainingError, match="does not say which images"):
        train_folds(wanted, drawn, tmp_path / "runs", folds=2)


def test_a_head_on_frozen_towers_learns_too(drawn: Benchmark, tmp_path: Path) -> None:
    wanted = small(
        tmp_path,
        tune_image_tower="none",
        tune_text_tower=False,
        augmentation_views=1,
        steps=150,
        image_dropout=0.1,
        text_fields=("caption", "report_sentences"),
        class_labels=("body_part",),
        class_share=0.2,
        loss="clip",
    )
    train_image_text(wanted, drawn, tmp_path / "run")
    losses = loss_column(tmp_path / "run")
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.3


def test_frozen_towers_stay_as_they_were_and_tuned_ones_move(drawn: Benchmark, tmp_path: Path) -> None:
    for tuned in ("none", "last_blocks", "all"):
        method = ImageText(small(tmp_path, tune_image_tower=tuned, tune_text_tower=False), drawn)
        before = {name: value.clone() for name, value in method.model.state_dict().items()}
        method.model.train()
        method.losses(method.batch(0))["loss"].backward()  # type: ignore[no-untyped-call]
        method.optimizer.step()
        moved = {n for n, value in method.model.state_dict().items() if not torch.equal(value, before[n])}
        of_tower = {name for name in moved if name.startswith("image.tower")}
        assert not any(name.startswith("text.tower") for name in moved)
        assert any(name.startswith("image.head") for name in moved)
        everything = {name for name in before if name.startswith("image.tower")}
        assert (len(of_tower) > 0) is (tuned != "none")
        assert (len(of_tower) < len(everything) / 2) is (tuned != "all")


def test_a_run_that_was_cut_off_ends_with_the_same_weights(drawn: Benchmark, tmp_path: Path) -> None:
    wanted = small(tmp_path, steps=12, image_dropout=0.2, augment=True)
    train_image_text(wanted, drawn, tmp_path / "whole")

    folder = RunFolder(tmp_path / "cut")
    folder.open(wanted, LearnedFrom(images=tuple(image.image for image in drawn.images)))
    with pytest.raises(CutOff):
        fit(Interrupted(wanted, drawn), folder, wanted.settings)
    assert folder.checkpoint.exists()
    train_image_text(wanted, drawn, tmp_path / "cut")
    whole, cut = weights(tmp_path / "whole"), weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    for name, value in whole.items():
        torch.testing.assert_close(cut[name], value, msg=name)
    assert len(loss_column(tmp_path / "cut")) == 12


def test_a_finished_run_gives_both_towers_from_its_folder_alone(drawn: Benchmark, tmp_path: Path) -> None:
    run = tmp_path / "run"
    wanted = small(tmp_path, steps=3, vocabulary_size=60)
    model = train_image_text(wanted, drawn, run)
    (tmp_path / "text" / "tokenizer.json").unlink()
    (tmp_path / "vision" / "config.json").unlink()
    image, text = load_tower(run), load_text_tower(run)
    images = torch.randn(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(image(images), model.image(images))
        assert image.feature_map(images).shape == (2, image.width, 4, 4)
        ids, mask = text.tower.tokens(["A bright bar.", "Disc"])
        torch.testing.assert_close(text(ids, mask), model.text(ids, mask))
    assert image.dimension == text.dimension == 16
    assert not image.training
    assert (run / "text" / "tokenizer.json").is_file()
    assert load_model(run)[0] == wanted
    (run / "text" / "tokenizer.json").unlink()
    with pytest.raises(TrainingError, match=r"no tokenizer\.json"):
        load_text_tower(run)


def test_an_earlier_run_on_captions_is_where_another_starts(drawn: Benchmark, tmp_path: Path) -> None:
    earlier = train_image_text(small(tmp_path, steps=3), drawn, tmp_path / "captions")
    wanted = small(tmp_path, initialisation="captions", start_run=tmp_path / "captions")
    method = ImageText(wanted, drawn)
    for name, value in earlier.image.state_dict().items():
        torch.testing.assert_close(method.towers.image.state_dict()[name], value)
    with pytest.raises(TrainingError, match="another dimension"):
        ImageText(wanted.model_copy(update={"dimension": 8}), drawn)


def test_batches_depend_on_the_step_and_the_seed_alone(drawn: Benchmark, tmp_path: Path) -> None:
    wanted = small(tmp_path, text_fields=("caption", "report_sentences"))
    pairs = ImageTextPairs.of(drawn, wanted)
    first, again, other = (pairs.draw(0, step, 16) for step in (3, 3, 4))
    assert first.text == again.text
    np.testing.assert_array_equal(first.index, again.index)
    assert first.index.tolist() != other.index.tolist()
    assert len(set(first.index.tolist())) == 16
    for index, text in zip(first.index, first.text, strict=True):
        assert text == drawn.images[index].caption


def test_images_that_share_a_caption_are_each_others_positives(drawn: Benchmark, tmp_path: Path) -> None:
    target = ImageTextPairs.of(drawn, small(tmp_path)).draw(0, 0, len(drawn)).target
    kinds = len(PLACES) * len(SHAPES)
    each = len(drawn) / kinds
    assert float(target.max()) == pytest.approx(1 / each)
    torch.testing.assert_close(target.sum(dim=1), torch.ones(len(drawn)))


def test_images_without_a_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="0 images have a text"):
        ImageText(small(tmp_path), write_captioned(tmp_path / "bench", captions=False))


def test_a_set_with_no_image_is_refused(drawn: Benchmark) -> None:
    with pytest.raises(BenchmarkError, match="has no data set"):
        drawn.dataset("medpix_ctmr")


def test_no_case_is_on_both_sides_and_one_that_is_would_be_refused(drawn: Benchmark) -> None:
    doubled = replace(
        drawn, images=tuple(replace(i, subject=f"c{n // 3}") for n, i in enumerate(drawn.images))
    )
    for fold in folds_over_cases(doubled, 4, 0):
        refuse_shared_subjects(doubled.at(fold.training.tolist()), doubled.at(fold.held_out.tolist()))
    with pytest.raises(BenchmarkError, match="both sides"):
        refuse_shared_subjects(doubled.at([0, 3]), doubled.at([1, 6]))


def test_a_configuration_says_what_it_starts_from() -> None:
    for broken, why in (
        ({"initialisation": "imagenet"}, "0 files for 1 trunks"),
        ({"initialisation": "clip"}, "CLIP folder"),
        ({"initialisation": "captions"}, "start_run"),
        ({"initialisation": "clinical", "image_weights": ("w",)}, "text_encoder"),
        ({"initialisation": "random", "trunks": ("huggingface",)}, "image_folder"),
    ):
        with pytest.raises(ValidationError, match=why):
            ImageTextConfiguration.model_validate(broken)


def test_the_generalized_mean_weighs_what_is_bright_more() -> None:
    tower = PooledTower(ResNet18(), 3.0).eval()
    images = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        mapped, pooled = tower.feature_map(images), tower(images)
    torch.testing.assert_close(pooled, mapped.clamp(min=1e-6).pow(3).mean((2, 3)).pow(1 / 3))
    assert bool((pooled >= mapped.mean((2, 3)) - 1e-5).all())
    assert bool((pooled <= mapped.amax((2, 3)) + 1e-5).all())


def test_clip_is_tuned_at_a_tenth_of_the_rate(tmp_path: Path) -> None:
    assert ImageTextConfiguration(initialisation="random").rate_of_towers == RATE
    clip = ImageTextConfiguration(initialisation="clip", trunks=("huggingface",), image_folder=tmp_path)
    assert clip.rate_of_towers == RATE_OF_CLIP
