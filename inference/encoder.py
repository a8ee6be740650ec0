"""An ONNX Runtime session that was checked against its model card."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Sequence
from functools import cached_property
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from indexer.domain import EncoderVersion, Vector
from inference.card import ONNX_NAME, Card, EncoderError, load_card

logger = logging.getLogger(__name__)

RUNTIMES: Final = ("onnxruntime", "onnxruntime-gpu")
PREFERRED_PROVIDERS: Final = ("CUDAExecutionProvider", "CPUExecutionProvider")
_HASH_MULTIPLIER: Final = 2654435761
_SMALLEST_NORM: Final = 1e-6
_SAME_DIRECTION: Final = 0.999


class OnnxEncoder:
    """One model, loaded, checked and ready; one session a process."""

    def __init__(self, folder: Path, providers: Sequence[str] = (), threads: int = 0) -> None:
        """Load encoder.onnx and hold it against card.json.

        Args:
            folder: holds encoder.onnx and card.json.
            providers: ONNX Runtime execution providers in order; empty takes the best there is.
            threads: of the CPU provider; 0 lets ONNX Runtime choose.

        Raises:
            EncoderError: the folder, the runtime or the model's answer is not what the card says.
        """
        self.card: Card = load_card(folder)
        self._session = open_session(folder / ONNX_NAME, providers, threads)
        self.providers: tuple[str, ...] = tuple(self._session.get_providers())
        _check_shapes(self._session, self.card, folder)
        self._check_parity(folder)
        logger.info("encoder_loaded encoder=%s providers=%s", self.version, ",".join(self.providers))

    @property
    def version(self) -> EncoderVersion:
        """Which vectors these are."""
        return self.card.encoder_version

    def encode(self, batch: NDArray[np.float32]) -> Vector:
        """Embed a batch of model inputs.

        Args:
            batch: float32 (n, channels, height, width).

        Returns:
            float32 (n, dimension), unit rows in order; a row is zero where the model's answer is not
            finite or is zero, and then there is no vector.
        """
        wanted = (self.card.input.channels, self.card.input.height, self.card.input.width)
        if batch.ndim != 4 or batch.shape[1:] != wanted or batch.dtype != np.float32:
            raise ValueError(f"A batch is float32 (n, {wanted}), not {batch.dtype} {batch.shape}.")
        (raw,) = self._session.run([self.card.outputs.embedding], {self.card.input.name: batch})
        return unit_rows(np.asarray(raw, dtype=np.float32).reshape(len(batch), -1))

    @cached_property
    def has_cells(self) -> bool:
        """Whether the model has a feature map whose average over its cells has the embedding's direction.

        Asked of the reference input once: a model that pools otherwise, or projects what it has pooled, has
        cells that cannot be compared with its vectors.
        """
        name = self.card.outputs.feature_map
        known = {found.name: found.shape for found in self._session.get_outputs()}
        if name is None or len(known.get(name, ())) != 4:
            return False
        batch = reference_input(self.card)
        (raw,) = self._session.run([name], {self.card.input.name: batch})
        if raw.shape[1] != self.card.dimension:
            return False
        mean = unit_rows(np.asarray(raw, dtype=np.float32).mean(axis=(2, 3)))
        return bool(float(mean[0] @ self.encode(batch)[0]) >= _SAME_DIRECTION)

    def cells(self, batch: NDArray[np.float32]) -> Vector:
        """What the model saw, before it was averaged; only where `has_cells`.

        Args:
            batch: float32 (n, channels, height, width).

        Returns:
            float32 (n, rows, columns, dimension), row 0 at the top.
        """
        (raw,) = self._session.run([self.card.outputs.feature_map], {self.card.input.name: batch})
        return np.ascontiguousarray(raw.transpose(0, 2, 3, 1), dtype=np.float32)

    def _check_parity(self, folder: Path) -> None:
        parity = self.card.parity
        vector = self.encode(reference_input(self.card))[0]
        first, checksum = fingerprint(vector, len(parity.first_values))
        off = float(np.max(np.abs(np.subtract((*first, checksum), (*parity.first_values, parity.checksum)))))
        if not off <= parity.tolerance:
            raise EncoderError(
                f"{folder / ONNX_NAME} answers its reference input otherwise than its card says "
                f"(by {off:.2g}, {parity.tolerance:.2g} is allowed) on {', '.join(self.providers)}: "
                "vectors made here could not be compared with others. Use another execution provider, "
                "or fetch the encoder again."
            )


def check_runtime() -> None:
    """Refuse to start unless exactly one ONNX Runtime is installed.

    Both distributions own the import name `onnxruntime`: the last one installed overwrites the other.

    Raises:
        EncoderError: none is installed, or both are.
    """
    _refuse_other_than_one([name for name in RUNTIMES if _is_installed(name)])


def _refuse_other_than_one(installed: Sequence[str]) -> None:
    if not installed:
        raise EncoderError(
            "ONNX Runtime is not installed: pip install 'pacs-cbir[cpu]', or 'pacs-cbir[gpu]' where there is "
            "an NVIDIA GPU."
        )
    if len(installed) > 1:
        raise EncoderError(
            f"{' and '.join(installed)} are both installed and overwrite each other: "
            f"pip uninstall -y {' '.join(installed)}, then install 'pacs-cbir[cpu]' or 'pacs-cbir[gpu]'."
        )


def reference_input(card: Card) -> NDArray[np.float32]:
    """The known input of the parity check: float32 (1, channels, height, width) in [0, 1).

    Value i (row-major) is the fraction of (i * 2654435761 mod 2^32) / 2^32: the same on every machine
    and with every version of numpy.
    """
    count = card.input.channels * card.input.height * card.input.width
    hashed = (np.arange(count, dtype=np.uint64) * np.uint64(_HASH_MULTIPLIER)) % np.uint64(2**32)
    values = (hashed / 2.0**32).astype(np.float32)
    return values.reshape(1, card.input.channels, card.input.height, card.input.width)


def fingerprint(vector: Vector, count: int) -> tuple[tuple[float, ...], float]:
    """The first `count` components of a unit vector, and the checksum of all of them."""
    weights = np.arange(1, len(vector) + 1) / len(vector)
    return tuple(float(v) for v in vector[:count]), float(vector.astype(np.float64) @ weights)


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True


def open_session(path: Path, providers: Sequence[str], threads: int) -> Any:  # noqa: ANN401 - untyped
    """A session for an ONNX file, with our options. Raises EncoderError when it cannot be had."""
    check_runtime()
    runtime: ModuleType = importlib.import_module("onnxruntime")
    available = runtime.get_available_providers()
    wanted = list(providers) or [name for name in PREFERRED_PROVIDERS if name in available]
    missing = [name for name in wanted if name not in available]
    if missing:
        raise EncoderError(
            f"ONNX Runtime has no {', '.join(missing)} here, only {', '.join(available)}: "
            "change CBIR_PROVIDERS or install 'pacs-cbir[gpu]'."
        )
    try:
        session = runtime.InferenceSession(
            str(path), sess_options=_options(runtime, threads), providers=wanted
        )
    except Exception as error:  # onnxruntime raises a type of its own for each of many causes
        raise EncoderError(f"ONNX Runtime cannot load {path}: {error}") from error
    if providers and session.get_providers()[0] != providers[0]:
        raise EncoderError(f"{providers[0]} was asked for but cannot be started: see ONNX Runtime's log.")
    return session


def _options(runtime: ModuleType, threads: int) -> Any:  # noqa: ANN401 - onnxruntime is untyped
    """Spinning off: other servers share the machine."""
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _check_shapes(session: Any, card: Card, folder: Path) -> None:  # noqa: ANN401 - onnxruntime is untyped
    inputs = {found.name: found for found in session.get_inputs()}
    outputs = {found.name: found for found in session.get_outputs()}
    if set(inputs) != {card.input.name}:
        raise EncoderError(
            f"{folder}: the model's inputs are {sorted(inputs)}, its card says {card.input.name}."
        )
    if card.outputs.embedding not in outputs:
        raise EncoderError(
            f"{folder}: the model's outputs are {sorted(outputs)}, its card says {card.outputs.embedding}."
        )
    _, *wanted = (None, card.input.channels, card.input.height, card.input.width)
    _check_shape(folder, "input", inputs[card.input.name].shape, wanted)
    _check_shape(folder, "embedding", outputs[card.outputs.embedding].shape, [card.dimension])
    if inputs[card.input.name].type != "tensor(float)":
        raise EncoderError(f"{folder}: the model wants {inputs[card.input.name].type}, not float32.")


def _check_shape(folder: Path, what: str, found: Sequence[object], wanted: Sequence[int]) -> None:
    """The batch dimension must be free; the others must agree where the model fixes them."""
    fixed = [isinstance(size, int) for size in found]
    agrees = len(found) == len(wanted) + 1 and all(
        not is_fixed or size == want
        for is_fixed, size, want in zip(fixed[1:], found[1:], wanted, strict=True)
    )
    if not agrees or (fixed and fixed[0]):
        raise EncoderError(
            f"{folder}: the model's {what} is {list(found)}, its card wants [n, {list(wanted)}]."
        )


def unit_rows(raw: NDArray[np.float32]) -> Vector:
    """Rows of unit length; zero where a row is zero or not finite."""
    norms = np.linalg.norm(raw.astype(np.float64), axis=1)
    usable = np.isfinite(norms) & (norms > _SMALLEST_NORM)
    safe = np.where(usable, norms, 1.0)[:, None]
    return np.where(usable[:, None], raw / safe, 0.0).astype(np.float32)
