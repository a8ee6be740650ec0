"""A torch module as an ONNX graph: one file, a free batch dimension, batch norms folded."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np
import onnx
import onnx_ir
import torch
from onnx_ir.passes.common import (
    CommonSubexpressionEliminationPass,
    DeduplicateHashedInitializersPass,
    RemoveUnusedNodesPass,
)
from onnxscript.rewriter import rewrite
from onnxscript.rewriter.rules.common import fuse_batchnorm_into_conv_rule
from torch import Tensor, nn
from torch.nn.functional import normalize

from inference.card import EncoderError, Input

OPSET: Final = 20
EMBEDDING: Final = "embedding"
POOLED: Final = "pooled"
FEATURE_MAP: Final = "feature_map"
_TALKATIVE: Final = ("torch.onnx", "torch.__trace", "onnxscript")
_OUTPUT: Final = "output__"
FRAME_OUTPUTS: Final = (EMBEDDING, POOLED, FEATURE_MAP)


class FrameOutputs(nn.Module):
    """An image tower with the three outputs that an encoder has.

    The tower's `feature_map(images)` gives (n, c, h, w), its `forward(images)` gives (n, d).
    """

    def __init__(self, tower: nn.Module) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(n, 3, h, w) to embedding (n, d), pooled (1, d) of unit length, feature map (n, c, h, w).

        What both share is computed once: the exporter removes common subexpressions.
        """
        embedding = self.tower(images)
        feature_map: Tensor = self.tower.feature_map(images)  # type: ignore[operator]
        pooled = normalize(normalize(embedding, dim=1).mean(0, keepdim=True), dim=1)
        return embedding, pooled, feature_map


def frame_graph(tower: nn.Module, wanted: Input) -> onnx.ModelProto:
    """The graph of an image tower in evaluation mode.

    Args:
        tower: see FrameOutputs.
        wanted: names the input and fixes its channels, height and width.

    Raises:
        EncoderError: torch cannot express the tower as ONNX.
    """
    images = torch.rand(2, wanted.channels, wanted.height, wanted.width)
    module = FrameOutputs(tower)
    return export_graph(module, {wanted.name: images}, FRAME_OUTPUTS, {"images": {0: torch.export.Dim("n")}})


def export_graph(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    dynamic: Mapping[str, Mapping[int, Any]],
) -> onnx.ModelProto:
    """Export a module.

    Args:
        module: left as it was found.
        inputs: example inputs in the order of forward's arguments, by the name the graph gives them.
        outputs: names.
        dynamic: free dimensions, of torch.export.Dim, by forward's argument.

    Raises:
        EncoderError: torch cannot express the module as ONNX.
    """
    was_training = module.training
    try:
        with _quiet():
            program = torch.onnx.export(
                module.eval().cpu(),
                tuple(inputs.values()),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(inputs),
                output_names=[f"{_OUTPUT}{name}" for name in outputs],
                dynamic_shapes={argument: dict(dims) for argument, dims in dynamic.items()},
                external_data=False,
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise EncoderError(
            f"{type(module).__name__} cannot be written as ONNX; its forward must be traceable "
            f"(no branches on values, fixed input size): {str(error).splitlines()[0]}"
        ) from error
    finally:
        module.train(was_training)
    if program is None:
        raise EncoderError(f"torch gave no ONNX program for {type(module).__name__}.")
    folded: onnx_ir.Model = rewrite(program.model, pattern_rewrite_rules=[fuse_batchnorm_into_conv_rule])
    _compute_once(folded)
    _name_outputs(folded.graph, outputs)
    return _clean(onnx_ir.to_proto(folded))


def _compute_once(model: onnx_ir.Model) -> None:
    """Weights that were transposed twice are one again, and so is what was computed with them."""
    for value in model.graph.initializers.values():
        # The pass hashes memory, which must be in order for that.
        if value.const_value is not None:
            array = np.ascontiguousarray(value.const_value.numpy())
            value.const_value = onnx_ir.tensor(
                array.reshape(value.const_value.shape.numpy()), name=value.name
            )
    DeduplicateHashedInitializersPass()(model)
    CommonSubexpressionEliminationPass()(model)
    RemoveUnusedNodesPass()(model)


def _name_outputs(graph: onnx_ir.Graph, names: Sequence[str]) -> None:
    """Give the outputs their names, which the exporter may have used for values of its own."""
    inner = [output for node in graph for output in node.outputs]
    for value in [*graph.initializers.values(), *inner]:
        if value.name in names:
            value.name = f"inner_{value.name}"
    for value, name in zip(graph.outputs, names, strict=True):
        value.name = name


def _clean(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the exporter's notes about source lines, which would name folders of this machine."""
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    model.doc_string = model.graph.doc_string = ""
    parts: Any = (*model.graph.node, *model.graph.input, *model.graph.output, *model.graph.initializer)
    for part in parts:
        part.doc_string = ""
        del part.metadata_props[:]
    del model.graph.value_info[:]
    model.producer_name, model.producer_version = "pacs-cbir", ""
    onnx.checker.check_model(model)
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter speaks of packages that it does not need, and of its own deprecated calls."""
    loggers = [logging.getLogger(name) for name in _TALKATIVE]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
