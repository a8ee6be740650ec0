"""Small Hugging Face folders with random weights."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers

SIDE = 28
VISION = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "image_size": SIDE,
    "patch_size": 7,
}
TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 60,
    "max_position_embeddings": 16,
    "pad_token_id": 1,
}
PREPROCESSOR: dict[str, Any] = {
    "do_resize": True,
    "size": {"height": SIDE, "width": SIDE},
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.2, 0.3, 0.4],
}


def model_of(kind: str, image_size: int = SIDE) -> Any:  # noqa: ANN401 - transformers has no types
    """A model whose weights are drawn."""
    hf: Any = importlib.import_module("transformers")

    torch.manual_seed(3)
    vision = {**VISION, "image_size": image_size}
    if kind == "dinov2":
        return hf.Dinov2Model(hf.Dinov2Config(**vision)).eval()
    if kind == "vit":
        return hf.ViTModel(hf.ViTConfig(**vision)).eval()
    if kind == "siglip":
        return hf.SiglipModel(hf.SiglipConfig(text_config=TEXT, vision_config=vision)).eval()
    text = {**TEXT, "bos_token_id": 2, "eos_token_id": 3}
    return hf.CLIPModel(hf.CLIPConfig(text_config=text, vision_config=vision, projection_dim=24)).eval()


def write(folder: Path, model: Any, **changes: Any) -> Path:  # noqa: ANN401 - transformers has no types
    """Save a model with its preprocessor_config.json and tokenizer.json."""
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PREPROCESSOR, **changes}))
    tokenizer().save(str(folder / "tokenizer.json"))
    return folder


def tokenizer() -> Tokenizer:
    """Pieces of words, [BOS] before and [EOS] after."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[UNK]", "[PAD]", "[BOS]", "[EOS]"]
    made.train_from_iterator(
        ["normal chest radiograph of the lung mass"],
        trainers.WordPieceTrainer(vocab_size=60, special_tokens=special, show_progress=False),
    )
    made.post_processor = processors.TemplateProcessing(
        single="[BOS] $A [EOS]", special_tokens=[("[BOS]", 2), ("[EOS]", 3)]
    )
    return made
