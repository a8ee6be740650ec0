"""The pictures of an answer: the frames that were asked about, those that are alike, and where."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from indexer.answers.disclosure import WHOLE, Disclosure, disclosure_of
from indexer.answers.example import Example
from indexer.domain import Answer, FeatureMap, FrameReference, Match, MatchMap, Region, SeriesReference
from indexer.errors import CbirError, NotFound, Overloaded, TooLarge
from indexer.ports import Archive, Encoder, StoredInstance
from indexer.search.match_maps import match_maps
from indexer.search.seen_frames import LARGEST_BYTES

logger = logging.getLogger(__name__)

LONGEST_SIDE: Final = 640
AT_ONCE: Final = 4
MOST_ASKED: Final = 3
WAIT_S: Final = 30.0
TRY_AGAIN_S: Final = 0.2

Pixels = NDArray[np.uint8]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Picture:
    """One frame as a radiologist would recognise it: uint8 (rows, columns, 3), at most 640 a side.

    `disclosure` tells the frame's own rows and columns, and what of it may be shown; the rest is black.
    """

    pixels: Pixels
    disclosure: Disclosure


@dataclass(frozen=True, slots=True)
class Asked:
    """One series of the example by the frame that its best match answers; None where there is no picture."""

    frame: FrameReference
    series: SeriesReference | None = None
    picture: Picture | None = None
    alike: MatchMap | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """One match; `is_withheld` says that its picture may show a name and is therefore left out."""

    match: Match
    picture: Picture | None = None
    alike: MatchMap | None = None
    is_withheld: bool = False


@dataclass(frozen=True, slots=True)
class Illustrated:
    """An answer with its pictures; one that has none is drawn without."""

    asked: tuple[Asked, ...]
    matches: tuple[Shown, ...]
    same_patient: tuple[Shown, ...]

    def pictures(self) -> tuple[Picture, ...]:
        """All of them."""
        found = [asked.picture for asked in self.asked]
        found += [shown.picture for shown in (*self.matches, *self.same_patient)]
        return tuple(picture for picture in found if picture is not None)

    def sizes(self) -> Mapping[str, tuple[int, int]]:
        """Rows and columns of the frames, as far as they are known, by SOP Instance UID."""
        found = [(asked.frame, asked.picture) for asked in self.asked]
        found += [(shown.match.frame, shown.picture) for shown in (*self.matches, *self.same_patient)]
        return {
            frame.sop_instance_uid: (picture.disclosure.rows, picture.disclosure.columns)
            for frame, picture in found
            if picture is not None
        }


def without_pictures(example: Example, answer: Answer) -> Illustrated:
    """What there is to be said when no picture can be had."""
    return Illustrated(
        asked=_asked(example, answer),
        matches=tuple(Shown(match) for match in answer.matches),
        same_patient=tuple(Shown(match) for match in answer.same_patient),
    )


@dataclass(frozen=True, slots=True)
class Illustrations:
    """Fetches and renders, a few at once; what cannot be had within `wait_s` is left out."""

    archive: Archive
    encoder: Encoder
    wait_s: float = WAIT_S
    clock: Callable[[], float] = time.monotonic

    def of(self, example: Example, paths: Sequence[Path], answer: Answer) -> Illustrated:
        """The pictures of an answer.

        Args:
            example: what was asked about.
            paths: its files, in the order of its instances.
            answer: whose matches are shown.
        """
        files = {
            instance.sop_instance_uid: path for path, instance in zip(paths, example.instances, strict=True)
        }
        plain = without_pictures(example, answer)
        pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="illustrating")
        work = _Work(self, pool, files, self.clock() + self.wait_s)
        try:
            return work.illustrated(plain)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def picture(self, path: Path, frame_number: int, *, is_own: bool) -> Picture:
        """One frame; of another patient only the parts that may be shown. Raises Rejected or Unavailable."""
        disclosure = disclosure_of(path)
        if is_own:
            disclosure = replace(disclosure, parts=WHOLE)
        png = self.encoder.render(path, frame_number, LONGEST_SIDE)
        with Image.open(BytesIO(png)) as image:
            pixels = np.asarray(image.convert("RGB"))
        return Picture(_disclosed(pixels, disclosure.parts), disclosure)

    def fetch(self, match: Match, into: Path) -> Path:
        """The match's instance on the disk. Raises NotFound when it is gone, TooLarge if very large."""
        stored = self._stored(match)
        if stored.size_bytes > LARGEST_BYTES:
            raise TooLarge(f"The instance is larger than {LARGEST_BYTES} bytes.")
        for fetched in self.archive.fetch([stored], into):
            return fetched.path
        raise NotFound("The instance is no longer in the archive.")

    def _stored(self, match: Match) -> StoredInstance:
        """The same UID in another series is another instance."""
        uid, series = match.frame.sop_instance_uid, match.reference.archive_id
        found = self.archive.find_instance(uid)
        if found.series_archive_id == series:
            return found
        for instance in self.archive.series(series).instances:
            if instance.sop_instance_uid == uid:
                return instance
        raise NotFound("The instance is no longer in the archive.")


