"""Frames of the archive as an encoder sees them: fetched, and looked at a few at once."""

from __future__ import annotations

import logging
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from indexer.domain import EncoderVersion, FeatureMap, FrameReference, SeriesReference
from indexer.errors import CbirError, NotFound, Overloaded, TooLarge
from indexer.ports import Archive, Encoder, StoredInstance

AT_ONCE: Final = 3
"""Frames that are fetched and looked at together, whoever asks: the worker has other callers too."""
LONGEST_S: Final = 20.0
"""Of many frames: those whose turn has not come by then are left out."""
LARGEST_BYTES: Final = 256 * 2**20
"""Of an instance that is fetched for one of its frames, where many are."""
TRY_AGAIN_S: Final = 0.2

logger = logging.getLogger(__name__)

Wanted = tuple[SeriesReference, FrameReference]
"""A frame, and the series that it is shown as a part of."""


@dataclass(frozen=True, slots=True)
class SeenFrames:
    """Fetches frames and asks the encoder what it sees in them."""

    archive: Archive
    encoder: Encoder
    _places: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))

    @contextmanager
    def fetched(self, instance: StoredInstance) -> Iterator[Path]:
        """The DICOM file of an instance, for as long as the block. Raises NotFound when it is gone."""
        with tempfile.TemporaryDirectory(prefix="cbir-frame-") as folder:
            for found in self.archive.fetch([instance], Path(folder)):
                yield found.path
                return
            raise NotFound(f"Instance {instance.sop_instance_uid} is no longer in the archive.")

    def of(self, instance: StoredInstance, frame_number: int) -> FeatureMap:
        """What the encoder sees in a frame (1-based). Raises what the archive and the encoder raise."""
        with self.fetched(instance) as path:
            return self.encoder.feature_maps(path, [frame_number])[0]

    def of_many(
        self, wanted: Sequence[Wanted], version: EncoderVersion, longest_s: float = LONGEST_S
    ) -> Mapping[FrameReference, FeatureMap]:
        """What this encoder sees in each of these frames, as far as it can be had in so many seconds.

        A frame is left out that is gone, cannot be decoded or lies in a very large instance, that another
        encoder takes meanwhile, or whose turn does not come in time.
        """
        until_s = time.monotonic() + longest_s
        with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="frames") as threads:
            found = list(threads.map(lambda one: self._seen_or_none(one, version, until_s), wanted))
        return {frame: seen for (_, frame), seen in zip(wanted, found, strict=True) if seen is not None}

    @contextmanager
    def _place(self, until_s: float) -> Iterator[bool]:
        """A place among those that are looked at, for the block; whether there was one in time."""
        is_mine = self._places.acquire(timeout=max(0.0, until_s - time.monotonic()))
        try:
            yield is_mine
        finally:
            if is_mine:
                self._places.release()

    def _seen_or_none(self, wanted: Wanted, version: EncoderVersion, until_s: float) -> FeatureMap | None:
        reference, frame = wanted
        while time.monotonic() < until_s:
            try:
                with self._place(until_s) as is_mine:
                    if not is_mine:
                        break
                    instance = self.archive.find_instance(frame.sop_instance_uid)
                    _refuse_other(instance, reference)
                    seen = self.of(instance, frame.frame_number)
            except Overloaded:
                time.sleep(TRY_AGAIN_S)
            except CbirError as error:
                logger.info("frame_not_seen instance=%s detail=%s", frame.sop_instance_uid, error)
                return None
            else:
                return seen if seen.encoder == version else None
        return None


def _refuse_other(instance: StoredInstance, reference: SeriesReference) -> None:
    """What may be shown is this series' instance, not one that bears its UID by mistake."""
    if instance.series_archive_id != reference.archive_id:
        raise NotFound("Another series holds an instance of this UID.")
    refuse_large(instance)


def refuse_large(instance: StoredInstance) -> None:
    """Raises TooLarge for an instance that is not fetched for one of its frames."""
    if instance.size_bytes > LARGEST_BYTES:
        raise TooLarge(f"The instance is larger than {LARGEST_BYTES} bytes.")
