"""Frames are looked at a few at once, whoever asks, and nobody waits longer than she was told."""

from __future__ import annotations

import threading
import time

from indexer.domain import FrameReference, SeriesReference
from indexer.ports import StoredInstance
from indexer.search.seen_frames import AT_ONCE, SeenFrames, Wanted
from tests.fakes.archive import FakeArchive
from tests.indexer.search.world import ENCODER, OneVectorEncoder


class SlowArchive(FakeArchive):
    """Answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.is_asked = threading.Barrier(AT_ONCE + 1)
        self.may_answer = threading.Event()

    def find_instance(self, sop_instance_uid: str) -> StoredInstance:
        self.asked.append(sop_instance_uid)
        self.is_asked.wait(timeout=60)
        self.may_answer.wait(timeout=120)
        return super().find_instance(sop_instance_uid)


def frames(first: str) -> list[Wanted]:
    return [
        (SeriesReference("1", "1.1", "id"), FrameReference("1.2", f"{first}.{n}", 1)) for n in range(AT_ONCE)
    ]


def test_whose_turn_does_not_come_in_time_is_left_out_while_others_are_still_looked_at() -> None:
    archive = SlowArchive()
    seen = SeenFrames(archive, OneVectorEncoder())
    other = threading.Thread(target=seen.of_many, args=(frames("first"), ENCODER))
    other.start()
    archive.is_asked.wait(timeout=60)
    begun = time.monotonic()
    waiting = threading.Timer(60, archive.may_answer.set)  # so that one who waits for ever is found out
    waiting.start()
    assert seen.of_many(frames("second"), ENCODER, longest_s=0.2) == {}
    assert time.monotonic() - begun < 30
    waiting.cancel()
    archive.may_answer.set()
    other.join()
    assert sorted(archive.asked) == [frame.sop_instance_uid for _, frame in frames("first")]
