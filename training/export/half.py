"""A graph in half precision, its inputs and outputs as before."""

from __future__ import annotations

import logging
import warnings
from typing import Final

import onnx
import onnx_ir
from onnx_ir.passes.common import TopologicalSortPass
from onnxruntime.transformers.float16 import DEFAULT_OP_BLOCK_LIST, convert_float_to_float16

# Sums of squares and means over many values leave the range, or the precision, of float16.
KEPT_IN_FP32: Final = ("ReduceL2", "ReduceMean", "ReduceSum", "LayerNormalization", "Clip", "Div", "Expand")


def half_graph(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights and operators in float16, except those that sum over many values.

    Args:
        model: float32; it is left as it was.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    logger = logging.getLogger("onnxruntime.transformers.float16")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            half = convert_float_to_float16(
                copy, keep_io_types=True, op_block_list=[*DEFAULT_OP_BLOCK_LIST, *KEPT_IN_FP32]
            )
    finally:
        logger.setLevel(level)
    return _in_order(half)


def _in_order(model: onnx.ModelProto) -> onnx.ModelProto:
    """Each cast once (the converter adds one a consumer) and after what it casts."""
    seen: set[tuple[str, ...]] = set()
    for node in list(model.graph.node):
        if tuple(node.output) in seen:
            model.graph.node.remove(node)
        seen.add(tuple(node.output))
    ordered = onnx_ir.from_proto(model)
    TopologicalSortPass()(ordered)
    return onnx_ir.to_proto(ordered)
