"""A text tower that is small and real: the mean of its words' vectors, beside the shipped grey32."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from indexer.domain import Vector


def add_text_tower(
    folder: Path, words: Mapping[str, Vector], max_tokens: int = 8, languages: Sequence[str] = ("en",)
) -> Path:
    """Write text.onnx and tokenizer.json and name them in the card; an unknown word is no vector."""
    vocabulary = {"[UNK]": 0} | {word: index for index, word in enumerate(words, start=1)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    vectors = list(words.values())
    table = np.stack([np.zeros_like(vectors[0]), *vectors]).astype(np.float32)
    (folder / "text.onnx").write_bytes(mean_of_words(table).SerializeToString())
    card = json.loads((folder / "card.json").read_text())
    card["text"] = {
        "onnx_sha256": hashlib.sha256((folder / "text.onnx").read_bytes()).hexdigest(),
        "tokenizer_sha256": hashlib.sha256((folder / "tokenizer.json").read_bytes()).hexdigest(),
        "output": "text_embedding",
        "max_tokens": max_tokens,
        "languages": list(languages),
    }
    (folder / "card.json").write_text(json.dumps(card))
    return folder


def mean_of_words(table: Vector, inputs: Sequence[str] = ("input_ids", "attention_mask")) -> onnx.ModelProto:
    """(n, tokens) ids and mask to (n, d): the sum of the rows of `table` that the mask leaves."""
    ids, mask = inputs
    nodes = [
        helper.make_node("Gather", ["table", ids], ["rows"]),
        helper.make_node("Cast", [mask], ["weights"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["weights", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "tokens"], ["text_embedding"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "mean_of_words",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "tokens"]) for name in inputs],
        [helper.make_tensor_value_info("text_embedding", TensorProto.FLOAT, ["n", table.shape[1]])],
        [
            numpy_helper.from_array(table, "table"),
            numpy_helper.from_array(np.array([2], dtype=np.int64), "last"),
            numpy_helper.from_array(np.array([1], dtype=np.int64), "tokens"),
        ],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
