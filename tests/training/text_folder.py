from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import BertWordPieceTokenizer
from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

SENTENCES = (
    "A dark mass lies in the left lung.",
    "The right kidney is bright and of normal size.",
    "No mass is seen in the upper lobe.",
    "The lower lobe of the left lung is bright.",
)
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def write_text_folder(folder: Path, sentences: Sequence[str] = SENTENCES, width: int = 32) -> Path:
    """A small BERT with a WordPiece tokenizer of the words of the sentences, weights drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    words = BertWordPieceTokenizer(vocab=_vocabulary(sentences), lowercase=True)
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=words._tokenizer,
        unk_token="[UNK]",
        sep_token="[SEP]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        mask_token="[MASK]",
    )
    torch.manual_seed(0)
    configuration = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=2 * width,
        max_position_embeddings=64,
        pad_token_id=tokenizer.pad_token_id,
    )
    BertModel(configuration, add_pooling_layer=False).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _vocabulary(sentences: Sequence[str]) -> dict[str, int]:
    """The words, their letters and their letters inside a word, numbered in order.

    A trainer of the package breaks ties as its hashes fall: each time another encoder would be learned.
    """
    plain = BertWordPieceTokenizer(lowercase=True)._tokenizer
    normal = [plain.normalizer.normalize_str(sentence) for sentence in sentences]
    words = {word for text in normal for word, _ in plain.pre_tokenizer.pre_tokenize_str(text)}
    letters = {letter for word in words for letter in word}
    pieces = sorted({*words, *letters}) + sorted(f"##{letter}" for letter in letters)
    return {piece: number for number, piece in enumerate([*SPECIAL, *pieces])}
