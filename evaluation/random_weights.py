"""The same model with what it learned shuffled away: an encoder's folder whose weights are random."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np

from evaluation.errors import BenchmarkError
from inference.card import CARD_NAME, ONNX_NAME, Card, Parity, load_card, sha256_of
from inference.encoder import fingerprint, open_session, reference_input, unit_rows

_FEWEST_DIMENSIONS: Final = 2
_TOLERANCE: Final = 1e-3


def randomise(folder: Path, into: Path, seed: int = 0) -> Path:
    """Write an encoder whose weights are those of another, each tensor's values in a random order.

    So every layer keeps the sizes of its weights and loses what they mean. Vectors of one dimension
    (biases, the statistics of normalisations) and sizes stay as they are.

    Args:
        folder: of the encoder.
        into: a folder that is not there yet.
        seed: of the orders.

    Raises:
        BenchmarkError: the model has no weights, or answers nothing finite with random ones.
        EncoderError: `folder` holds no usable encoder.

    Source:
        Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018, section 3: independent
        randomisation of all layers at once.
    """
    import onnx  # noqa: PLC0415 - not needed for the rest of an evaluation
    from onnx import numpy_helper  # noqa: PLC0415

    card, rng, shuffled = load_card(folder), np.random.default_rng(seed), 0
    model = onnx.load(str(folder / ONNX_NAME))
    for weights in model.graph.initializer:
        values = numpy_helper.to_array(weights)
        if values.dtype.kind == "f" and values.ndim >= _FEWEST_DIMENSIONS:
            mixed = rng.permutation(values.ravel()).reshape(values.shape)
            weights.CopyFrom(numpy_helper.from_array(mixed, weights.name))
            shuffled += 1
    if shuffled == 0:
        raise BenchmarkError(f"{card.name} has no weights: there is nothing to make random.")
    into.mkdir(parents=True)
    onnx.save(model, str(into / ONNX_NAME))
    (into / CARD_NAME).write_text(_card(card, into).model_dump_json(), encoding="utf-8")
    return into


def _card(card: Card, folder: Path) -> Card:
    """The card of the model that was written: its hash and what it answers to the known input."""
    session: Any = open_session(folder / ONNX_NAME, (), 1)
    (raw,) = session.run([card.outputs.embedding], {card.input.name: reference_input(card)})
    vector = unit_rows(np.asarray(raw, dtype=np.float32).reshape(1, -1))[0]
    if not vector.any():
        raise BenchmarkError(f"{card.name} answers nothing finite once its weights are random.")
    first, checksum = fingerprint(vector, 8)
    changed = {
        "name": f"{card.name[:50]}-random",
        "onnx_sha256": sha256_of(folder / ONNX_NAME),
        "parity": Parity(first_values=first, checksum=checksum, tolerance=_TOLERANCE),
        "metrics": {},
        "text": None,
    }
    return card.model_copy(update=changed)
