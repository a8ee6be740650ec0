"""Static quantization to int8, of as many layers as the vectors allow."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from inference.card import EncoderError
from inference.preprocess import Pixels
from training.export.graph import EMBEDDING
from training.export.parity import SMALLEST_COSINE, Agreement, onnx_embeddings

QUANTIZED: Final = ("Conv", "Gemm", "MatMul")
PERCENTILE: Final = 99.99
_BATCH: Final = 8
_GROUPS: Final = 48
_JUDGED: Final = 24
_HALVINGS: Final = 7
_SMALLEST_IMAGES: Final = 8


@dataclass(frozen=True, slots=True)
class QuantizedGraph:
    """The graph, and which of its layers are int8.

    Attributes:
        model: in QDQ form: uint8 activations a tensor, int8 weights an output channel.
        layers: the names of those nodes.
        of: how many nodes could have been.
        calibration: "minmax" or "percentile": how the ranges of activations were found.
    """

    model: onnx.ModelProto
    layers: tuple[str, ...]
    of: int
    calibration: str

    def __str__(self) -> str:
        """For the card's notes."""
        return (
            f"{len(self.layers)} of {self.of} layers are int8 (static, QDQ, weights by channel, "
            f"activations calibrated by {self.calibration}); the others stay float32."
        )


def quantize_graph(model: onnx.ModelProto, calibration: Pixels) -> QuantizedGraph:
    """Quantize what can be quantized.

    All layers, if the vectors of the calibration images keep a cosine above 0.999. Where they do not, each
    group of layers is quantized alone; then those with the least noise (1 - cosine, which is about additive)
    for their weights are, as many as together stay below.

    Args:
        model: float32, of FrameOutputs.
        calibration: model inputs, float32 (n, channels, height, width), n at least 8.

    Raises:
        EncoderError: there are too few images, or no group of layers can be quantized.
    """
    if len(calibration) < _SMALLEST_IMAGES:
        raise EncoderError(
            f"{len(calibration)} images are too few to calibrate int8 with: give {_SMALLEST_IMAGES} or more."
        )
    with tempfile.TemporaryDirectory() as name, _quiet():
        return _Quantizer(model, calibration, Path(name)).best()


@dataclass
class _Quantizer:
    model: onnx.ModelProto
    calibration: Pixels
    folder: Path
    expected: Pixels = field(init=False)
    names: list[str] = field(init=False)
    method: CalibrationMethod = CalibrationMethod.MinMax

    def __post_init__(self) -> None:
        source = self.folder / "source.onnx"
        onnx.save(self.model, source)
        self.judged = self.calibration[:: max(1, len(self.calibration) // _JUDGED)]
        self.expected = onnx_embeddings(source, self.judged, EMBEDDING)
        self.weights = {i.name: int(np.prod(i.dims)) for i in self.model.graph.initializer}
        self.names = [node.name for node in self.model.graph.node if self._weight(node)]

    def best(self) -> QuantizedGraph:
        """All layers by the better calibration, or those that together are quiet enough."""
        if not self.names:
            raise EncoderError("The graph has no layer with constant weights: nothing can be int8.")
        noises = {}
        for method in (CalibrationMethod.MinMax, CalibrationMethod.Percentile):
            self.method = method
            noises[method] = self.noise(self.names)
            if noises[method] < 1 - SMALLEST_COSINE:
                return self.made(self.names)
        self.method = min(noises, key=lambda method: noises[method])
        return self._mixed()

    def noise(self, layers: Sequence[str]) -> float:
        """1 - the smallest cosine of the images that are judged by."""
        exported = onnx_embeddings(self.quantized(layers), self.judged, EMBEDDING)
        noise = 1 - Agreement.of(self.expected, exported).cosine
        return noise if np.isfinite(noise) else np.inf

    def quantized(self, layers: Sequence[str]) -> Path:
        """The file of the graph with these layers in int8."""
        out = self.folder / "quantized.onnx"
        options: dict[str, Any] = {"MatMulConstBOnly": True}
        if self.method is CalibrationMethod.Percentile:
            options["CalibPercentile"] = PERCENTILE
        # Ranges are found once for all layers and kept: later calls only write another graph.
        cache = self.folder / f"{self.method.name}.json"
        if not cache.exists():
            layers, wanted = self.names, layers
            self._run(layers, out, options, cache)
            layers = wanted
        self._run(layers, out, options, cache)
        return out

    def made(self, layers: Sequence[str]) -> QuantizedGraph:
        """The graph itself."""
        model = onnx.load(self.quantized(layers))
        model.producer_name, model.producer_version = "pacs-cbir", ""
        return QuantizedGraph(model, tuple(layers), len(self.names), self.method.name.lower())

    def _run(self, layers: Sequence[str], out: Path, options: dict[str, Any], cache: Path) -> None:
        quantize_static(
            self.folder / "source.onnx",
            out,
            _Batches(self.model.graph.input[0].name, self.calibration),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTIZED),
            nodes_to_quantize=list(layers),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=self.method,
            calibration_cache_path=cache,
            extra_options=options,
        )

    def _mixed(self) -> QuantizedGraph:
        groups = [list(part) for part in np.array_split(self.names, min(_GROUPS, len(self.names)))]
        size = {node.name: self._weight(node) for node in self.model.graph.node}
        noise = [self.noise(group) for group in groups]
        weight = [sum(size[name] for name in group) for group in groups]
        cheapest = sorted(range(len(groups)), key=lambda index: noise[index] / weight[index])
        allowed = 1 - SMALLEST_COSINE
        budget = allowed
        for _ in range(_HALVINGS):
            chosen = list(_within(cheapest, noise, budget))
            layers = [name for index in sorted(chosen) for name in groups[index]]
            # A margin: the images that the result is checked on are others.
            if layers and self.noise(layers) < 0.6 * allowed:
                return self.made(layers)
            budget /= 2
        raise EncoderError(
            f"int8 changes the vectors too much: of {len(groups)} groups of layers even the quietest alone "
            f"moves an image to a cosine of {1 - min(noise):.5f} ({SMALLEST_COSINE:g} is wanted). "
            "Use fp32 or fp16, or train with more weight decay."
        )

    def _weight(self, node: onnx.NodeProto) -> int:
        """How many numbers its constant weights are; 0 when it is no layer to quantize."""
        if node.op_type not in QUANTIZED or len(node.input) < 2:
            return 0
        return self.weights.get(node.input[1], 0)


def _within(order: Sequence[int], noise: Sequence[float], budget: float) -> Iterator[int]:
    spent = 0.0
    for index in order:
        if spent + noise[index] <= budget:
            spent += noise[index]
            yield index


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime is untyped
    def __init__(self, name: str, inputs: Pixels) -> None:
        self._batches = iter(
            [{name: inputs[start : start + _BATCH]} for start in range(0, len(inputs), _BATCH)]
        )

    def get_next(self) -> dict[str, Pixels] | None:
        return next(self._batches, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The quantizer prints its progress and advises, through the root logger, what was done already."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)
