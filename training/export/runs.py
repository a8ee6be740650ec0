"""The image tower, and the text tower, of a finished run of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from inference.card import Input
from inference.preprocess import Resize
from training.errors import TrainingError
from training.export.source import Source
from training.export.text import TextSource
from training.fit import CONFIGURATION_NAME, RunFolder
from training.images import MEAN, STD
from training.runs import configuration_of, method_of, tower_of

_SIDES: Final = {"radiology-small": 224}
_SIDE: Final = 64
# These read slices squeezed into a square; the others letterbox.
_SQUEEZED: Final = frozenset({"joint-sequences", "sequences"})


def is_run(folder: Path) -> bool:
    """Whether a run left its configuration there."""
    return (folder / CONFIGURATION_NAME).is_file()


def open_run(folder: Path, sequence: str = "", languages: tuple[str, ...] = ("en",)) -> Source:
    """Build the towers again from the configuration, with the learned weights.

    Args:
        folder: of the run.
        sequence: of joint-sequences, which has an encoder a sequence.
        languages: of the text tower, if there is one.

    Raises:
        TrainingError: the run has not ended, or its method is not known.
    """
    given = configuration_of(folder)
    name = given["method"]
    if not RunFolder(folder).model.is_file():
        raise TrainingError(f"{folder} holds no finished run: let the training go on to its last step.")
    tower = tower_of(folder, sequence)
    text = _text(method_of(folder).load_text_tower(folder), languages) if name == "image-text" else None
    side = int(given.get("side", _SIDES.get(name, _SIDE)))
    return Source(tower.eval(), input_of(side, "stretch" if name in _SQUEEZED else "letterbox"), text)


def input_of(side: int, resize: Resize = "letterbox") -> Input:
    """As our methods read images: three channels, with ImageNet's mean and deviation."""
    return Input(
        name="frames",
        channels=3,
        height=side,
        width=side,
        resize=resize,
        mean=MEAN,
        std=STD,
    )


def _text(tower: Any, languages: tuple[str, ...]) -> TextSource:  # noqa: ANN401 - transformers' tokenizer
    return TextSource(
        tower.eval(), tower.tokenizer.backend_tokenizer.to_str(), int(tower.max_tokens), languages
    )
