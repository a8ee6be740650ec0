from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from pydantic import BaseModel
from torch import Tensor, nn

from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME, FitSettings, RunFolder, fit, seed_everything, warm_cosine

ROOT = Path(__file__).parents[2]
SETTINGS = FitSettings(seed=7, threads=1, bfloat16=False, save_every=4)
STEPS = 11
KILLED_AT = 10


class Recipe(BaseModel):
    width: int = 5


class Line:
    """A small net with dropout learns a line from what its step draws."""

    def __init__(
        self,
        *,
        rate: float = 0.05,
        killed_at: int | None = None,
        nan_at: int | None = None,
        steep_at: int | None = None,
    ) -> None:
        self.model: nn.Module = nn.Sequential(
            nn.Linear(3, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        self.optimizer: torch.optim.Optimizer = torch.optim.AdamW(self.model.parameters(), rate)
        self.steps = STEPS
        self.rate = warm_cosine(STEPS, 3)
        self._killed_at, self._nan_at, self._steep_at = killed_at, nan_at, steep_at
        self._step = 0

    def batch(self, step: int) -> Tensor:
        if step == self._killed_at:
            os._exit(9)  # as if the machine had stopped: nothing is flushed, nothing is closed
        self._step = step
        drawn = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
        return drawn * torch.nan if step == self._nan_at else drawn

    def losses(self, batch: Tensor) -> Mapping[str, Tensor]:
        error = self.model(batch).squeeze(1) - batch.sum(1)
        loss = error.square().mean()
        if self._step == self._steep_at:
            loss = loss + (error * 0).abs().sqrt().sum()  # zero, with a gradient that is not finite
        return {"loss": loss, "largest": error.abs().max()}


def learned(folder: Path, **options: float) -> tuple[dict[str, Tensor], Line]:
    run = RunFolder(folder)
    run.open(Recipe())
    seed_everything(SETTINGS)
    method = Line(**options)  # type: ignore[arg-type]
    fit(method, run, SETTINGS)
    return method.model.state_dict(), method


def killed(folder: Path) -> None:
    code = (
        "from pathlib import Path; from tests.training.test_fit import learned; import sys; "
        f"learned(Path(sys.argv[1]), killed_at={KILLED_AT})"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, check=False, capture_output=True
    )
    assert done.returncode == 9, done.stderr


def rows(folder: Path) -> list[dict[str, str]]:
    with RunFolder(folder).losses.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_killed_run_goes_on_to_the_same_weights_and_the_same_losses(tmp_path: Path) -> None:
    whole, _ = learned(tmp_path / "whole")
    killed(tmp_path / "killed")
    run = RunFolder(tmp_path / "killed")
    assert run.checkpoint.exists()
    assert not run.model.exists()
    resumed, _ = learned(tmp_path / "killed")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert rows(tmp_path / "killed") == rows(tmp_path / "whole")
    assert [int(row["step"]) for row in rows(tmp_path / "killed")] == list(range(STEPS))
    assert not run.checkpoint.exists()


def test_what_a_checkpoint_counts_on_is_on_the_disk_when_the_run_is_killed(tmp_path: Path) -> None:
    killed(tmp_path)
    assert [int(row["step"]) for row in rows(tmp_path)][:8] == list(range(8))


def test_a_run_that_has_ended_is_loaded_and_not_learned_again(tmp_path: Path) -> None:
    first, _ = learned(tmp_path)
    changed = RunFolder(tmp_path).model.stat().st_mtime_ns
    again, method = learned(tmp_path, killed_at=0)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert RunFolder(tmp_path).model.stat().st_mtime_ns == changed
    assert method.steps == STEPS


def test_every_loss_is_in_the_table_and_they_fall(tmp_path: Path) -> None:
    learned(tmp_path)
    assert set(rows(tmp_path)[0]) == {"step", "loss", "largest"}
    values = [float(row["loss"]) for row in rows(tmp_path)]
    assert sum(values[-3:]) < sum(values[:3])


def test_a_loss_that_is_not_finite_ends_the_run_and_names_the_step(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"nan at step 5: take a smaller learning rate"):
        learned(tmp_path, nan_at=5)
    assert not RunFolder(tmp_path).model.exists()
    assert [int(row["step"]) for row in rows(tmp_path)] == list(range(5))


def test_a_gradient_that_is_not_finite_ends_the_run_before_it_reaches_the_weights(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"gradient is (nan|inf) at step 5"):
        learned(tmp_path, steep_at=5)
    kept = torch.load(RunFolder(tmp_path).checkpoint, weights_only=True)
    assert all(torch.isfinite(value).all() for value in kept["model"].values())
    learned(tmp_path)
    assert RunFolder(tmp_path).model.exists()


def test_another_configuration_is_refused_and_the_same_is_not(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "new" / "run")
    run.open(Recipe())
    run.open(Recipe())
    with pytest.raises(TrainingError, match="another configuration"):
        run.open(Recipe(width=6))
    assert '"width": 5' in (run.path / CONFIGURATION_NAME).read_text()


def test_a_configuration_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / CONFIGURATION_NAME).write_text('{"width"')
    with pytest.raises(TrainingError, match="not JSON"):
        RunFolder(tmp_path).open(Recipe())


def test_the_rate_climbs_then_falls_to_zero() -> None:
    rate = warm_cosine(100, 10)
    values = [rate(step) for step in range(101)]
    assert values[0] == pytest.approx(0.1)
    assert values[9] == values[10] == 1.0
    assert values[55] == pytest.approx(0.5)
    assert values[100] == pytest.approx(0.0)
    assert values[9:] == sorted(values[9:], reverse=True)


def test_the_learning_rates_follow_it_from_their_own_peaks_even_after_a_cut(tmp_path: Path) -> None:
    _, whole = learned(tmp_path / "whole")
    killed(tmp_path / "killed")
    _, resumed = learned(tmp_path / "killed")
    rates = [method.optimizer.param_groups[0]["lr"] for method in (whole, resumed)]
    assert rates[0] == rates[1] == pytest.approx(0.05 * whole.rate(STEPS - 1))
