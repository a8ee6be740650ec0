"""Models of open_clip, such as BiomedCLIP. Untested: its libraries do not import where this was written.

It follows open_clip's documented interface (create_model_from_pretrained, get_tokenizer, encode_image,
encode_text, visual.image_size, visual.preprocess_cfg); parity with torch is checked at every export as for
any other model, so that what is written is right or nothing is.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any, Final

import torch
from torch import Tensor, nn

from inference.card import EncoderError, Input
from training.export.source import Source
from training.export.text import TextSource

PREFIX: Final = "open_clip:"
_CONTEXT: Final = 256


class OpenClipTower(nn.Module):
    """The vision side; the map is that of timm's trunk, which BiomedCLIP's ViT-B/16 is."""

    def __init__(self, model: Any) -> None:  # noqa: ANN401 - open_clip is untyped
        super().__init__()
        self.visual = model.visual

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, c, rows, columns)."""
        found: Tensor = self.visual.trunk.forward_features(images)
        if found.ndim == 4:
            return found
        patch = self.visual.trunk.patch_embed.patch_size
        rows, columns = images.shape[2] // patch[0], images.shape[3] // patch[1]
        return torch.unflatten(found[:, -rows * columns :].transpose(1, 2), 2, (rows, columns))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, d)."""
        vector: Tensor = self.visual(images)
        return vector


class OpenClipTexts(nn.Module):
    """A Hugging Face text tower of open_clip, which finds the padding by its id."""

    def __init__(self, model: Any, padding: int) -> None:  # noqa: ANN401 - open_clip is untyped
        super().__init__()
        self.text, self.padding = model.text, padding

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """int64 (n, tokens) each to (n, d)."""
        vector: Tensor = self.text(torch.where(attention_mask > 0, input_ids, self.padding))
        return vector


def open_open_clip(name: str, languages: tuple[str, ...] = ("en",)) -> Source:
    """Read a model of open_clip by its name, such as hf-hub:microsoft/BiomedCLIP-….

    Raises:
        EncoderError: open_clip is not installed, knows no such model, or the model's vision side is not one
            of timm.
    """
    library = _library()
    try:
        model, _ = library.create_model_from_pretrained(name)
        tokenizer = library.get_tokenizer(name)
    except Exception as error:  # open_clip, timm and the hub raise types of their own
        raise EncoderError(f"open_clip cannot read {name}: {error}") from error
    if not hasattr(model.visual, "trunk"):
        raise EncoderError(
            f"The vision side of {name} is not a timm trunk: only those of open_clip are exported. If the "
            "model is also published for transformers, export that folder."
        )
    model.eval().requires_grad_(requires_grad=False)
    return Source(OpenClipTower(model).eval(), _input(model), _text(model, tokenizer, languages))


def _library() -> ModuleType:
    try:
        return importlib.import_module("open_clip")
    except ImportError as error:
        raise EncoderError(
            f"open_clip cannot be imported ({error}): pip install open_clip_torch, which brings timm and "
            "torchvision, and a torchvision that belongs to the torch that is installed."
        ) from error


def _input(model: Any) -> Input:  # noqa: ANN401 - open_clip is untyped
    given = dict(model.visual.preprocess_cfg)
    size = given["size"]
    height, width = (size, size) if isinstance(size, int) else size
    return Input(
        name="frames",
        channels=3,
        height=height,
        width=width,
        resize="crop" if given.get("resize_mode", "shortest") == "shortest" else "stretch",
        mean=tuple(given["mean"]),
        std=tuple(given["std"]),
    )


def _text(model: Any, tokenizer: Any, languages: tuple[str, ...]) -> TextSource | None:  # noqa: ANN401
    fast = getattr(getattr(tokenizer, "tokenizer", None), "backend_tokenizer", None)
    if fast is None or not hasattr(model, "text"):
        raise EncoderError(
            "The text tower of this model has no Hugging Face tokenizer: it cannot be exported."
        )
    padding = int(getattr(tokenizer.tokenizer, "pad_token_id", 0) or 0)
    context = int(getattr(tokenizer, "context_length", None) or _CONTEXT)
    return TextSource(OpenClipTexts(model, padding).eval(), fast.to_str(), context, languages)
