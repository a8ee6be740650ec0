"""The recipe of the default encoder, end to end on made pictures, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from evaluation.benchmark import LabelledImage
from evaluation.errors import BenchmarkError
from evaluation.vectors import ImageVectors
from indexer.errors import Rejected
from tests.fakes.benchmark import row, shape, write_benchmark
from training.errors import TrainingError
from training.fit import FitSettings, RunFolder
from training.radiology.findings import FindingsSettings
from training.radiology.general import GeneralSettings
from training.radiology.recipe import (
    RadiologyConfiguration,
    folds_of,
    load_tower,
    permissive_part,
    train_radiology,
    training_part,
)
from training.towers.mobilenet import MobileNetV2
from training.towers.resnet import ResNet50V2Trunk


def findings(licence: str = "permissive (CC BY 4.0)") -> list[LabelledImage]:
    """Two data sets with findings, one without, of a dozen subjects each."""
    rows = []
    for number in range(12):
        kind = ("square", "cross")[number % 2]
        for dataset, finding, modality in (
            ("brain_tumor_mr", kind, "MR"),
            ("busi_breast_us", kind, "US"),
            ("mednist_modality", "", "CT"),
        ):
            made = row(f"{dataset}{number}.png", f"s{number}", modality=modality, body_part=modality.lower())
            rows.append(replace(made, dataset=dataset, finding=finding, licence_class=licence))
    return rows


def benchmark_in(folder: Path, rows: list[LabelledImage]) -> Path:
    write_benchmark(folder, rows, [shape(("square", "cross")[(i // 3) % 2], i) for i in range(len(rows))])
    return folder


def weights_in(folder: Path) -> dict[str, Path]:
    """Files as the ImageNet weights come in, with random values."""
    torch.manual_seed(0)
    files = {"weights": MobileNetV2(), "teacher_weights": ResNet50V2Trunk()}
    for name, tower in files.items():
        save_file(tower.state_dict(), folder / f"{name}.safetensors")
    return {name: folder / f"{name}.safetensors" for name in files}


def configuration(folder: Path, rows: list[LabelledImage], fold: int | None = None) -> RadiologyConfiguration:
    weights = weights_in(folder)
    return RadiologyConfiguration(
        benchmark=benchmark_in(folder / "bench", rows),
        **weights,
        fold=fold,
        folds=3,
        views=1,
        findings=FindingsSettings(steps=3, batch_size=8, warm_up=1),
        general=GeneralSettings(steps=2, batch_size=8, warm_up=1),
        fit=FitSettings(threads=1, save_every=1),
    )


def test_a_run_leaves_its_configuration_its_losses_and_a_tower(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    done: list[tuple[int, int]] = []
    train_radiology(configuration(tmp_path, findings()), run, lambda *so_far: done.append(so_far))
    assert done[-1] == (72, 72)
    tower = load_tower(run.path)
    with torch.inference_mode():
        vectors = tower(torch.rand(2, 3, 224, 224))
    assert vectors.shape == (2, tower.dimension)
    assert torch.isfinite(vectors).all()
    columns = (run.path / "findings" / "losses.csv").read_text().splitlines()[0].split(",")
    assert {"brain tumour", "breast", "region"} < set(columns)
    assert tower.gate.prototypes.norm(dim=1).allclose(torch.ones(len(tower.gate.prototypes)))
    assert -1.001 < float(tower.gate.threshold) < 1.001
    assert not (run.path / "views.pt").exists()


def test_images_that_changed_since_the_run_was_cut_off_are_refused(tmp_path: Path) -> None:
    wanted, run = configuration(tmp_path, findings()), RunFolder(tmp_path / "run")

    def cut_off(done: int, total: int) -> None:
        if done == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_radiology(wanted, run, cut_off)
    benchmark_in(wanted.benchmark, list(reversed(findings())))
    with pytest.raises(TrainingError, match="learned from other images"):
        train_radiology(wanted, run, lambda *_: None)
    assert not run.model.exists()


def test_a_fold_is_held_out_of_training(tmp_path: Path) -> None:
    wanted = configuration(tmp_path, findings(), fold=1)
    permissive = permissive_part(wanted.benchmark)
    held_out = set(folds_of(permissive, 3, 0)[1].held_out.tolist())
    names = {image.image for image in training_part(wanted).images}
    assert held_out
    assert names.isdisjoint(permissive.images[index].image for index in held_out)


def test_what_was_not_learned_from_is_embedded_to_be_scored(tmp_path: Path) -> None:
    rows = findings()
    rows[0] = replace(rows[0], licence_class="nc")
    wanted = configuration(tmp_path, rows, fold=1)
    train_radiology(wanted, RunFolder(tmp_path / "run"), lambda *_: None)
    scored = ImageVectors.read(tmp_path / "run" / "vectors.npz")
    learned = {image.image for image in training_part(wanted).images}
    assert set(scored.image) == {image.image for image in rows} - learned
    assert rows[0].image in scored.image


def test_images_that_may_not_be_shipped_with_are_not_learned_from(tmp_path: Path) -> None:
    rows = findings()
    rows[0] = replace(rows[0], licence_class="nc")
    wanted = configuration(tmp_path, rows)
    assert rows[0].image not in {image.image for image in training_part(wanted).images}


def test_a_benchmark_without_a_shippable_image_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match="no image is of that kind"):
        training_part(configuration(tmp_path, findings("nc")))


def test_a_benchmark_without_findings_is_refused(tmp_path: Path) -> None:
    rows = [image for image in findings() if image.dataset == "mednist_modality"]
    with pytest.raises(BenchmarkError, match="no finding to learn"):
        training_part(configuration(tmp_path, rows))


def test_a_fold_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="count from 0 to 2"):
        training_part(configuration(tmp_path, findings(), fold=3))


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    wanted = configuration(tmp_path, findings())
    swapped = wanted.model_copy(update={"weights": wanted.teacher_weights})
    with pytest.raises(Rejected, match="does not hold the weights of MobileNetV2"):
        train_radiology(swapped, RunFolder(tmp_path / "run"), lambda *_: None)


def test_a_folder_without_a_run_that_ended_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="does not hold a run that has ended"):
        load_tower(tmp_path)


def test_a_run_with_the_same_seed_gives_the_same_tower(tmp_path: Path) -> None:
    wanted = configuration(tmp_path, findings())
    states = []
    for name in ("one", "two"):
        train_radiology(wanted, RunFolder(tmp_path / name), lambda *_: None)
        states.append(load_tower(tmp_path / name).state_dict())
    for name, value in states[0].items():
        np.testing.assert_array_equal(value.numpy(), states[1][name].numpy(), err_msg=name)
