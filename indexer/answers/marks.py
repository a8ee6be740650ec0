"""What somebody marked on the images that are sent along: of a presentation state, or of a report.

The first mark that can be used becomes the region that is asked about: presentation states and reports by
their Instance Number, in each the marks in the order in which they are written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from indexer.answers.documents import MOST_DEPTH, Enough, Steps, content_items, documents
from indexer.answers.example import Example, ExampleInstance
from indexer.answers.key_objects import KEY_OBJECT_SELECTION
from indexer.answers.mark_geometry import Bounds, Frame, bounds_of, of_display, of_pixels
from indexer.answers.unused_marks import UnusedMark
from indexer.search.question import RegionOfInterest

logger = logging.getLogger(__name__)

MOST_REGIONS: Final = 10

_STATES: Final = "1.2.840.10008.5.1.4.1.1.11."
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."


@dataclass(frozen=True, slots=True)
class Marks:
    """What was marked.

    Attributes:
        regions: that lie on the images, in the order in which they were written, so many at most.
        unused: where there is none: why the first mark is none; None where nothing was marked.
    """

    regions: tuple[RegionOfInterest, ...] = ()
    unused: UnusedMark | None = None


def marks_of(example: Example, paths: Sequence[Path]) -> Marks:
    """The marks that were sent along.

    Args:
        example: the instances that were sent.
        paths: their files, in the same order.

    Source:
        DICOM PS3.3 C.10.5 (Graphic Annotation), C.10.4 (Displayed Area), C.18.6 (Spatial Coordinates);
        PS3.16 TID 1410 (Planar ROI Measurements).
    """
    together = list(zip(paths, example.instances, strict=True))
    looking = _Looking({i.sop_instance_uid: path for path, i in together if i.is_image})
    with suppress(Enough):
        for path in documents(path for path, i in together if _may_mark(i)):
            with looking.one():
                _look_into(pydicom.dcmread(path), looking)
    if looking.unreadable:
        logger.warning("mark_unreadable times=%d", looking.unreadable)
    return Marks(tuple(looking.regions), None if looking.regions else looking.unused)


def _may_mark(instance: ExampleInstance) -> bool:
    """Key objects mark no place on an image."""
    is_document = instance.sop_class_uid.startswith((_STATES, _REPORTS))
    return is_document and instance.sop_class_uid != KEY_OBJECT_SELECTION and not instance.is_own_answer


@dataclass(frozen=True, slots=True)
class _Place:
    """A frame (from 1) that may be marked."""

    sop_instance_uid: str
    frame_number: int
    frame: Frame


@dataclass(slots=True)
class _Looking:
    """The walk through all documents: the images by SOP Instance UID, what was found, what it may cost yet.

    The size of an image is read once, when a mark lies on it.
    """

    paths: Mapping[str, Path]
    step: Steps = field(default_factory=Steps)
    regions: list[RegionOfInterest] = field(default_factory=list)
    unused: UnusedMark | None = None
    unreadable: int = 0
    frames: dict[str, Frame | None] = field(default_factory=dict)

    @contextmanager
    def one(self) -> Iterator[None]:
        """A document, or a mark of it: what is malformed marks nothing and does not stop the others."""
        self.step()
        try:
            yield
        except Enough:
            raise
        except Exception:  # noqa: BLE001 - pydicom's edge; its text may quote the document
            self.unreadable += 1
            self.leave("unreadable")

    def leave(self, why: UnusedMark) -> None:
        self.unused = self.unused or why

    def add(self, place: _Place, bounds: Bounds) -> None:
        self.regions.append(RegionOfInterest(place.sop_instance_uid, place.frame_number, bounds.region()))
        if len(self.regions) == MOST_REGIONS:
            raise Enough

    def first_of(self, references: Iterable[Dataset]) -> _Place | None:
        """Where the first of the references lies that names an image which was sent."""
        for reference in references:
            self.step()
            uid = str(reference.get("ReferencedSOPInstanceUID", ""))
            frame = self._frame(uid)
            if frame is not None:
                numbers = reference.get("ReferencedFrameNumber") or 1
                return _Place(uid, int(numbers if isinstance(numbers, int | str) else numbers[0]), frame)
        return None

    def _frame(self, uid: str) -> Frame | None:
        if uid not in self.frames and uid in self.paths:
            self.frames[uid] = None
            with self.one():
                self.frames[uid] = Frame.read(self.paths[uid])
        return self.frames.get(uid)


def _look_into(document: Dataset, looking: _Looking) -> None:
    if "GraphicAnnotationSequence" in document:
        _of_state(document, looking)
    elif "ContentSequence" in document:
        _of_report(document, looking)


def _of_state(state: Dataset, looking: _Looking) -> None:
    otherwise = None
    with looking.one():
        otherwise = looking.first_of(
            image
            for series in state.get("ReferencedSeriesSequence", [])
            for image in series.get("ReferencedImageSequence", [])
        )
    for annotation in state.GraphicAnnotationSequence:
        with looking.one():
            graphics = annotation.get("GraphicObjectSequence", [])
            references = annotation.get("ReferencedImageSequence")
            place = looking.first_of(references) if graphics and references else otherwise
            for graphic in graphics:
                with looking.one():
                    _of_graphic(graphic, place, state, looking)


def _of_graphic(graphic: Dataset, place: _Place | None, state: Dataset, looking: _Looking) -> None:
    bounds = bounds_of(str(graphic.get("GraphicType", "")), list(graphic.get("GraphicData", [])))
    units = str(graphic.get("GraphicAnnotationUnits", ""))
    if bounds is None or units not in ("PIXEL", "DISPLAY"):
        looking.leave("unreadable")
    elif place is None:
        looking.leave("not_sent")
    elif units == "PIXEL":
        looking.add(place, of_pixels(bounds, place.frame))
    else:
        area = _area(state, place.sop_instance_uid, looking)
        rotation = int(state.get("ImageRotation", 0) or 0)
        looking.add(place, of_display(bounds, place.frame, area, rotation))


def _area(state: Dataset, uid: str, looking: _Looking) -> Dataset | None:
    """The displayed area of an image: that which names it, else that which names none."""
    unnamed = None
    for area in state.get("DisplayedAreaSelectionSequence", []):
        looking.step()
        images = area.get("ReferencedImageSequence", [])
        for image in images:
            looking.step()
            if str(image.get("ReferencedSOPInstanceUID", "")) == uid:
                found: Dataset = area
                return found
        if not images and unnamed is None:
            unnamed = area
    return unnamed


def _of_report(report: Dataset, looking: _Looking) -> None:
    """Every SCOORD with the image that it was selected from, beside it or named by its place in the tree."""
    for item in content_items(report, looking.step):
        if item.get("ValueType") != "SCOORD" or item.get("PixelOriginInterpretation", "FRAME") != "FRAME":
            continue
        with looking.one():
            bounds = bounds_of(str(item.get("GraphicType", "")), list(item.get("GraphicData", [])))
            for child in item.get("ContentSequence", []):
                looking.step()
                image = _referred(report, child, looking)
                references = image.get("ReferencedSOPSequence", []) if image is not None else []
                place = looking.first_of(references[:1])
                if bounds is None:
                    looking.leave("unreadable")
                elif place is not None:
                    looking.add(place, of_pixels(bounds, place.frame))
                elif references:
                    looking.leave("not_sent")


def _referred(report: Dataset, item: Dataset, looking: _Looking) -> Dataset | None:
    """The item itself, or the one that it names by position (0040,DB73)."""
    path = item.get("ReferencedContentItemIdentifier")
    if path is None:
        return item
    steps = [path] if isinstance(path, int) else list(path)
    found = report
    for step in steps[1 : MOST_DEPTH + 1]:
        looking.step()
        children = found.get("ContentSequence", [])
        if not 1 <= int(step) <= len(children):
            return None
        found = children[int(step) - 1]
    return found