@dataclass(slots=True)
class _Work:
    """The pictures of one answer on their way; `seen` are the example's frames as their encoder saw them."""

    source: Illustrations
    pool: ThreadPoolExecutor
    files: Mapping[str, Path]
    deadline: float
    seen: dict[FrameReference, Future[FeatureMap | None]] = field(default_factory=dict)

    def illustrated(self, plain: Illustrated) -> Illustrated:
        pictures = [self.pool.submit(self._asked_picture, asked) for asked in plain.asked]
        for shown in plain.matches:
            frame = shown.match.example_frame
            if frame is not None and frame not in self.seen:
                self.seen[frame] = self.pool.submit(self._seen, self.files.get(frame.sop_instance_uid), frame)
        befores = (*plain.matches, *plain.same_patient)
        futures = [
            self.pool.submit(self._fetched, before, is_own=number >= len(plain.matches))
            for number, before in enumerate(befores)
        ]
        done = [self._in_time(f, (before, None)) for f, before in zip(futures, befores, strict=True)]
        others, own = done[: len(plain.matches)], done[len(plain.matches) :]
        best_map = {shown.match.answers: of_example for shown, of_example in reversed(others)}
        asked = tuple(
            replace(before, picture=self._in_time(future, None), alike=best_map.get(before.series))
            for future, before in zip(pictures, plain.asked, strict=True)
        )
        return Illustrated(asked, tuple(shown for shown, _ in others), tuple(shown for shown, _ in own))

    def _asked_picture(self, asked: Asked) -> Picture | None:
        path = self.files.get(asked.frame.sop_instance_uid)
        if path is None:
            return None
        return self._tolerated(lambda: self.source.picture(path, asked.frame.frame_number, is_own=True))

    def _seen(self, path: Path | None, frame: FrameReference) -> FeatureMap | None:
        if path is None:
            return None
        return self._tolerated(lambda: self.source.encoder.feature_maps(path, [frame.frame_number])[0])

    def _fetched(self, shown: Shown, *, is_own: bool) -> tuple[Shown, MatchMap | None]:
        """As `_shown`, whose file is here no longer than this takes, be it too late for the answer."""
        with TemporaryDirectory(prefix="cbir-picture-") as folder:
            path = self._tolerated(lambda: self.source.fetch(shown.match, Path(folder)))
            return (shown, None) if path is None else self._shown(shown, path, is_own=is_own)

    def _shown(self, shown: Shown, path: Path, *, is_own: bool) -> tuple[Shown, MatchMap | None]:
        """The match with its picture, and the map of the example's frame that it answers."""
        match = shown.match
        picture = self._tolerated(lambda: self.source.picture(path, match.frame.frame_number, is_own=is_own))
        if picture is None:
            return shown, None
        if not picture.disclosure.parts:
            return replace(shown, is_withheld=True), None
        maps = self._maps(path, match)
        if maps is None:
            return replace(shown, picture=picture), None
        return replace(shown, picture=picture, alike=maps[1]), maps[0]

    def _maps(self, path: Path, match: Match) -> tuple[MatchMap, MatchMap] | None:
        """Of the example's frame and of the match's; None where either cannot be had."""
        seeing = self.seen.get(match.example_frame) if match.example_frame is not None else None
        asked = self._in_time(seeing, None) if seeing is not None else None
        found = self._seen(path, match.frame) if asked is not None else None
        if asked is None or found is None:
            return None
        return self._tolerated(lambda: match_maps(asked, found))

    def _tolerated(self, attempt: Callable[[], T]) -> T | None:
        """One picture less is no reason to give no answer; a worker that is busy is asked again.

        Nothing is begun that would come too late.
        """
        while self.source.clock() <= self.deadline:
            try:
                return attempt()
            except Overloaded:
                time.sleep(TRY_AGAIN_S)
            except (CbirError, OSError) as error:
                logger.warning("picture_left_out reason=%s", getattr(error, "reason", type(error).__name__))
                return None
        return None

    def _in_time(self, future: Future[T], otherwise: T) -> T:
        """What a thread has done; `otherwise` where it is late, or broke."""
        try:
            return future.result(timeout=max(0.0, self.deadline - self.source.clock()))
        except (TimeoutError, CancelledError):
            logger.warning("picture_left_out reason=%s", "late")
        except Exception as error:  # noqa: BLE001 - the edge; its text may quote the example
            logger.error(  # noqa: TRY400
                "picture_left_out reason=broken error=%s\n%s",
                type(error).__name__,
                "".join(traceback.format_tb(error.__traceback__)),
            )
        return otherwise


def _asked(example: Example, answer: Answer) -> tuple[Asked, ...]:
    """Each series that a match answers, by the frame that the best of these is nearest to.

    Where there is no match: the middle frame of the middle instance of the first series.
    """
    asked: dict[SeriesReference | None, Asked] = {}
    for match in answer.matches:
        if match.example_frame is not None and match.answers not in asked:
            asked[match.answers] = Asked(match.example_frame, match.answers)
    if asked:
        return tuple(asked.values())[:MOST_ASKED]
    for embedding in answer.example[:1]:
        return (Asked(embedding.frames[len(embedding.frames) // 2], embedding.reference),)
    images = [i for i in example.instances if i.is_image]
    first = [i for i in images if i.series_instance_uid == images[0].series_instance_uid]
    middle = first[len(first) // 2 : len(first) // 2 + 1]
    return tuple(Asked(FrameReference(i.sop_class_uid, i.sop_instance_uid, 1)) for i in middle)


def _disclosed(pixels: Pixels, parts: Sequence[Region]) -> Pixels:
    """Black where nothing may be shown."""
    if tuple(parts) == WHOLE:
        return pixels
    rows, columns = pixels.shape[:2]
    shown = np.zeros_like(pixels)
    for part in parts:
        top, left = round(part.top * rows), round(part.left * columns)
        bottom, right = round((part.top + part.height) * rows), round((part.left + part.width) * columns)
        shown[top:bottom, left:right] = pixels[top:bottom, left:right]
    return shown
