"""The one training loop: fixed seed, progress, checkpoints, and the configuration beside the result."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim import Optimizer

from training.errors import TrainingError
from training.learned_from import LearnedFrom

CONFIGURATION_NAME: Final = "configuration.json"
CHECKPOINT_NAME: Final = "checkpoint.pt"
MODEL_NAME: Final = "model.pt"
LOSSES_NAME: Final = "losses.csv"

Batch = TypeVar("Batch")


class Method(Protocol[Batch]):
    """A learning method over its data, ready to learn.

    `batch` depends on the step and the method's seed alone, so that a run that was cut off goes on as if it
    had not been.
    """

    model: nn.Module
    optimizer: Optimizer
    steps: int

    def batch(self, step: int) -> Batch:
        """What the step learns from, on the device."""
        ...

    def losses(self, batch: Batch) -> Mapping[str, Tensor]:
        """Scalars by name; the one called `loss` is minimised, the others are reported."""
        ...

    def rate(self, step: int) -> float:
        """The learning rate's factor at this step, in [0, 1]."""
        ...


class FitSettings(BaseModel):
    """How to run, whatever is learned."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    seed: int = 0
    device: str = "cpu"
    threads: int = Field(default=0, ge=0, description="Of the CPU; 0 lets torch choose.")
    bfloat16: bool = Field(
        default=True, description="Mixed precision: 3 times as fast on recent CPUs and GPUs."
    )
    save_every: int = Field(default=100, ge=1, description="Steps between checkpoints.")
    clip_norm: float = Field(default=5.0, gt=0, description="Of the gradient.")


@dataclass(frozen=True, slots=True)
class RunFolder:
    """Where a run leaves its configuration, losses, checkpoint and model."""

    path: Path

    def open(self, configuration: BaseModel, learned_from: LearnedFrom | None = None) -> None:
        """Make the folder and write the configuration, and what is learned from into a file of its own.

        Raises:
            TrainingError: the folder holds a run with another configuration, or of other images.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        wanted = json.loads(configuration.model_dump_json())
        file = self.path / CONFIGURATION_NAME
        if not file.exists():
            beside = file.with_suffix(".part")
            beside.write_text(json.dumps(wanted, indent=2) + "\n", encoding="utf-8")
            beside.replace(file)
        elif _read_json(file) != wanted:
            raise TrainingError(
                f"{self.path} holds a run with another configuration: take another folder, or delete it."
            )
        if learned_from is not None:
            learned_from.keep(self.path, begun=self.model.exists() or self.checkpoint.exists())

    @property
    def model(self) -> Path:
        """The learned weights; there once the run has ended."""
        return self.path / MODEL_NAME

    @property
    def checkpoint(self) -> Path:
        """The state that a run goes on from."""
        return self.path / CHECKPOINT_NAME

    @property
    def losses(self) -> Path:
        """A line for each step."""
        return self.path / LOSSES_NAME


def seed_everything(settings: FitSettings) -> None:
    """Make the weights that are drawn, and the threads that are used, those of the settings."""
    torch.manual_seed(settings.seed)
    if settings.threads:
        torch.set_num_threads(settings.threads)


def warm_cosine(steps: int, warm_up: int) -> Callable[[int], float]:
    """A rate that climbs for `warm_up` steps, then falls to zero along a cosine (Loshchilov 2017)."""

    def rate(step: int) -> float:
        if step < warm_up:
            return (step + 1) / warm_up
        done = (step - warm_up) / max(steps - warm_up, 1)
        return 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))

    return rate


def fit(method: Method[Batch], run: RunFolder, settings: FitSettings, *, title: str = "") -> Path:
    """Learn until the last step, going on from the folder's checkpoint where there is one.

    Returns:
        The file with the model's state dict.

    Raises:
        TrainingError: the loss, or its gradient, is no longer finite.
    """
    method.model.to(settings.device)
    if run.model.exists():
        method.model.load_state_dict(torch.load(run.model, map_location=settings.device, weights_only=True))
        return run.model
    method.model.train()
    first = _resume(method, run, settings)
    peaks = [group["lr"] for group in method.optimizer.param_groups] if not first else _peaks(method)
    with _progress() as progress, _Losses(run.losses, first) as losses:
        bar = progress.add_task(title or run.path.name, total=method.steps, completed=first, loss=math.nan)
        for step in range(first, method.steps):
            for group, peak in zip(method.optimizer.param_groups, peaks, strict=True):
                group["peak"], group["lr"] = peak, peak * method.rate(step)
            values = _step(method, step, settings)
            losses.write(step, values)
            progress.update(bar, advance=1, loss=values["loss"])
            if (step + 1) % settings.save_every == 0:
                losses.flush()
                save(run.checkpoint, _state(method, step + 1))
    save(run.model, method.model.state_dict())
    run.checkpoint.unlink(missing_ok=True)
    return run.model


def _step(method: Method[Batch], step: int, settings: FitSettings) -> dict[str, float]:
    kind = settings.device.partition(":")[0]
    mixed = torch.autocast(kind, torch.bfloat16) if settings.bfloat16 else nullcontext()
    # What is drawn inside a step (dropout, say) is the step's own too.
    torch.manual_seed(settings.seed * 1_000_003 + step)
    with mixed:
        losses = method.losses(method.batch(step))
    values = {name: float(value.detach()) for name, value in losses.items()}
    if not math.isfinite(values["loss"]):
        raise TrainingError(f"The loss is {values['loss']} at step {step}: take a smaller learning rate.")
    method.optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()
    parameters = [p for group in method.optimizer.param_groups for p in group["params"]]
    norm = float(nn.utils.clip_grad_norm_(parameters, settings.clip_norm))
    if not math.isfinite(norm):
        raise TrainingError(f"The gradient is {norm} at step {step}: take a smaller learning rate.")
    method.optimizer.step()
    return values


def _peaks(method: Method[Any]) -> list[float]:
    return [float(group["peak"]) for group in method.optimizer.param_groups]


def _state(method: Method[Any], step: int) -> dict[str, Any]:
    return {"step": step, "model": method.model.state_dict(), "optimizer": method.optimizer.state_dict()}


def _resume(method: Method[Any], run: RunFolder, settings: FitSettings) -> int:
    if not run.checkpoint.exists():
        return 0
    state = torch.load(run.checkpoint, map_location=settings.device, weights_only=True)
    method.model.load_state_dict(state["model"])
    method.optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _read_json(path: Path) -> Any:  # noqa: ANN401 - whatever stands there
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise TrainingError(f"{path} is not JSON: take another folder, or delete this one.") from error


def save(path: Path, state: Any) -> None:  # noqa: ANN401 - whatever torch can save
    """Write a file of torch's, whole or not at all."""
    beside = path.with_suffix(".part")
    torch.save(state, beside)
    beside.replace(path)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
    )


class _Losses:
    """losses.csv; a resumed run drops what its checkpoint does not know."""

    def __init__(self, path: Path, first: int) -> None:
        kept = path.read_text(encoding="utf-8").splitlines()[: first + 1] if first and path.exists() else []
        path.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")
        self._file = path.open("a", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file)
        self._named = bool(kept)

    def __enter__(self) -> _Losses:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def flush(self) -> None:
        """Have on the disk what the checkpoint that follows will count on."""
        self._file.flush()

    def write(self, step: int, values: Mapping[str, float]) -> None:
        if not self._named:
            self._writer.writerow(["step", *values])
            self._named = True
        self._writer.writerow([step, *(f"{value:.6g}" for value in values.values())])
