"""Whatever is exported, by what it is called: a run, ImageNet weights, a Hugging Face or open_clip model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from inference.card import EncoderError
from training.export.huggingface import open_huggingface
from training.export.open_clip import PREFIX, open_open_clip
from training.export.runs import is_run, open_run
from training.export.source import Source
from training.export.weights import SUFFIX, open_weights

_HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+")


def open_source(name: str, *, sequence: str = "", languages: tuple[str, ...] = ("en",)) -> Source:
    """Read a model in torch.

    Args:
        name: a run's folder, a .safetensors file with weights of a network defined here, a folder with a
            Hugging Face config.json, owner/name of a hub, or open_clip: and the name of one of its models.
        sequence: of a run of joint-sequences.
        languages: ISO 639-1, of the text tower if there is one.

    Raises:
        EncoderError: it is none of those, or cannot be read.
        TrainingError: it is a run that has not ended, or of an unknown method.
    """
    if name.startswith(PREFIX):
        return open_open_clip(name.removeprefix(PREFIX), languages)
    folder = Path(name)
    if folder.suffix == SUFFIX:
        return open_weights(folder)
    if folder.is_dir():
        if is_run(folder):
            return open_run(folder, sequence, languages)
        if (folder / "config.json").is_file():
            return open_huggingface(name, languages)
        raise EncoderError(
            f"{folder} has neither configuration.json of a run nor config.json of a Hugging Face model."
        )
    if _HUB_NAME.fullmatch(name):
        return open_huggingface(name, languages)
    raise EncoderError(f"{name} is no folder, no owner/name of a hub and no {PREFIX}NAME.")
