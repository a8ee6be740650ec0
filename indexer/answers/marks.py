"""What somebody marked on the images that are sent along: of a presentation state, or of a report.

The first mark that lies on one of the images becomes the region that is asked about: presentation states
and reports by their Instance Number, in each the marks in the order in which they are written.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pydicom
from pydicom.dataset import Dataset

from indexer.answers.example import Example, ExampleInstance
from indexer.answers.mark_geometry import Bounds, Frame, bounds_of, of_display, of_pixels
from indexer.elements import DEFLATED, TRANSFER_SYNTAX_UID, read_elements
from indexer.search.question import RegionOfInterest

logger = logging.getLogger(__name__)

LARGEST_BYTES: Final = 2 * 2**20
"""Of a document that is looked into; a drawing of a person has a few kilobytes."""
MOST_DOCUMENTS: Final = 20
MOST_ITEMS: Final = 5_000
MOST_DEPTH: Final = 32

_STATES: Final = "1.2.840.10008.5.1.4.1.1.11."
_REPORTS: Final = "1.2.840.10008.5.1.4.1.1.88."


@dataclass(frozen=True, slots=True)
class _Mark:
    """A shape on an instance, with where it lies; `bounds` are fractions of the frame."""

    sop_instance_uid: str
    frame_number: int
    bounds: Bounds


def marked_region(example: Example, paths: Sequence[Path]) -> RegionOfInterest | None:
    """The first mark that was sent along; None when there is none that lies on one of the images.

    Args:
        example: the instances that were sent.
        paths: their files, in the same order.

    Source:
        DICOM PS3.3 C.10.5 (Graphic Annotation), C.10.4 (Displayed Area), C.18.6 (Spatial Coordinates);
        PS3.16 TID 1410 (Planar ROI Measurements).
    """
    together = list(zip(paths, example.instances, strict=True))
    frames = _Frames({i.sop_instance_uid: path for path, i in together if i.is_image})
    documents = [_document(path) for path, i in together if _may_mark(i)][:MOST_DOCUMENTS]
    for document in sorted((d for d in documents if d is not None), key=_number):
        try:
            for mark in _marks(document, frames):
                return RegionOfInterest(mark.sop_instance_uid, mark.frame_number, mark.bounds.region())
        except Exception as error:  # noqa: BLE001 - pydicom's edge: what is malformed marks nothing
            logger.warning("mark_unreadable error=%s", type(error).__name__)
    return None


def _may_mark(instance: ExampleInstance) -> bool:
    return not instance.is_own_answer and instance.sop_class_uid.startswith((_STATES, _REPORTS))


def _document(path: Path) -> Dataset | None:
    """Read whole, because it is small; None for what is large, deflated or malformed."""
    try:
        with path.open("rb") as file:
            syntax = (read_elements(file, [TRANSFER_SYNTAX_UID]) or {}).get(TRANSFER_SYNTAX_UID)
        if path.stat().st_size > LARGEST_BYTES or syntax == DEFLATED:
            return None
        return pydicom.dcmread(path)
    except Exception:  # noqa: BLE001 - pydicom's edge
        return None


def _number(document: Dataset) -> tuple[int, str]:
    number = str(document.get("InstanceNumber", "") or "")
    return int(number) if number.isdigit() else 2**31, str(document.get("SOPInstanceUID", ""))


@dataclass(slots=True)
class _Frames:
    """The images that may be marked, by SOP Instance UID; their sizes are read when a mark lies on them."""

    paths: Mapping[str, Path]

    def of(self, reference: Dataset) -> tuple[str, int, Frame] | None:
        """The instance that a reference names, its frame (1-based) and the size of it."""
        uid = str(reference.get("ReferencedSOPInstanceUID", ""))
        path = self.paths.get(uid)
        if path is None:
            return None
        numbers = reference.get("ReferencedFrameNumber") or 1
        number = int(numbers if isinstance(numbers, int | str) else numbers[0])
        return uid, number, Frame.read(path)


def _marks(document: Dataset, frames: _Frames) -> Iterator[_Mark]:
    if "GraphicAnnotationSequence" in document:
        yield from _of_state(document, frames)
    elif "ContentSequence" in document:
        yield from _of_report(document, frames)


def _of_state(state: Dataset, frames: _Frames) -> Iterator[_Mark]:
    everywhere = [
        image
        for series in state.get("ReferencedSeriesSequence", [])
        for image in series.get("ReferencedImageSequence", [])
    ]
    for annotation in state.GraphicAnnotationSequence[:MOST_ITEMS]:
        on = [
            found
            for image in annotation.get("ReferencedImageSequence") or everywhere
            if (found := frames.of(image)) is not None
        ]
        for graphic in annotation.get("GraphicObjectSequence", [])[:MOST_ITEMS]:
            bounds = bounds_of(str(graphic.get("GraphicType", "")), list(graphic.get("GraphicData", [])))
            for uid, number, frame in on[:1]:
                placed = _placed(bounds, str(graphic.get("GraphicAnnotationUnits", "")), state, uid, frame)
                if placed is not None:
                    yield _Mark(uid, number, placed)


def _placed(bounds: Bounds | None, units: str, state: Dataset, uid: str, frame: Frame) -> Bounds | None:
    if bounds is None:
        return None
    if units == "PIXEL":
        return of_pixels(bounds, frame)
    if units == "DISPLAY":
        return of_display(bounds, frame, _area(state, uid), int(state.get("ImageRotation", 0) or 0))
    return None


def _area(state: Dataset, uid: str) -> Dataset | None:
    """The displayed area of an image: that which names it, else that which names none."""
    unnamed = None
    for area in state.get("DisplayedAreaSelectionSequence", []):
        images = area.get("ReferencedImageSequence", [])
        if any(str(image.get("ReferencedSOPInstanceUID", "")) == uid for image in images):
            found: Dataset = area
            return found
        if not images and unnamed is None:
            unnamed = area
    return unnamed


def _of_report(report: Dataset, frames: _Frames) -> Iterator[_Mark]:
    """Every SCOORD with the image that it was selected from, beside it or named by its place in the tree."""
    for item in _items(report):
        if item.get("ValueType") != "SCOORD" or item.get("PixelOriginInterpretation", "FRAME") != "FRAME":
            continue
        bounds = bounds_of(str(item.get("GraphicType", "")), list(item.get("GraphicData", [])))
        for child in item.get("ContentSequence", []):
            image = _referred(report, child)
            references = image.get("ReferencedSOPSequence", []) if image is not None else []
            found = frames.of(references[0]) if references else None
            if bounds is not None and found is not None:
                uid, number, frame = found
                yield _Mark(uid, number, of_pixels(bounds, frame))


def _items(report: Dataset) -> Iterator[Dataset]:
    """The content items in the order of the document, so many and so deep at most."""
    waiting = [(item, 1) for item in reversed(report.ContentSequence)]
    for _ in range(MOST_ITEMS):
        if not waiting:
            return
        item, depth = waiting.pop()
        yield item
        if depth < MOST_DEPTH:
            waiting += [(child, depth + 1) for child in reversed(item.get("ContentSequence", []))]


def _referred(report: Dataset, item: Dataset) -> Dataset | None:
    """The item itself, or the one that it names by position (0040,DB73)."""
    path = item.get("ReferencedContentItemIdentifier")
    if path is None:
        return item
    steps = [path] if isinstance(path, int) else list(path)
    found = report
    for step in steps[1 : MOST_DEPTH + 1]:
        children = found.get("ContentSequence", [])
        if not 1 <= int(step) <= len(children):
            return None
        found = children[int(step) - 1]
    return found
