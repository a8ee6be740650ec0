"""The methods whose runs hold an image tower, and that tower again from a run's folder."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from torch import nn

from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME

# Each has `load_tower(run: Path)`; joint-sequences' takes the sequence too.
METHODS: Final = {
    "clusters": "training.methods.clusters",
    "image-text": "training.methods.image_text",
    "joint-sequences": "training.methods.joint_sequences",
    "noisy-labels": "training.methods.noisy_labels",
    "radiology-small": "training.radiology.recipe",
    "sequences": "training.methods.sequences",
}
_OF_SEQUENCES: Final = "joint-sequences"


def configuration_of(run: Path) -> dict[str, Any]:
    """What stands in a run's configuration, its `method` being one of METHODS. Raises TrainingError."""
    path = run / CONFIGURATION_NAME
    try:
        given = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
    if not isinstance(given, dict):
        raise TrainingError(f"{path} is no configuration: it holds no names.")
    if given.get("method") not in METHODS:
        raise TrainingError(f"{path} names the method {given.get('method')}: known are {', '.join(METHODS)}.")
    return given


def method_of(run: Path) -> ModuleType:
    """The module of the method that a run is of. Raises TrainingError."""
    return importlib.import_module(METHODS[configuration_of(run)["method"]])


def tower_of(run: Path, sequence: str = "") -> nn.Module:
    """The image tower of a finished run, in evaluation mode.

    Args:
        run: its folder.
        sequence: of joint-sequences, which has an encoder a sequence.

    Raises:
        TrainingError: the run has not ended, or its method is not known.
    """
    module = method_of(run)
    named = configuration_of(run)["method"] == _OF_SEQUENCES
    tower: nn.Module = module.load_tower(run, sequence) if named else module.load_tower(run)
    return tower
