"""What is loaded once for each encoder, when it is first needed, and tried again when it could not be."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Final, Generic, TypeVar

from indexer.domain import EncoderVersion
from indexer.errors import EncoderUnavailable
from inference.card import EncoderError

logger = logging.getLogger(__name__)

TRY_AGAIN_S: Final = 60.0

Loaded = TypeVar("Loaded")


class OnceLoaded(Generic[Loaded]):
    """Keeps what was loaded; one that cannot be loaded is tried again after a minute. Thread-safe."""

    def __init__(self, load: Callable[[EncoderVersion], Loaded]) -> None:
        """Load nothing yet; `load` raises EncoderError."""
        self._how = load
        self._lock = threading.Lock()
        self._loading: dict[EncoderVersion, threading.Lock] = {}
        self._loaded: dict[EncoderVersion, Loaded] = {}
        self._failed: dict[EncoderVersion, tuple[float, str]] = {}

    def load(self, version: EncoderVersion) -> Loaded:
        """Load it now unless it is loaded already. Raises EncoderError."""
        with self._lock_of(version):
            return self._load(version)

    def of(self, version: EncoderVersion) -> Loaded:
        """What belongs to this version. Raises EncoderUnavailable when it cannot be had here.

        While one is loaded, only those who ask for the same one wait.
        """
        if version in self._loaded:
            return self._loaded[version]
        with self._lock_of(version):
            failed_at_s, why = self._failed.get(version, (float("-inf"), ""))
            if time.monotonic() - failed_at_s < TRY_AGAIN_S:
                raise EncoderUnavailable(why)
            try:
                return self._load(version)
            except EncoderError as error:
                self._failed[version] = (time.monotonic(), str(error))
                logger.error("encoder_not_loaded encoder=%s detail=%s", version, error)  # noqa: TRY400
                raise EncoderUnavailable(str(error)) from error

    def _lock_of(self, version: EncoderVersion) -> threading.Lock:
        with self._lock:
            return self._loading.setdefault(version, threading.Lock())

    def _load(self, version: EncoderVersion) -> Loaded:
        if version not in self._loaded:
            self._loaded[version] = self._how(version)
        return self._loaded[version]
