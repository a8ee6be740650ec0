"""Multi-sequence learning on generated pictures: it learns, goes on, and says what it cannot use."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from evaluation.vectors import ImageVectors
from tests.training.methods.brains import brains
from training.errors import TrainingError
from training.fit import FitSettings, RunFolder, fit
from training.methods.sequence_batches import SequenceBatch
from training.methods.sequence_folds import patient_folds
from training.methods.sequence_runs import baseline_vectors, run_sequences
from training.methods.sequence_slices import SequenceSlices
from training.methods.sequences import SequencesConfiguration, SequencesMethod, as_input, load_tower
from training.towers.sequences import MapShape, map_vector

FIT = FitSettings(threads=1, bfloat16=False, save_every=2)
TINY = SequencesConfiguration(side=64, groups=4, steps=3, backbone="resnet18", fit=FIT)


class _CutOff(SequencesMethod):
    """Power fails before the third step."""

    def batch(self, step: int) -> SequenceBatch:
        if step == 2:
            raise KeyboardInterrupt
        return super().batch(step)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_the_lesions_place_is_learned_and_found_in_other_sequences(tmp_path: Path) -> None:
    brains(tmp_path / "bench", missing=[(2, "T1")])
    wanted = TINY.model_copy(
        update={
            "lesion_weight": 1.0, "contrastive_weight": 0.1, "embedding": "map", "steps": 12, "folds": 2,
            "map_side": 16, "warm_up": 2, "fit": FIT.model_copy(update={"save_every": 100}),
        }
    )  # fmt: skip
    tables = run_sequences(tmp_path / "bench", "made", tmp_path / "out", wanted, {})
    chance = tables["within folds | learned"]["mask IoU, other sequence, chance@10"]["mean"]
    found = tables["within folds | learned"]["mask IoU, other sequence, nDCG@10"]["mean"]
    assert found > chance + 0.1
    with (tmp_path / "out" / "fold-1" / "losses.csv").open(newline="") as file:
        losses = [float(row["lesion"]) for row in csv.DictReader(file)]
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    assert any(name.startswith("pooled | ratio to pixel") for name in tables)
    pooled = ImageVectors.read(tmp_path / "out" / "vectors.npz")
    held_out = ImageVectors.read(tmp_path / "out" / "fold-0" / "held_out.npz")
    place = pooled.image.index(held_out.image[0])
    assert np.array_equal(pooled.vector[place], held_out.vector[0])
    # The same command again learns nothing anew, and says the same.
    assert run_sequences(tmp_path / "bench", "made", tmp_path / "out", wanted, {}) == tables


def test_vectors_of_another_configuration_are_not_taken_for_new_ones(tmp_path: Path) -> None:
    brains(tmp_path / "bench", 4)
    wanted = TINY.model_copy(update={"steps": 1, "folds": 2, "groups": 2})
    run_sequences(tmp_path / "bench", "made", tmp_path / "out", wanted, {}, only=0)
    for changes in ({"steps": 2}, {"temperature": 0.2}, {"folds": 4}):
        other = wanted.model_copy(update=changes)
        with pytest.raises(TrainingError, match="another configuration"):
            run_sequences(tmp_path / "bench", "made", tmp_path / "out", other, {}, only=0)


def test_a_baseline_of_other_weights_is_reckoned_anew(tmp_path: Path) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415 - beside its use

    from training.towers.mobilenet import MobileNetV2  # noqa: PLC0415

    benchmark = brains(tmp_path / "bench", 2)
    found = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        save_file(MobileNetV2().state_dict(), tmp_path / "weights.safetensors")
        found.append(baseline_vectors(benchmark, {}, tmp_path / "weights.safetensors", tmp_path / "out"))
    first, second = (vectors["ImageNet MobileNetV2"] for vectors in found)
    assert not np.allclose(first, second)


def test_no_patient_is_learned_from_and_held_out(tmp_path: Path) -> None:
    benchmark = brains(tmp_path)
    slices = SequenceSlices.read(benchmark, 32)
    for fold in patient_folds(benchmark, 4):
        assert not set(slices.patient[fold.training]) & set(slices.patient[fold.held_out])


def test_a_run_that_was_cut_off_ends_where_it_would_have(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path / "bench"), 64)
    torch.manual_seed(0)
    whole = SequencesMethod(TINY, slices)
    start = {name: value.clone() for name, value in whole.model.state_dict().items()}
    fit(whole, RunFolder(_made(tmp_path / "whole")), FIT)
    cut = _CutOff(TINY, slices)
    cut.model.load_state_dict(start)
    with pytest.raises(KeyboardInterrupt):
        fit(cut, RunFolder(_made(tmp_path / "cut")), FIT)
    again = SequencesMethod(TINY, slices)
    fit(again, RunFolder(tmp_path / "cut"), FIT)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name]), name


@pytest.mark.parametrize(
    "row",
    [
        {"embedding": "pooled", "reconstruction_weight": 1.0},
        {"embedding": "spatial", "backbone": "mobilenetv2"},
        {"view": "best", "embedding": "projected", "positives": "patient", "augmented": False},
        {"view": "volume", "slices_per_volume": 2},
        {"view": "volume", "slices_per_volume": 2, "volume": "late interaction"},
        {"embedding": "map+spatial", "lesion_weight": 1.0},
        {"contrastive_weight": 0.0, "reconstruction_weight": 1.0},
    ],
)
def test_every_row_of_the_table_runs_and_its_tower_is_read_again(
    row: dict[str, object], tmp_path: Path
) -> None:
    wanted = SequencesConfiguration.model_validate({**TINY.model_dump(), **row, "steps": 1})
    method = SequencesMethod(wanted, SequenceSlices.read(brains(tmp_path / "bench", 4), 64))
    run = RunFolder(tmp_path / "run")
    run.open(wanted)
    fit(method, run, FIT)
    tower = load_tower(tmp_path / "run")
    images = as_input(torch.rand(2, 1, 64, 64))
    with torch.inference_mode():
        assert torch.allclose(tower(images), method.tower.eval()(images), atol=1e-5)
        assert tower.feature_map(images).shape[2:] == (2, 2)  # type: ignore[operator]


def test_frozen_stages_do_not_change(tmp_path: Path) -> None:
    from safetensors.torch import save_file  # noqa: PLC0415 - beside its use

    from training.towers.mobilenet import MobileNetV2  # noqa: PLC0415

    save_file(MobileNetV2().state_dict(), tmp_path / "weights.safetensors")
    wanted = TINY.model_copy(
        update={"backbone": "mobilenetv2", "weights": tmp_path / "weights.safetensors", "frozen_stages": 2}
    )
    method = SequencesMethod(wanted, SequenceSlices.read(brains(tmp_path / "bench", 4), 64))
    before = {name: value.clone() for name, value in method.model.state_dict().items()}
    fit(method, RunFolder(_made(tmp_path / "run")), FIT)
    after = method.model.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert not any(name.startswith(("pyramid.tower.stem", "pyramid.tower.blocks.0.")) for name in changed)
    assert any(name.startswith("pyramid.tower.blocks.16.") for name in changed)


def test_maps_of_lesions_that_overlap_are_nearer_and_mirrored_maps_are_not() -> None:
    maps = torch.zeros(3, 1, 16, 16)
    maps[0, 0, 4:8, 2:6] = maps[1, 0, 5:9, 3:7] = maps[2, 0, 4:8, 10:14] = 1.0
    vectors = torch.nn.functional.normalize(map_vector(maps, MapShape(side=16, blur=0.0)), dim=1)
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert near == pytest.approx(9 / 16, abs=0.01)
    assert far < 0.02


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"contrastive_weight": 0}, "Nothing is learned"),
        ({"embedding": "map"}, "needs a lesion_weight"),
        ({"fold": 5}, "no fold 5"),
        ({"frozen_stages": 1}, "cannot be frozen"),
        ({"sides": 3}, "Extra inputs"),
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        SequencesConfiguration.model_validate(wrong)


def test_lesion_maps_without_masks_are_refused(tmp_path: Path) -> None:
    slices = SequenceSlices.read(brains(tmp_path, masks=False), 64)
    with pytest.raises(TrainingError, match="No image has a lesion mask"):
        SequencesMethod(TINY.model_copy(update={"lesion_weight": 1.0}), slices)


def test_a_folder_without_a_finished_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finished run"):
        load_tower(tmp_path)
    (tmp_path / "configuration.json").write_text(json.dumps({"method": "another"}))
    with pytest.raises(TrainingError, match="does not hold a run"):
        load_tower(tmp_path)
