"""Deep clustering of drawings: it finds their kinds, and without its prior it collapses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from evaluation.clustering import cluster_agreement
from evaluation.errors import BenchmarkError
from training.errors import TrainingError
from training.fit import FitSettings, RunFolder
from training.methods.cluster_views import Augmentation
from training.methods.clusters import ClusterMethod, ClusterSettings, learn_clusters, load_network, load_tower

KINDS, EACH, SIDE = 4, 24, 32


def drawings(seed: int = 0) -> tuple[Tensor, list[str]]:
    """Four kinds: a disc, a frame, stripes and a gradient, their places and brightness varied."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    images, labels = [], []
    for kind in range(KINDS):
        for _ in range(EACH):
            a, b = rng.uniform(0.4, 0.6, 2)
            shape = (
                (np.hypot(y - a, x - b) < 0.25) * 1.0,
                (np.maximum(abs(y - a), abs(x - b)) > 0.3) * 1.0,
                np.sin((x + a) * 40) > 0,
                y * b * 1.6,
            )[kind]
            picture = np.clip(shape * rng.uniform(0.6, 1.0) + rng.normal(0, 0.05, (SIDE, SIDE)), 0, 1)
            images.append(np.repeat((picture * 255).astype(np.uint8)[None], 3, axis=0))
            labels.append(str(kind))
    return torch.from_numpy(np.stack(images)), labels


def settings(**changes: object) -> ClusterSettings:
    given = {"clusters": KINDS, "side": SIDE, "views": 4, "steps": 150, "batch_size": 64, "hidden": 32}
    fit = FitSettings(threads=1, bfloat16=False)
    return ClusterSettings.model_validate({**given, "fit": fit, **changes})


def test_the_kinds_of_drawings_are_found(tmp_path: Path) -> None:
    images, labels = drawings()
    found = learn_clusters(images, settings(neighbours=5), RunFolder(tmp_path))
    agreement = cluster_agreement(labels, np.asarray(found.argmax(1)))
    assert agreement.used == KINDS
    assert agreement.purity >= 0.85
    np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-5)


def test_without_the_prior_clusters_are_left_empty_and_with_it_none_is(tmp_path: Path) -> None:
    images, labels = drawings()
    used = {}
    for weight in (0.0, 1.0):
        run = RunFolder(tmp_path / str(weight))
        found = learn_clusters(images, settings(prior_weight=weight), run)
        used[weight] = cluster_agreement(labels, np.asarray(found.argmax(1))).used
    assert used[0.0] < KINDS
    assert used[1.0] == KINDS


def test_a_finished_run_gives_its_network_and_tower_again(tmp_path: Path) -> None:
    images, _ = drawings()
    run = RunFolder(tmp_path)
    found = learn_clusters(images, settings(steps=5), run)
    np.testing.assert_array_equal(learn_clusters(images, settings(steps=5), run), found)
    seen = torch.zeros(1, 3, SIDE, SIDE)
    network, tower = load_network(run), load_tower(run.path)
    torch.testing.assert_close(tower(seen), network.tower(seen))
    assert not tower.training


def test_the_last_blocks_learn_when_asked_and_the_first_never() -> None:
    images, _ = drawings()
    method = ClusterMethod(settings(tuned_blocks=1, batch_size=8), images)
    before = {name: value.clone() for name, value in method.network.tower.state_dict().items()}
    batch = method.batch(0)
    assert batch[0].shape == (8, 3, SIDE, SIDE)
    torch.autograd.backward(method.losses(batch)["loss"])
    method.optimizer.step()
    changed = {
        name for name, value in method.network.tower.state_dict().items() if not value.equal(before[name])
    }
    assert changed
    assert all(name.startswith(("blocks.16.", "head.")) for name in changed)


def test_a_batch_depends_on_its_step_alone() -> None:
    images, _ = drawings()
    method = ClusterMethod(settings(), images)
    again = method.batch(3)
    method.batch(4)
    torch.testing.assert_close(method.batch(3), again)


def test_views_keep_shape_and_range_and_differ_from_their_image() -> None:
    images = drawings()[0][:4].float() / 255
    view = Augmentation().view(images, torch.Generator().manual_seed(1))
    assert view.shape == images.shape
    assert float(view.min()) >= 0.0
    assert float(view.max()) <= 1.0
    assert not torch.allclose(view, images)


def test_too_few_images_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="too few"):
        learn_clusters(drawings()[0][:10], settings(), RunFolder(tmp_path))


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finished run"):
        load_tower(tmp_path)


def test_agreement_is_one_for_the_same_partition_and_about_zero_for_chance() -> None:
    labels = [str(n % 3) for n in range(300)]
    same = cluster_agreement(labels, np.array([(n + 1) % 3 for n in range(300)]))
    assert (same.purity, same.nmi, same.ari) == (1.0, 1.0, 1.0)
    chance = cluster_agreement(labels, np.random.default_rng(0).integers(0, 3, 300))
    assert abs(chance.ari) < 0.05
    with pytest.raises(BenchmarkError):
        cluster_agreement([], np.array([], dtype=np.intp))
