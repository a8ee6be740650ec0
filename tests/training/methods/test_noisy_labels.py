from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from torch import Tensor

from evaluation.benchmark import LABELS_NAME, Benchmark
from evaluation.errors import BenchmarkError
from evaluation.vectors import ImageVectors
from tests.training.methods.pictured import KINDS, SIDE, write_benchmark, write_weights
from training.errors import TrainingError
from training.fit import LOSSES_NAME, FitSettings, RunFolder, fit, seed_everything
from training.learned_from import LearnedFrom
from training.methods.clusters import ClusterSettings, learn_clusters, load_network
from training.methods.label_noise import corrupted
from training.methods.labelled_pictures import LabelledPictures, balanced
from training.methods.noisy_label_folds import FIGURES_NAME, VECTORS_NAME, NoisyLabelFolds, learn
from training.methods.noisy_labels import (
    LabelledBatch,
    NoisyLabelsConfiguration,
    NoisyLabelsMethod,
    frozen_features,
    load_model,
    load_tower,
    pooled,
    start_from,
)
from training.towers.mobilenet import MobileNetV2

SETTINGS = FitSettings(threads=1, bfloat16=False, save_every=2)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "tower.safetensors")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> LabelledPictures:
    folder = write_benchmark(tmp_path_factory.mktemp("bench") / "bars", 30)
    return LabelledPictures.read(Benchmark.open(folder), "finding", SIDE)


def configured(weights: Path, **changes: object) -> NoisyLabelsConfiguration:
    wanted: Mapping[str, object] = {
        "dataset": "bars",
        "start": weights,
        "side": SIDE,
        "steps": 3,
        "batch_size": 6,
        "frozen_blocks": 12,
        "folds": 2,
        "fit": SETTINGS,
    }
    return NoisyLabelsConfiguration.model_validate({**wanted, **changes})


