"""Reads what an encoder knows from its folder, and checks it against the card."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from indexer.domain import EncoderVersion, Vector
from indexer.search.knowing import Known
from inference.card import KNOWN_NAME, Card, EncoderError, sha256_of
from inference.encoder import unit_rows
from inference.registry import read_card

logger = logging.getLogger(__name__)

TRY_AGAIN_S: Final = 60.0
_OFF_UNIT: Final = 0.01


def load_known(folder: Path, card: Card) -> Known | None:
    """The directions of known.npy; None where the card names none.

    Raises:
        EncoderError: the file is missing, is another one, or does not hold what the card says.
    """
    named = card.known
    if named is None:
        return None
    path = folder / KNOWN_NAME
    try:
        found = sha256_of(path)
    except FileNotFoundError as error:
        raise EncoderError(
            f"{path} is missing, which its card names: fetch it again, or take `known` out of the card."
        ) from error
    if found != named.sha256:
        raise EncoderError(
            f"{path} has SHA-256 {found}, its card says {named.sha256}: fetch the file again, or make it "
            "anew with `cbir train known`."
        )
    rows = _read(path, card.dimension)
    inside = len(rows) - named.outside
    if inside < 1:
        raise EncoderError(f"{path} has {len(rows)} rows, its card says that {named.outside} stand outside.")
    return Known(rows[:inside], least=named.least, close=named.close, outside=rows[inside:])


def _read(path: Path, dimension: int) -> Vector:
    try:
        rows = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise EncoderError(f"{path} is no array of numpy: make it anew with `cbir train known`.") from error
    if not isinstance(rows, np.ndarray) or rows.ndim != 2 or rows.shape[1] != dimension:
        raise EncoderError(f"{path} holds no rows of {dimension} numbers, which the encoder gives.")
    rows = rows.astype(np.float32)
    norms = np.linalg.norm(rows, axis=1)
    if not np.isfinite(norms).all() or (np.abs(norms - 1) > _OFF_UNIT).any():
        raise EncoderError(f"{path} holds rows that are not of unit length: make it anew.")
    return unit_rows(rows)


class KnownImages:
    """What each encoder at hand knows, read once; safe to share between threads.

    What could not be read is tried again after a minute: a folder may be mounted, or put right, meanwhile.
    """

    def __init__(
        self, folder_of: Callable[[EncoderVersion], Path], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Read nothing yet; `folder_of` raises EncoderError where an encoder is not at hand."""
        self._folder_of = folder_of
        self._clock = clock
        self._lock = threading.Lock()
        self._read: dict[EncoderVersion, Known | None] = {}
        self._failed_at_s: dict[EncoderVersion, float] = {}

    def __call__(self, version: EncoderVersion) -> Known | None:
        """What it knows; None where its card does not say, or where `cbir encoders check` finds it wrong."""
        with self._lock:
            failed_at_s = self._failed_at_s.get(version, -math.inf)
            if version not in self._read and self._clock() - failed_at_s >= TRY_AGAIN_S:
                self._load(version)
            return self._read.get(version)

    def _load(self, version: EncoderVersion) -> None:
        try:
            folder = self._folder_of(version)
            card = read_card(folder)
            if card is None:
                raise EncoderError(f"The card in {folder} cannot be read: fetch the encoder again.")
            self._read[version] = load_known(folder, card)
        except (EncoderError, OSError) as error:
            self._failed_at_s[version] = self._clock()
            logger.warning("known_not_read encoder=%s detail=%s", version, error)
