"""The text side of an image-text encoder: sentences to unit vectors in the space of the frames."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from indexer.domain import EncoderVersion, Vector
from inference.card import TEXT_ONNX_NAME, TOKENIZER_NAME, Card, EncoderError, TextTower, load_card, sha256_of
from inference.encoder import open_session, unit_rows

INPUTS: Final = frozenset({"input_ids", "attention_mask"})
NO_TEXT_ENCODER: Final = (
    "No encoder that is searched reads text. Train one on images and texts of your own: "
    "`cbir train image-text BENCHMARK RUN`, then `cbir export RUN ENCODERS/NAME --images BENCHMARK "
    "--weights-licence LICENCE --commercial-use --language en --language fr`, then `cbir encoders activate "
    "NAME`; ask again once `cbir status` says that it is searched. `cbir encoders list` shows "
    "which encoders read what languages."
)


class TextEncoder:
    """text.onnx and tokenizer.json of an encoder's folder, checked against its card."""

    def __init__(self, folder: Path, providers: Sequence[str] = (), threads: int = 0) -> None:
        """Load both files.

        Args:
            folder: holds encoder.onnx, card.json, text.onnx and tokenizer.json.
            providers: ONNX Runtime execution providers in order; empty takes the best there is.
            threads: of the CPU provider; 0 lets ONNX Runtime choose.

        Raises:
            EncoderError: the card names no text tower, a file is missing or another one than the card
                says, or the package `tokenizers` is not installed.
        """
        self.card: Card = load_card(folder)
        self._tower = _tower(self.card, folder)
        self._tokenizer = _tokenizer(folder / TOKENIZER_NAME, self._tower.max_tokens)
        self._session = open_session(folder / TEXT_ONNX_NAME, providers, threads)
        _check_shapes(self._session, self._tower, folder)

    @property
    def version(self) -> EncoderVersion:
        """Whose images the texts may be compared with."""
        return self.card.encoder_version

    @property
    def languages(self) -> tuple[str, ...]:
        """Those that it reads, ISO 639-1."""
        return self._tower.languages

    def knows(self, text: str) -> bool:
        """Whether its tokenizer knows a word of the text, or a part of one."""
        unknown = getattr(self._tokenizer.model, "unk_token", None)
        encoded = self._tokenizer.encode(text)
        return any(
            not special and token != unknown
            for token, special in zip(encoded.tokens, encoded.special_tokens_mask, strict=True)
        )

    def passages(self, sentences: Sequence[str]) -> list[str]:
        """Neighbouring sentences joined, as many as are read at once; a longer one stands alone."""
        passages: list[str] = []
        for sentence in sentences:
            joined = f"{passages[-1]} {sentence}" if passages else sentence
            if passages and not self._tokenizer.encode(joined).overflowing:
                passages[-1] = joined
            else:
                passages.append(sentence)
        return passages

    def encode(self, texts: Sequence[str]) -> Vector:
        """Embed texts; what is longer than the card's `max_tokens` is cut off.

        Returns:
            float32 (n, dimension), unit rows in order; a row is zero where the model's answer is not
            finite or is zero.
        """
        if not texts:
            return np.zeros((0, self.card.dimension), dtype=np.float32)
        tokens, mask = self._tokens(texts)
        (raw,) = self._session.run([self._tower.output], {"input_ids": tokens, "attention_mask": mask})
        vectors = unit_rows(np.asarray(raw, dtype=np.float32).reshape(len(texts), -1))
        if vectors.shape[1] != self.card.dimension:
            raise EncoderError(
                f"The text tower answers {vectors.shape[1]} numbers, its card says {self.card.dimension}: "
                "export the model again."
            )
        return vectors

    def encode_all(
        self, texts: Sequence[str], batch_size: int = 32, progress: Callable[[int], None] | None = None
    ) -> Vector:
        """Embed many texts, `batch_size` at a time; `progress` is told how many more are done."""
        batches = []
        for start in range(0, len(texts), batch_size):
            some = texts[start : start + batch_size]
            batches.append(self.encode(some))
            if progress is not None:
                progress(len(some))
        return np.concatenate(batches) if batches else self.encode(())

    def _tokens(self, texts: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(n, tokens) ids, and 1 where a token is one of the text."""
        encoded = [e.ids for e in self._tokenizer.encode_batch(list(texts))]
        longest = max(1, *(len(ids) for ids in encoded))
        tokens = np.zeros((len(encoded), longest), dtype=np.int64)
        mask = np.zeros_like(tokens)
        for row, ids in enumerate(encoded):
            tokens[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        return tokens, mask


def _tower(card: Card, folder: Path) -> TextTower:
    if card.text is None:
        raise EncoderError(f"{folder}: the card of {card.name} names no text tower: it cannot embed text.")
    for name, wanted in (
        (TEXT_ONNX_NAME, card.text.onnx_sha256),
        (TOKENIZER_NAME, card.text.tokenizer_sha256),
    ):
        path = folder / name
        if not path.is_file():
            raise EncoderError(f"{path} is missing: the card names a text tower, which needs both files.")
        found = sha256_of(path)
        if found != wanted:
            raise EncoderError(
                f"{path} has SHA-256 {found}, its card says {wanted}: fetch the file again, or export again."
            )
    return card.text


def _tokenizer(path: Path, max_tokens: int) -> Any:  # noqa: ANN401 - tokenizers is typed by stubs in part
    try:
        library: ModuleType = importlib.import_module("tokenizers")
    except ImportError as error:
        raise EncoderError(
            "The package `tokenizers` is not installed, and text needs it: `make setup`."
        ) from error
    try:
        tokenizer = library.Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises a plain Exception
        raise EncoderError(f"{path} is not a tokenizer: {error}") from error
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return tokenizer


def _check_shapes(session: Any, tower: TextTower, folder: Path) -> None:  # noqa: ANN401 - onnxruntime is untyped
    inputs = {found.name for found in session.get_inputs()}
    outputs = {found.name for found in session.get_outputs()}
    if inputs != INPUTS:
        raise EncoderError(f"{folder}: the text model's inputs are {sorted(inputs)}, not {sorted(INPUTS)}.")
    if tower.output not in outputs:
        raise EncoderError(f"{folder}: the text model gives {sorted(outputs)}, its card says {tower.output}.")
