"""The pictures of an answer, and what must never be seen in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Several
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage

from indexer.answers.example import read_example
from indexer.answers.illustrations import AT_ONCE, Illustrated, Illustrations
from indexer.domain import Answer, FrameReference, Match, SeriesReference
from indexer.errors import Overloaded
from indexer.ports import FetchedInstance, StoredInstance
from indexer.search.seen_frames import LARGEST_BYTES
from tests.fakes.answers import PATIENT_NAME, answer_about, instance, uid, write
from tests.fakes.archive import FakeArchive
from tests.fakes.encoder import FakeEncoder
from tests.fakes.workstation import wait_until

ULTRASOUND = "1.2.840.10008.5.1.4.1.1.6.1"
CAPTURE = "1.2.840.10008.5.1.4.1.1.7"


class Room:
    """An example of two series, three archived priors, and where their pictures come from."""

    def __init__(self, folder: Path) -> None:
        self.archive, self.encoder = FakeArchive(), FakeEncoder()
        self.paths = write(folder, instance("asked", number=1), instance("asked", number=2))
        self.example = read_example(self.paths)

    def answer(self, *priors: Dataset, same_patient: tuple[Dataset, ...] = ()) -> Answer:
        """An answer whose matches are these, all of them archived."""
        plain = answer_about(self.paths, matches=len(priors))
        own = answer_about(self.paths, matches=len(same_patient))
        return replace(
            plain,
            matches=tuple(self._archived(m, d) for m, d in zip(plain.matches, priors, strict=True)),
            same_patient=tuple(self._archived(m, d) for m, d in zip(own.matches, same_patient, strict=True)),
        )

    def _archived(self, match: Match, dataset: Dataset) -> Match:
        [path] = write(Path(self.paths[0]).parent / "priors", dataset)
        archive_id = self.archive.store(path)
        reference = SeriesReference(dataset.StudyInstanceUID, dataset.SeriesInstanceUID, archive_id)
        frame = FrameReference(dataset.SOPClassUID, dataset.SOPInstanceUID, 1)
        return replace(match, reference=reference, frame=frame)

    def pictures(
        self, answer: Answer, wait_s: float = 120.0, clock: Callable[[], float] = time.monotonic
    ) -> Illustrated:
        return Illustrations(self.archive, self.encoder, wait_s, clock).of(self.example, self.paths, answer)


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path / "q")


def prior(name: str, **attributes: object) -> Dataset:
    """A prior case: white all over, so that nothing is black by itself."""
    white = np.full(16, 4095, "<u2").tobytes()
    usual: dict[str, Any] = {"PatientID": name, "PixelData": white}
    return instance(name, **{**usual, **attributes})


def test_every_frame_has_its_picture_and_both_of_a_pair_their_maps(room: Room) -> None:
    found = room.pictures(room.answer(prior("a"), prior("b")))
    assert [asked.frame.sop_instance_uid for asked in found.asked] == [uid("asked", "1", "1")]
    assert all(asked.picture is not None and asked.alike is not None for asked in found.asked)
    assert all(shown.picture is not None and shown.alike is not None for shown in found.matches)
    assert found.sizes() == {uid(name, "1", "1"): (4, 4) for name in ("asked", "a", "b")}
    assert room.archive.fetched


def test_a_case_that_is_gone_or_cannot_be_drawn_costs_only_its_own_picture(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    answer = room.answer(prior("a"), prior("gone"), prior("broken", Rows=None), prior("d"))
    room.archive.delete_instance(uid("gone", "1", "1"))
    found = room.pictures(answer)
    assert [shown.picture is not None for shown in found.matches] == [True, False, False, True]
    assert not any(shown.is_withheld for shown in found.matches)
    assert "picture_left_out" in caplog.text


def test_without_an_encoder_or_an_archive_the_answer_stays(room: Room) -> None:
    answer = room.answer(prior("a"))
    room.encoder.unavailable = True
    assert room.pictures(answer).matches[0].picture is None
    room.encoder.unavailable, room.archive.unavailable = False, True
    found = room.pictures(answer)
    assert found.matches[0].picture is None
    assert found.asked[0].picture is not None


def test_what_is_late_is_left_out(room: Room) -> None:
    answer = room.answer(prior("a"))
    gate = threading.Event()

    class Slow(FakeEncoder):
        def render(self, *arguments: object, **more: object) -> bytes:
            gate.wait(120)
            return super().render(*arguments, **more)  # type: ignore[arg-type]

    room.encoder = Slow()
    try:
        found = room.pictures(answer, wait_s=0.3)
    finally:
        gate.set()
    assert found.asked[0].picture is None
    assert found.matches[0].match == answer.matches[0]


class UntilFetched:
    """Time stands still until something is being fetched: whoever waits for it then finds it late."""

    def __init__(self) -> None:
        self.is_fetched = threading.Event()
        self._is_begun = False

    def __call__(self) -> float:
        if self._is_begun and threading.current_thread() is threading.main_thread():
            self.is_fetched.wait(120)
        self._is_begun = True
        return 1e6 if self.is_fetched.is_set() else 0.0


class NotingEncoder(FakeEncoder):
    """Notes whose pictures it draws."""

    def __init__(self) -> None:
        super().__init__()
        self.drawn: list[Path] = []

    def render(self, instance: Path, *arguments: object, **more: object) -> bytes:
        self.drawn.append(instance)
        return super().render(instance, *arguments, **more)  # type: ignore[arg-type]


class Shelf(FakeArchive):
    """An archive that remembers where it put what was fetched, and how much of it lay there at once."""

    def __init__(self) -> None:
        super().__init__()
        self.put_at: list[Path] = []
        self.at_once: list[int] = []

    def fetch(self, instances: Several[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
        for found in super().fetch(instances, into):
            self.put_at.append(found.path)
            # What is put while we count is not counted: what was counted before may be gone by then.
            self.at_once.append(sum(path.exists() for path in tuple(self.put_at)))
            yield found


def test_a_match_is_on_the_disk_no_longer_than_its_picture_takes(room: Room) -> None:
    shelf = room.archive = Shelf()
    found = room.pictures(room.answer(*[prior(f"p{n}") for n in range(3 * AT_ONCE)]))
    assert all(shown.picture is not None for shown in found.matches)
    assert max(shelf.at_once) <= AT_ONCE
    assert not any(path.exists() for path in shelf.put_at)


def test_a_picture_that_comes_too_late_takes_its_file_away_and_begins_nothing_more(room: Room) -> None:
    gate, clock = threading.Event(), UntilFetched()

    class Slow(Shelf):
        def fetch(self, instances: Several[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
            clock.is_fetched.set()
            gate.wait(120)
            return super().fetch(instances, into)

    shelf, encoder = Slow(), NotingEncoder()
    room.archive, room.encoder = shelf, encoder
    answer = room.answer(prior("a"))
    found = room.pictures(answer, clock=clock)
    assert found.matches[0].picture is None
    gate.set()
    wait_until(lambda: bool(shelf.put_at) and not shelf.put_at[0].parent.exists())
    assert not set(shelf.put_at) & set(encoder.drawn)


def test_a_very_large_instance_is_not_fetched_for_a_picture(room: Room) -> None:
    class Vast(FakeArchive):
        def find_instance(self, sop_instance_uid: str) -> StoredInstance:
            return replace(super().find_instance(sop_instance_uid), size_bytes=LARGEST_BYTES + 1)

    room.archive = Vast()
    [shown] = room.pictures(room.answer(prior("a"))).matches
    assert shown.picture is None
    assert room.archive.fetched == []


def test_a_picture_that_breaks_costs_no_answer_and_its_text_is_told_nobody(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakeEncoder):
        def render(self, instance: Path, *arguments: object, **more: object) -> bytes:
            if instance in room.paths:
                return super().render(instance, *arguments, **more)  # type: ignore[arg-type]
            raise ValueError(PATIENT_NAME)

    room.encoder = Broken()
    answer = room.answer(prior("a"), prior("b"))
    found = room.pictures(answer)
    assert found.asked[0].picture is not None
    assert [shown.match for shown in found.matches] == list(answer.matches)
    assert [shown.picture for shown in found.matches] == [None, None]
    assert "reason=broken error=ValueError" in caplog.text
    assert "in render" in caplog.text
    assert PATIENT_NAME not in caplog.text


def test_a_worker_that_is_busy_is_asked_again(room: Room) -> None:
    answer = room.answer(prior("a"))

    class Busy(FakeEncoder):
        turned_away = 0

        def render(self, *arguments: object, **more: object) -> bytes:
            if self.turned_away < 3:
                self.turned_away += 1
                raise Overloaded("Ask again in a moment.")
            return super().render(*arguments, **more)  # type: ignore[arg-type]

    room.encoder = Busy()
    found = room.pictures(answer)
    assert found.asked[0].picture is not None
    assert found.matches[0].picture is not None


@pytest.mark.parametrize(
    ("attributes", "is_withheld"),
    [
        ({}, False),
        ({"BurnedInAnnotation": "YES"}, True),
        ({"SOPClassUID": CAPTURE}, True),
        ({"SOPClassUID": CAPTURE, "BurnedInAnnotation": "NO"}, False),
        ({"SOPClassUID": ULTRASOUND}, True),
        ({"SOPClassUID": ULTRASOUND, "BurnedInAnnotation": "NO"}, False),
    ],
)
def test_a_picture_of_another_patient_that_may_show_a_name_is_withheld(
    room: Room, attributes: dict[str, object], is_withheld: bool
) -> None:
    [shown] = room.pictures(room.answer(prior("a", **attributes))).matches
    assert shown.is_withheld == is_withheld
    assert (shown.picture is None) == is_withheld


def test_of_an_ultrasound_only_its_regions_are_seen(room: Room) -> None:
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 1, 1
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = 4, 3
    burned = prior(
        "a",
        SOPClassUID=ULTRASOUND,
        BurnedInAnnotation="YES",
        SequenceOfUltrasoundRegions=Sequence([region]),
    )
    [shown] = room.pictures(room.answer(burned)).matches
    assert shown.picture is not None
    seen = shown.picture.pixels[..., 0] > 0
    expected = np.zeros((4, 4), bool)
    expected[1:3, 1:4] = True
    assert np.array_equal(seen, expected)


def test_the_own_patients_earlier_pictures_are_shown_whole(room: Room) -> None:
    answer = room.answer(prior("a"), same_patient=(prior("own", BurnedInAnnotation="YES"),))
    [shown] = room.pictures(answer).same_patient
    assert shown.picture is not None
    assert shown.picture.pixels.min() == 255


def test_an_instance_of_the_same_uid_in_another_series_is_never_shown(room: Room) -> None:
    """Two patients may bear one UID by mistake; the series tells which one was found."""
    twin = prior("twin", PatientID="elsewhere")
    answer = room.answer(twin)
    [match] = answer.matches
    room.archive.delete_series(match.reference.archive_id)
    [path] = write(Path(room.paths[0]).parent / "other", replace_patient(twin, "somebody else"))
    room.archive.store(path)
    [shown] = room.pictures(answer).matches
    assert shown.picture is None


def replace_patient(dataset: Dataset, patient_id: str) -> Dataset:
    dataset.PatientID = patient_id
    return dataset


def test_a_lossy_picture_is_known_as_one(room: Room) -> None:
    answer = room.answer(prior("a"), prior("b", LossyImageCompression="01"))
    found = room.pictures(answer)
    assert [s.picture.disclosure.is_lossy for s in found.matches if s.picture] == [False, True]


def test_a_question_without_matches_still_has_a_frame_of_the_example(room: Room) -> None:
    nothing = Answer(example=(), encoder=None, matches=(), took_ms=1.0)
    [asked] = room.pictures(nothing).asked
    assert asked.picture is not None
    assert asked.frame == FrameReference(str(CTImageStorage), uid("asked", "1", "2"), 1)
