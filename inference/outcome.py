"""What became of the frames of a series so far: vectors, frames that wait, frames left out and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from indexer.domain import FrameReference, Vector
from indexer.errors import NotFound, Rejected, TooLarge, Unsupported
from inference.attributes import HeaderAttributes
from inference.frames import PreparedFrame, PreparedInstance

WaitingFrame = tuple[int, FrameReference, NDArray[np.float32]]
"""A frame's place in the sample, the frame, and the model's input for it."""

BLANK: Final = "blank_frame"
DEGENERATE: Final = "degenerate_vector"


@dataclass(frozen=True, slots=True)
class SkippedFrame:
    """A frame, or with `frame_number` None a whole instance, that stands in no embedding, and why.

    `sop_instance_uid` is empty where not even that could be read. `detail` is our own words: it holds
    nothing of the file.
    """

    sop_instance_uid: str
    reason: str
    detail: str = ""
    frame_number: int | None = None


@dataclass(slots=True)
class Outcome:
    """Collects what becomes of sampled frames; their place in the sample is their order."""

    attributes: tuple[int, HeaderAttributes] | None = None
    vectors: dict[int, tuple[FrameReference, Vector]] = field(default_factory=dict)
    waiting: list[WaitingFrame] = field(default_factory=list)
    blank: list[WaitingFrame] = field(default_factory=list)
    skipped: list[SkippedFrame] = field(default_factory=list)
    _refusals: list[Rejected] = field(default_factory=list)

    def take(self, orders: Sequence[int], prepared: PreparedInstance) -> None:
        """Take prepared frames in; the attributes are those of the first instance in order."""
        if self.attributes is None or orders[0] < self.attributes[0]:
            self.attributes = (orders[0], prepared.attributes)
        for order, frame in zip(orders, prepared.frames, strict=True):
            self._take_frame(order, frame, prepared)

    def keep(self, frame: WaitingFrame, vector: Vector) -> None:
        """Keep the vector of a frame; a zero one means that the encoder has none for it."""
        order, reference, _ = frame
        if vector.any():
            self.vectors[order] = (reference, vector)
        else:
            degenerate = Rejected("The encoder has no vector for the frame.", reason=DEGENERATE)
            self.refuse(degenerate, reference.sop_instance_uid, reference.frame_number)

    def leave_out_blank(self, frame: WaitingFrame) -> None:
        """Skip a frame that shows nothing."""
        _, reference, _ = frame
        blank = Unsupported("The frame shows nothing: it has one grey level.", reason=BLANK)
        self.refuse(blank, reference.sop_instance_uid, reference.frame_number)

    def refuse(self, refused: Rejected, sop_instance_uid: str, frame_number: int | None = None) -> None:
        """Skip a frame, or a whole instance."""
        self._refusals.append(refused)
        self.skipped.append(SkippedFrame(sop_instance_uid, refused.reason, str(refused), frame_number))

    def why_nothing(self) -> Rejected:
        """One error for everything that was skipped: that of the most frequent reason."""
        if not self._refusals:
            return Unsupported("There is nothing to embed.", reason="no_instances")
        reason = Counter(refused.reason for refused in self._refusals).most_common(1)[0][0]
        first = next(refused for refused in self._refusals if refused.reason == reason)
        kind = next((k for k in (Unsupported, TooLarge, NotFound) if isinstance(first, k)), Rejected)
        return kind(str(first), reason=reason)

    def _take_frame(self, order: int, frame: PreparedFrame, prepared: PreparedInstance) -> None:
        identity = prepared.identity
        if frame.pixels is None:
            refused = Rejected(frame.detail, reason=frame.reason)
            self.refuse(refused, identity.sop_instance_uid, frame.frame_index + 1)
            return
        reference = FrameReference(
            sop_class_uid=identity.sop_class_uid,
            sop_instance_uid=identity.sop_instance_uid,
            frame_number=frame.frame_index + 1,
        )
        (self.blank if frame.blank else self.waiting).append((order, reference, frame.pixels))