def noisy_waves(count: int, seed: int) -> tuple[Tensor, NDArray[np.int64]]:
    """Waves that lean, lie or stand, under noise four times as strong; (count, 32 * 40)."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:32, :40]
    waves = np.stack([np.sin((rows + columns) / 3), np.sin(rows / 2), np.sin(columns / 2)])
    target = np.arange(count, dtype=np.int64) % 3
    drawn = waves[target] + random.normal(0, 4, (count, 32, 40))
    return torch.from_numpy(drawn.reshape(count, -1).astype(np.float32)), target


def accuracy_on_clean(loss: str, start: Path, run: Path) -> float:
    given, target = noisy_waves(1800, seed=0)
    clean, truth = noisy_waves(600, seed=10)
    wanted = configured(
        start, tuned="head", loss=loss, noise=0.4, steps=400, batch_size=48, learning_rate=3e-3
    )
    folder = RunFolder(run)
    folder.open(wanted)
    seed_everything(wanted.fit)
    method = NoisyLabelsMethod(wanted, given, corrupted(target, 3, 0.4, "symmetric", seed=0), 3)
    fit(method, folder, FitSettings(threads=1, bfloat16=False, save_every=1000))
    with torch.inference_mode():
        return float((method.model(clean).argmax(1).numpy() == truth).mean())


def test_with_40_percent_wrong_labels_it_knows_clean_pictures_better_than_cross_entropy(
    weights: Path, tmp_path: Path
) -> None:
    plain = accuracy_on_clean("cross-entropy", weights, tmp_path / "ce")
    generalized = accuracy_on_clean("generalized", weights, tmp_path / "gce")
    truncated = accuracy_on_clean("truncated", weights, tmp_path / "truncated")
    assert generalized > plain + 0.08
    assert truncated > plain + 0.12


def test_a_run_that_was_cut_off_ends_like_one_that_was_not(
    weights: Path, pictures: LabelledPictures, tmp_path: Path
) -> None:
    wanted = configured(weights, noise=0.2)
    rows = np.arange(len(pictures), dtype=np.intp)
    features = frozen_features(wanted, pictures.images)

    class CutOff(NoisyLabelsMethod):
        def batch(self, step: int) -> LabelledBatch:
            if step == 2:
                raise KeyboardInterrupt
            return super().batch(step)

    whole = learn(wanted, pictures, rows, features, RunFolder(tmp_path / "whole")).state_dict()
    cut = RunFolder(tmp_path / "cut")
    names = tuple(image.image for image in pictures.benchmark.images)
    cut.open(wanted, LearnedFrom(images=names, fold=0, folds=2))
    seed_everything(wanted.fit)
    target = corrupted(pictures.target, 3, wanted.noise, wanted.noise_kind, wanted.fit.seed)
    with pytest.raises(KeyboardInterrupt):
        fit(CutOff(wanted, pictures.images, target, 3), cut, wanted.fit)
    assert cut.checkpoint.exists()
    resumed = learn(wanted, pictures, rows, features, cut).state_dict()
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert (tmp_path / "cut" / LOSSES_NAME).read_text() == (tmp_path / "whole" / LOSSES_NAME).read_text()


def test_only_what_is_not_frozen_learns_and_batch_statistics_stay(
    weights: Path, pictures: LabelledPictures, tmp_path: Path
) -> None:
    start = MobileNetV2()
    start_from(start, weights)
    wanted = configured(weights, learning_rate=1e-2)
    rows = np.arange(len(pictures), dtype=np.intp)
    model = learn(wanted, pictures, rows, torch.empty(0), RunFolder(tmp_path / "run"))
    before, after = start.state_dict(), model.tower.trunk.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed
    assert not [name for name in changed if "running_" in name]
    assert {name.split(".")[1] for name in changed if name.startswith("blocks")} == set(
        map(str, range(12, 17))
    )
    assert not [name for name in changed if name.startswith("stem")]


@pytest.mark.parametrize(("tuned", "projection"), [("head", 16), ("tower", 0)])
def test_a_fold_leaves_figures_and_vectors_that_the_loaded_tower_gives_again(
    weights: Path, pictures: LabelledPictures, tmp_path: Path, tuned: str, projection: int
) -> None:
    wanted = configured(weights, tuned=tuned, projection=projection)
    figures = NoisyLabelFolds(pictures, wanted).run(wanted, tmp_path / "run")
    assert json.loads((tmp_path / "run" / FIGURES_NAME).read_text())["images"] == figures.images == 15
    assert 0 <= figures.macro_f1 <= figures.accuracy + 0.34
    vectors = ImageVectors.read(tmp_path / "run" / VECTORS_NAME)
    tower = load_tower(tmp_path / "run")
    assert tower.dimension == vectors.vector.shape[1] == (projection or 1280)
    where = {image.image: i for i, image in enumerate(pictures.benchmark.images)}
    held_out = pictures.images[[where[name] for name in vectors.image]]
    np.testing.assert_allclose(pooled(tower, held_out, SETTINGS), vectors.vector, rtol=1e-3, atol=1e-3)
    mapped = tower.feature_map(torch.zeros(1, 3, 64, 96))
    assert mapped.shape == (1, tower.dimension, 2, 3)
    assert len(load_model(tmp_path / "run").classes.weight) == len(KINDS)


def test_another_run_s_tower_can_be_the_start(
    weights: Path, pictures: LabelledPictures, tmp_path: Path
) -> None:
    wanted = configured(weights, learning_rate=1e-2, folds=0)
    rows = np.arange(len(pictures), dtype=np.intp)
    model = learn(wanted, pictures, rows, torch.empty(0), RunFolder(tmp_path / "run"))
    trunk = MobileNetV2()
    start_from(trunk, tmp_path / "run")
    assert all(
        torch.equal(a, b) for a, b in zip(trunk.parameters(), model.tower.trunk.parameters(), strict=True)
    )


def test_a_run_of_clusters_can_be_the_start(
    weights: Path, pictures: LabelledPictures, tmp_path: Path
) -> None:
    wanted = ClusterSettings(
        weights=str(weights), clusters=2, side=SIDE, views=2, steps=1, tuned_blocks=1, fit=SETTINGS
    )
    learn_clusters(pictures.images, wanted, RunFolder(tmp_path))
    learned, trunk = load_network(RunFolder(tmp_path)).tower, MobileNetV2()
    start_from(trunk, tmp_path)
    assert all(torch.equal(a, b) for a, b in zip(trunk.parameters(), learned.parameters(), strict=True))


def test_a_start_that_has_seen_what_is_held_out_is_refused(
    weights: Path, pictures: LabelledPictures, tmp_path: Path
) -> None:
    rows = np.arange(len(pictures), dtype=np.intp)
    whole = configured(weights, folds=0, steps=1)
    learn(whole, pictures, rows, torch.empty(0), RunFolder(tmp_path / "whole"))
    wanted = configured(tmp_path / "whole", tuned="head", steps=1)
    with pytest.raises(TrainingError, match="learned from subjects of 15 images that are held out"):
        NoisyLabelFolds(pictures, wanted).run(wanted, tmp_path / "run")


def test_a_start_that_holds_no_tower_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no run with an image tower"):
        start_from(MobileNetV2(), tmp_path)
    (tmp_path / "configuration.json").write_text('{"method": "no-such-method"}')
    with pytest.raises(TrainingError, match="no run with an image tower"):
        start_from(MobileNetV2(), tmp_path)
    with pytest.raises(TrainingError, match="is missing"):
        start_from(MobileNetV2(), tmp_path / "none.safetensors")


def test_every_class_is_drawn_as_often_and_the_step_decides() -> None:
    target = np.array([0] * 90 + [2] * 7 + [3] * 3, dtype=np.int64)
    drawn = target[balanced(target, 10, np.random.default_rng((0, 4)))]
    assert sorted(np.bincount(drawn, minlength=4).tolist()) == [0, 3, 3, 4]
    again = target[balanced(target, 10, np.random.default_rng((0, 4)))]
    assert (drawn == again).all()


def test_rows_that_teach_nothing_are_refused(tmp_path: Path) -> None:
    rows = Benchmark.open(write_benchmark(tmp_path / "some", 6))
    with pytest.raises(TrainingError, match=r"no label 'colour'.*finding"):
        LabelledPictures.read(rows, "colour", SIDE)
    with pytest.raises(TrainingError, match=r"no label 'caption'"):
        LabelledPictures.read(rows, "finding+caption", SIDE)
    with pytest.raises(TrainingError, match="modality US: there is nothing to tell apart"):
        LabelledPictures.read(rows, "modality", SIDE)
    with pytest.raises(TrainingError, match="plane is empty in all 6 rows"):
        LabelledPictures.read(rows, "plane", SIDE)
    with pytest.raises(BenchmarkError, match="has no data set"):
        rows.dataset("no_such_set")


def test_the_method_refuses_nothing_and_one_class(weights: Path) -> None:
    wanted = configured(weights)
    with pytest.raises(TrainingError, match="no image"):
        NoisyLabelsMethod(wanted, torch.empty(0, 3, 64, 64), np.empty(0, np.int64), 2)
    with pytest.raises(TrainingError, match="same label"):
        NoisyLabelsMethod(wanted, torch.empty(3, 3, 64, 64), np.zeros(3, np.int64), 2)


def test_a_subject_stays_on_one_side_with_its_near_duplicates(weights: Path, tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "some", 24)
    table = folder / LABELS_NAME
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    shutil.copy(folder / rows[0]["image"], folder / "copy.png")
    rows.append({**rows[0], "image": "copy.png", "subject": "another"})
    for row in rows[3:9]:
        row["subject"] = "same"
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    pictures = LabelledPictures.read(Benchmark.open(folder), "finding", SIDE)
    folds = NoisyLabelFolds(pictures, configured(weights, tuned="head"))
    seen: list[str] = []
    for fold in range(len(folds)):
        folds.run(configured(weights, tuned="head", fold=fold), tmp_path / f"fold-{fold}")
        seen.append(",".join(ImageVectors.read(tmp_path / f"fold-{fold}" / VECTORS_NAME).image))
    sides = [set(names.split(",")) for names in seen]
    assert not sides[0] & sides[1]
    assert [{"0.png", "copy.png"} <= side for side in sides].count(True) == 1
    assert [{f"{n}.png" for n in range(3, 9)} <= side for side in sides].count(True) == 1


def test_nobody_is_found_again_by_a_near_duplicate_under_another_name(weights: Path, tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "some", 24)
    table = folder / LABELS_NAME
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    alone = configured(weights, tuned="head")
    once = LabelledPictures.read(Benchmark.open(folder), "finding", SIDE)
    chance = NoisyLabelFolds(once, alone).run(alone, tmp_path / "once").chance
    for row in list(rows):
        copied = {**row, "image": f"copy-{row['image']}", "subject": f"another {row['subject']}"}
        shutil.copy(folder / row["image"], folder / copied["image"])
        rows.append(copied)
    with table.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    twice = LabelledPictures.read(Benchmark.open(folder), "finding", SIDE)
    figures = NoisyLabelFolds(twice, alone).run(alone, tmp_path / "twice")
    assert figures.images == 24
    assert figures.chance == pytest.approx(chance, abs=0.01)


def test_a_class_that_is_never_learned_and_too_many_folds_are_refused(weights: Path, tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "some", 12)
    table = folder / LABELS_NAME
    table.write_text(table.read_text().replace("leaning", "rare", 1).replace("leaning", "lying"))
    pictures = LabelledPictures.read(Benchmark.open(folder), "finding", SIDE)
    folds = NoisyLabelFolds(pictures, configured(weights, tuned="head"))
    with pytest.raises(TrainingError, match="rare is only among the held-out rows"):
        for fold in range(2):
            folds.run(configured(weights, tuned="head", fold=fold), tmp_path / f"fold-{fold}")
    with pytest.raises(BenchmarkError, match="cannot be cut into 13 folds"):
        NoisyLabelFolds(pictures, configured(weights, folds=13))
    with pytest.raises(TrainingError, match="differs from its folds"):
        folds.run(configured(weights, folds=3), tmp_path / "other")


@pytest.mark.parametrize(
    "wrong", [{"q": 0}, {"q": 1.1}, {"noise": 1}, {"start": None}, {"fold": 2}, {"side": 50}, {"loss": "mae"}]
)
def test_a_configuration_that_cannot_be_is_refused(weights: Path, wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        configured(weights, **wrong)


def test_a_folder_without_a_finished_run_of_this_method_is_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finished run"):
        load_tower(tmp_path)
    RunFolder(tmp_path).open(configured(weights))
    with pytest.raises(TrainingError, match="no finished run"):
        load_tower(tmp_path)
    torch.save({}, RunFolder(tmp_path).model)
    with pytest.raises(TrainingError, match="noisy-labels"):
        load_tower(tmp_path)
