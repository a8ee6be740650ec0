"""`cbir encoders check`: one encoder by its card, its files and its answers to pictures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cbir.doctor.finding import Finding, ok, problem, warning
from cbir.encoders.pictures import Pictures
from cbir.settings import Settings
from evaluation.collapse import spread_of
from indexer.domain import Vector
from indexer.errors import CbirError
from inference.card import ONNX_NAME, Card, EncoderError, load_card
from inference.encoder import OnnxEncoder, open_session, unit_rows
from inference.known import load_known
from inference.limits import Limits
from inference.registry import Registry
from inference.text import TextEncoder

BATCH: Final = 16
FEWEST: Final = 16
TIMES: Final = 5
ALIKE: Final = 1e-3
SENTENCES: Final = ("chest radiograph", "computed tomography of the head")


def check_encoder(
    registry: Registry, folder: Path, pictures: Pictures, settings: Settings
) -> Iterator[Finding]:
    """Look at everything that makes an encoder usable, each finding as soon as it is there.

    Args:
        registry: knows which licences are accepted.
        folder: the encoder's.
        pictures: what it is asked with.
        settings: providers and threads of the encoder, limits of what is read.
    """
    try:
        card = load_card(folder)
    except EncoderError as error:
        yield problem("card", "The card or the file is not right.", str(error))
        return
    yield ok("card", f"{card.encoder_version}: the card is right, and the file has its SHA-256.")
    yield _licence(registry, card)
    try:
        encoder = OnnxEncoder(folder, settings.providers, settings.threads)
    except CbirError as error:
        yield problem("model", "The model is not what its card says.", str(error))
        return
    yield ok("model", f"Inputs, outputs and the parity vector agree on {encoder.providers[0]}.")
    limits = Limits(
        max_instance_bytes=settings.max_instance_bytes, max_frame_pixels=settings.max_frame_pixels
    )
    inputs = pictures.inputs(card.input.preprocessing, limits)
    if not len(inputs):
        yield problem("pictures", f"There is no picture in {pictures.folder}.", "Name a folder with images.")
        return
    vectors = _encoded(encoder, inputs)
    yield _batches(encoder, inputs, vectors)
    yield from _other_outputs(folder, card, inputs[:BATCH], settings)
    yield _collapse(vectors, pictures)
    yield _speed(encoder, inputs)
    if card.text is not None:
        yield _text(folder, settings)
    if card.known is not None:
        yield _known(folder, card)


def _licence(registry: Registry, card: Card) -> Finding:
    try:
        registry.accept_licence(card)
    except EncoderError as error:
        return warning("licence", f"{card.name} is not switched on.", str(error))
    allowed = "allows" if card.licence.commercial_use else "forbids"
    return ok("licence", f"{card.licence.weights}; it {allowed} commercial use.")


def _encoded(encoder: OnnxEncoder, inputs: NDArray[np.float32]) -> Vector:
    return np.concatenate([encoder.encode(inputs[i : i + BATCH]) for i in range(0, len(inputs), BATCH)])


def _batches(encoder: OnnxEncoder, inputs: NDArray[np.float32], vectors: Vector) -> Finding:
    """A vector must not depend on what else is in the batch."""
    alone = np.concatenate([encoder.encode(inputs[i : i + 1]) for i in range(min(4, len(inputs)))])
    off = float(np.abs(alone - vectors[: len(alone)]).max())
    if off > ALIKE:
        return problem(
            "batches",
            f"A frame alone has another vector than in a batch (by {off:.2g}).",
            "Export the model again in evaluation mode, with a batch dimension that is free.",
        )
    return ok("batches", "A frame has the same vector alone and in a batch.")


def _other_outputs(
    folder: Path, card: Card, batch: NDArray[np.float32], settings: Settings
) -> Iterator[Finding]:
    """The outputs that a card may name beside its embedding."""
    named = {
        what: name
        for what, name in (("pooled", card.outputs.pooled), ("feature_map", card.outputs.feature_map))
        if name is not None
    }
    if not named:
        return
    session = open_session(folder / ONNX_NAME, settings.providers, settings.threads)
    there = {output.name for output in session.get_outputs()}
    for what, name in named.items():
        if name not in there:
            yield problem(what, f"The model has no output {name}, which its card names.", "Correct the card.")
            continue
        raw, embedded = session.run([name, card.outputs.embedding], {card.input.name: batch})
        wrong = _wrong_pooled(raw, embedded) if what == "pooled" else _wrong_map(raw, len(batch))
        advice = "Export the model again, or take the output out of its card."
        yield problem(what, wrong, advice) if wrong else ok(what, f"The output {name} is what the card says.")


def _wrong_pooled(raw: NDArray[np.float32], embedded: NDArray[np.float32]) -> str:
    mean = unit_rows(np.asarray(embedded, np.float32)).mean(axis=0)
    wanted = mean / max(float(np.linalg.norm(mean)), 1e-12)
    if raw.shape != (1, len(wanted)):
        return f"The pooled vector has shape {raw.shape}, not {(1, len(wanted))}."
    off = float(np.abs(raw[0] - wanted).max())
    return f"The pooled vector is not the mean of its frames' vectors (by {off:.2g})." if off > ALIKE else ""


def _wrong_map(raw: NDArray[np.float32], frames: int) -> str:
    if raw.ndim != 4 or len(raw) != frames:
        return f"The feature map has shape {raw.shape}, not ({frames}, channels, rows, columns)."
    return "" if np.isfinite(raw).all() else "The feature map is not finite."


def _collapse(vectors: Vector, pictures: Pictures) -> Finding:
    known = vectors[np.linalg.norm(vectors, axis=1) > 0]
    if len(known) < FEWEST:
        return warning(
            "collapse",
            f"{pictures.what} give {len(known)} vectors: too few to tell how they spread.",
            f"Give {FEWEST} different images or more: --images FOLDER.",
        )
    spread = spread_of(known)
    said = (
        f"{len(known)} vectors of {pictures.what}: effective rank {spread.effective_rank:.1f} of "
        f"{spread.dimension}, mean cosine {spread.mean_cosine:.2f}, first direction {spread.first_share:.0%}."
    )
    if spread.is_collapsed:
        advice = "Its vectors tell too little apart. If that is for want of fitting pictures, check it with "
        return problem("collapse", said, advice + "--images FOLDER of the kind it is meant for.")
    return ok("collapse", said)


def _speed(encoder: OnnxEncoder, inputs: NDArray[np.float32]) -> Finding:
    batch = np.resize(inputs, (BATCH, *inputs.shape[1:]))
    times_s = []
    for _ in range(TIMES):
        started = time.perf_counter()
        encoder.encode(batch)
        times_s.append(time.perf_counter() - started)
    return ok("speed", f"{median(times_s) / BATCH * 1000:.2f} ms a frame, in batches of {BATCH}.")


def _known(folder: Path, card: Card) -> Finding:
    try:
        known = load_known(folder, card)
    except EncoderError as error:
        return problem("known", "What tells outsiders is not what the card says.", str(error))
    directions = 0 if known is None else len(known.prototypes)
    return ok("known", f"{directions} directions of known images; outsiders are told by them.")


def _text(folder: Path, settings: Settings) -> Finding:
    try:
        vectors = TextEncoder(folder, settings.providers, settings.threads).encode(SENTENCES)
    except CbirError as error:
        return problem("text", "The text tower cannot be used.", str(error))
    if not np.linalg.norm(vectors, axis=1).all() or np.allclose(vectors[0], vectors[1], atol=ALIKE):
        return problem(
            "text", "The text tower does not tell two sentences apart.", "Export it with its own tokenizer."
        )
    return ok("text", "The text tower and its tokenizer are the card's, and tell two sentences apart.")
