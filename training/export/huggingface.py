"""Vision and CLIP-like models of transformers, pooled as each of them documents."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from torch import Tensor, nn

from inference.card import EncoderError, Input
from training.export.source import Source
from training.export.text import TextSource

# model_type of config.json. RAD-DINO is a dinov2, MedSigLIP a siglip.
CLASS_TOKEN: Final = frozenset({"dinov2", "dinov2_with_registers", "vit", "deit", "vit_msn"})
POOLER: Final = frozenset({"siglip", "siglip_vision_model", "clip_vision_model"})
PROJECTED: Final = frozenset({"clip"})
WITH_TEXT: Final = frozenset({"clip", "siglip"})
INTERPOLATED: Final = frozenset({"dinov2", "dinov2_with_registers"})
_PREPROCESSORS: Final = ("preprocessor_config.json", "processor_config.json")
_WHITE: Final = 255.0


class HuggingFaceTower(nn.Module):
    """The vision side of a model of transformers.

    The vector is the one that the model was trained to compare by: the class token after the last norm
    (DINOv2, ViT), the attention pooling (SigLIP), the projected class token (CLIP). The map is that of the
    patches' tokens; CLIP's are projected as its class token is.
    """

    def __init__(self, model: nn.Module, model_type: str) -> None:
        super().__init__()
        self.model, self.model_type = model, model_type

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, c, rows, columns)."""
        vision = self._vision()
        tokens: Tensor = vision(pixel_values=images).last_hidden_state
        if self.model_type in PROJECTED:
            whole: Any = self.model
            tokens = whole.visual_projection(vision.post_layernorm(tokens))
        rows, columns = (side // _patch(vision.config) for side in images.shape[2:])
        return torch.unflatten(tokens[:, -rows * columns :].transpose(1, 2), 2, (rows, columns))

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, side, side) to (n, d)."""
        answer = self._vision()(pixel_values=images)
        if self.model_type in CLASS_TOKEN:
            token: Tensor = answer.last_hidden_state[:, 0]
            return token
        pooled: Tensor = answer.pooler_output
        whole: Any = self.model
        return whole.visual_projection(pooled) if self.model_type in PROJECTED else pooled

    def _vision(self) -> Any:  # noqa: ANN401 - transformers has no types
        return getattr(self.model, "vision_model", self.model)


class HuggingFaceTexts(nn.Module):
    """The text side of a CLIP or SigLIP model: int64 (n, tokens) ids and mask to (n, d).

    SigLIP was trained on texts padded to full length, without a mask, and looks at the last place: the
    padding is part of the model here, so that what is given may be short.
    """

    def __init__(self, model: Any, model_type: str, padding: int, max_tokens: int) -> None:  # noqa: ANN401
        super().__init__()
        self.text = model.text_model
        self.projection = model.text_projection if model_type in PROJECTED else nn.Identity()
        self.pads = model_type not in PROJECTED
        self.padding, self.max_tokens = padding, max_tokens

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """See the class."""
        ids = torch.where(attention_mask > 0, input_ids, self.padding)
        if self.pads:
            full = nn.functional.pad(ids, (0, self.max_tokens - ids.shape[1]), value=self.padding)
            padded: Tensor = self.text(input_ids=full).pooler_output
            return padded
        pooled = self.text(input_ids=ids, attention_mask=attention_mask).pooler_output
        projected: Tensor = self.projection(pooled)
        return projected


def open_huggingface(name: str, languages: tuple[str, ...] = ("en",)) -> Source:
    """Read a folder, or a hub's model where there is internet.

    Args:
        name: of the folder, or owner/name.
        languages: of the text tower, if there is one.

    Raises:
        EncoderError: transformers cannot read it, the architecture is not one of those above, it has no
            preprocessor_config.json, or a text tower without tokenizer.json.
    """
    from transformers import AutoConfig, AutoModel  # noqa: PLC0415 - seconds, and only here

    try:
        configuration = AutoConfig.from_pretrained(name)
        model_type = str(configuration.model_type)
        _refuse_unknown(name, model_type)
        model = AutoModel.from_pretrained(name, attn_implementation="eager", dtype=torch.float32)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise EncoderError(
            f"transformers cannot read {name}: {str(error).strip().splitlines()[0]}"
        ) from error
    model.eval().requires_grad_(requires_grad=False)
    wanted = read_input(name)
    tower = HuggingFaceTower(model, model_type)
    _fit_positions(tower, wanted, name)
    text = _text(model, model_type, name, languages) if model_type in WITH_TEXT else None
    return Source(tower.eval(), wanted, text)


def read_input(name: str) -> Input:
    """The card's input from preprocessor_config.json.

    Raises:
        EncoderError: there is none, or it does not say the size of the input.
    """
    for file in _PREPROCESSORS:
        path = _file(name, file)
        if path is None:
            continue
        given = json.loads(path.read_text(encoding="utf-8"))
        return _input(given.get("image_processor", given), path)
    raise EncoderError(
        f"{name} has no {_PREPROCESSORS[0]}: without it nobody knows the size and range of the input. "
        "Copy it from where the model was published."
    )


def _input(given: dict[str, Any], path: Path) -> Input:
    crops = bool(given.get("do_center_crop"))
    size = given.get("crop_size") if crops else given.get("size")
    if isinstance(size, int):
        size = {"height": size, "width": size}
    sides = (size or {}).get("height"), (size or {}).get("width")
    factor = float(given.get("rescale_factor", 1 / _WHITE)) if given.get("do_rescale", True) else 1.0
    normalizes = given.get("do_normalize", True)
    try:
        return Input.model_validate(
            {
                "name": "frames",
                "channels": 3,
                "height": sides[0],
                "width": sides[1],
                "resize": "crop" if crops else "stretch",
                "range": (0.0, round(factor * _WHITE, 6)),
                "mean": given["image_mean"] if normalizes else (0.0,) * 3,
                "std": given["image_std"] if normalizes else (1.0,) * 3,
            }
        )
    except (KeyError, ValidationError) as error:
        raise EncoderError(
            f"{path} does not say what the input is: it needs crop_size or size with height and width, "
            f"image_mean and image_std. {error}"
        ) from error


def _refuse_unknown(name: str, model_type: str) -> None:
    known = CLASS_TOKEN | POOLER | PROJECTED
    if model_type not in known:
        raise EncoderError(
            f"{name} is a {model_type}: how its vectors are pooled is not known here, only of "
            f"{', '.join(sorted(known))}."
        )


def _fit_positions(tower: HuggingFaceTower, wanted: Input, name: str) -> None:
    """Positions for the input's size, once: DINOv2's antialiased interpolation cannot be exported."""
    vision = tower._vision()
    learned, side = int(vision.config.image_size), wanted.height
    if wanted.height == wanted.width == learned:
        return
    patch = _patch(vision.config)
    if tower.model_type not in INTERPOLATED or wanted.height != wanted.width or side % patch:
        raise EncoderError(
            f"{name} was made for {learned} x {learned}, its preprocessor_config.json says "
            f"{wanted.height} x {wanted.width}: change that file to {learned}."
        )
    tokens = torch.zeros(1, (side // patch) ** 2 + 1, int(vision.config.hidden_size))
    with torch.no_grad():
        positions = vision.embeddings.interpolate_pos_encoding(tokens, side, side)
    vision.embeddings.position_embeddings = nn.Parameter(positions.detach(), requires_grad=False)
    vision.config.image_size = side


def _text(model: Any, model_type: str, name: str, languages: tuple[str, ...]) -> TextSource:  # noqa: ANN401
    path = _file(name, "tokenizer.json")
    if path is None:
        raise EncoderError(
            f"{name} has a text tower and no tokenizer.json: save it there with save_pretrained of the "
            "model's fast tokenizer."
        )
    configuration = model.config.text_config
    max_tokens = int(configuration.max_position_embeddings)
    padding = configuration.pad_token_id
    module = HuggingFaceTexts(model, model_type, int(padding or 0), max_tokens)
    return TextSource(module.eval(), path.read_text(encoding="utf-8"), max_tokens, languages)


def _file(name: str, file: str) -> Path | None:
    from transformers.utils.hub import cached_file  # noqa: PLC0415 - seconds, and only here

    try:
        found = cached_file(name, file, _raise_exceptions_for_missing_entries=False)
    except OSError as error:
        raise EncoderError(f"{file} of {name} cannot be read: {error}") from error
    return Path(found) if found else None


def _patch(configuration: Any) -> int:  # noqa: ANN401 - transformers has no types
    size = configuration.patch_size
    return int(size[0] if isinstance(size, (tuple, list)) else size)
