"""What a person marked on the images that are sent along is what is asked about."""

from __future__ import annotations

import time
import tracemalloc
from collections import Counter
from pathlib import Path, PosixPath
from typing import Any, ClassVar

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, generate_uid

from indexer.answers.documents import LARGEST_BYTES, MOST_BYTES, MOST_STEPS
from indexer.answers.example import read_example
from indexer.answers.identity import MANUFACTURER
from indexer.answers.marks import MOST_REGIONS, Marks, marks_of
from indexer.domain import Region
from indexer.search.question import RegionOfInterest
from tests.fakes.answers import instance, uid, write
from tests.fakes.key_objects import key_object
from tests.fakes.measured import measured_report

ROWS, COLUMNS = 100, 200
GSPS = "1.2.840.10008.5.1.4.1.1.11.1"


def image(number: int = 1, frames: int = 1) -> Dataset:
    """An image of 100 rows and 200 columns."""
    more: dict[str, Any] = {"NumberOfFrames": frames} if frames > 1 else {}
    pixels = np.zeros(frames * ROWS * COLUMNS, "<u2").tobytes()
    return instance("asked", number=number, Rows=ROWS, Columns=COLUMNS, PixelData=pixels, **more)


def on(number: int = 1, frame: int | None = None) -> Dataset:
    """A reference to an image."""
    reference = Dataset()
    reference.ReferencedSOPClassUID = CTImageStorage
    reference.ReferencedSOPInstanceUID = uid("asked", "1", str(number))
    if frame is not None:
        reference.ReferencedFrameNumber = frame
    return reference


def graphic(kind: str, *data: float, units: str = "PIXEL") -> Dataset:
    item = Dataset()
    item.GraphicAnnotationUnits, item.GraphicDimensions = units, 2
    item.GraphicType, item.GraphicFilled = kind, "N"
    item.NumberOfGraphicPoints, item.GraphicData = len(data) // 2, list(data)
    return item


def state(*graphics: Dataset, references: list[Dataset] | None = None, **attributes: object) -> Dataset:
    """A presentation state with these graphics on an image."""
    annotation = Dataset()
    annotation.GraphicLayer = "MARKS"
    if references is None or references:
        annotation.ReferencedImageSequence = Sequence(references or [on()])
    annotation.GraphicObjectSequence = Sequence(graphics)
    usual: dict[str, Any] = {
        "SOPClassUID": GSPS,
        "Modality": "PR",
        "GraphicAnnotationSequence": Sequence([annotation]),
    }
    return instance("asked", series="pr", PixelData=None, **{**usual, **attributes})


def displayed(left: int, top: int, right: int, bottom: int) -> Sequence:
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner = [left, top]
    area.DisplayedAreaBottomRightHandCorner = [right, bottom]
    area.PresentationSizeMode = "SCALE TO FIT"
    return Sequence([area])


def marked(folder: Path, *datasets: Dataset) -> RegionOfInterest | None:
    """The first of the marks."""
    return next(iter(marks(folder, *datasets).regions), None)


def marks(folder: Path, *datasets: Dataset) -> Marks:
    paths = write(folder / generate_uid(), *datasets)
    return marks_of(read_example(paths), paths)


def assert_region(found: RegionOfInterest | None, *expected: float) -> None:
    assert found is not None
    region = found.region
    assert (region.left, region.top, region.width, region.height) == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("drawn", "expected"),
    [
        (graphic("POLYLINE", 20, 10, 60, 10, 60, 50, 20, 50, 20, 10), (0.1, 0.1, 0.2, 0.4)),
        (graphic("INTERPOLATED", 20, 10, 60, 30, 40, 50), (0.1, 0.1, 0.2, 0.4)),
        (graphic("CIRCLE", 100, 50, 100, 70), (0.4, 0.3, 0.2, 0.4)),
        (graphic("ELLIPSE", 60, 50, 140, 50, 100, 30, 100, 70), (0.3, 0.3, 0.4, 0.4)),
        (graphic("POINT", 100, 50), (0.475, 0.45, 0.05, 0.1)),
        (graphic("POLYLINE", 150, 80, 260, 130), (0.75, 0.8, 0.25, 0.2)),
    ],
)
def test_the_rectangle_around_a_shape_is_asked_about(
    tmp_path: Path, drawn: Dataset, expected: tuple[float, ...]
) -> None:
    found = marked(tmp_path, image(), state(drawn))
    assert_region(found, *expected)
    assert found is not None
    assert (found.sop_instance_uid, found.frame_number) == (uid("asked", "1", "1"), 1)


def test_a_tilted_ellipse_is_inside_its_rectangle_and_touches_it(tmp_path: Path) -> None:
    a, b = np.array([30.0, 30.0]), np.array([10.0, -10.0])
    centre = np.array([100.0, 50.0])
    ends = np.concatenate([centre - a, centre + a, centre - b, centre + b])
    found = marked(tmp_path, image(), state(graphic("ELLIPSE", *ends)))
    angles = np.linspace(0, 2 * np.pi, 720)[:, None]
    drawn = centre + np.cos(angles) * a + np.sin(angles) * b
    low, high = drawn.min(axis=0) / [COLUMNS, ROWS], drawn.max(axis=0) / [COLUMNS, ROWS]
    assert_region(found, low[0], low[1], high[0] - low[0], high[1] - low[1])


@pytest.mark.parametrize(
    ("area", "rotation", "expected"),
    [
        (None, 0, (0.1, 0.2, 0.3, 0.4)),
        (displayed(1, 1, 200, 100), 0, (0.1, 0.2, 0.3, 0.4)),
        (displayed(101, 51, 200, 100), 0, (0.55, 0.6, 0.15, 0.2)),
        (displayed(200, 100, 1, 1), 180, (0.6, 0.4, 0.3, 0.4)),
        (displayed(1, 100, 200, 1), 90, (0.2, 0.6, 0.4, 0.3)),
    ],
)
def test_what_is_drawn_on_the_display_is_found_on_the_image_again(
    tmp_path: Path, area: Sequence | None, rotation: int, expected: tuple[float, ...]
) -> None:
    """From 0.1 to 0.4 across the display and from 0.2 to 0.6 down it."""
    drawn = graphic("POLYLINE", 0.1, 0.2, 0.4, 0.2, 0.4, 0.6, units="DISPLAY")
    attributes: dict[str, Any] = {"ImageRotation": rotation, "ImageHorizontalFlip": "N"}
    if area is not None:
        attributes["DisplayedAreaSelectionSequence"] = area
    assert_region(marked(tmp_path, image(), state(drawn, **attributes)), *expected)


def test_a_mark_on_one_frame_of_many_names_that_frame(tmp_path: Path) -> None:
    drawn = state(graphic("CIRCLE", 100, 50, 100, 70), references=[on(frame=3)])
    found = marked(tmp_path, image(frames=4), drawn)
    assert found is not None
    assert found.frame_number == 3


def test_a_mark_that_names_no_image_lies_on_what_the_state_refers_to(tmp_path: Path) -> None:
    series = Dataset()
    series.SeriesInstanceUID = uid("asked", "1")
    series.ReferencedImageSequence = Sequence([on(number=2)])
    drawn = state(
        graphic("CIRCLE", 100, 50, 100, 70), references=[], ReferencedSeriesSequence=Sequence([series])
    )
    found = marked(tmp_path, image(1), image(2), drawn)
    assert found is not None
    assert found.sop_instance_uid == uid("asked", "1", "2")


def test_of_several_the_lowest_instance_number_and_in_it_the_first_is_asked_about(tmp_path: Path) -> None:
    first = state(
        graphic("POLYLINE", 20, 10, 60, 50),
        graphic("POLYLINE", 100, 10, 160, 50),
        SOPInstanceUID=uid("z"),
        InstanceNumber=2,
    )
    later = state(graphic("POLYLINE", 0, 0, 200, 100), SOPInstanceUID=uid("a"), InstanceNumber=10)
    assert_region(marked(tmp_path, image(), later, first), 0.1, 0.1, 0.2, 0.4)


def test_a_mark_on_an_image_that_was_not_sent_asks_nothing(tmp_path: Path) -> None:
    drawn = state(graphic("CIRCLE", 100, 50, 100, 70), references=[on(number=9)])
    assert marks(tmp_path, image(), drawn) == Marks((), "not_sent")
    elsewhere = report()
    elsewhere.SeriesInstanceUID = uid("asked", "sr")
    assert marks(tmp_path, image(number=2), elsewhere) == Marks((), "not_sent")


def test_without_a_mark_there_is_no_region(tmp_path: Path) -> None:
    assert marks(tmp_path, image()) == Marks()
    assert marks(tmp_path, image(), state()) == Marks()


def test_a_mark_that_is_none_does_not_cost_the_next_ones(tmp_path: Path) -> None:
    """One shape of no kind, one on a frame that cannot be, one on an image that was not sent."""
    lost = state(graphic("CIRCLE", 100, 50, 100, 70), references=[on(frame=-1)])
    drawn = state(
        graphic("SPIRAL", 1, 2, 3, 4),
        graphic("POLYLINE", 20, 10, 60, 50),
        graphic("POLYLINE", 100, 10, 160, 50),
    )
    unsent = state(graphic("POINT", 1, 2), references=[on(number=9)])
    annotations = [s.GraphicAnnotationSequence[0] for s in (lost, unsent, drawn)]
    found = marks(tmp_path, image(), state(GraphicAnnotationSequence=Sequence(annotations)))
    assert found.unused is None
    assert len(found.regions) == 2
    assert_region(found.regions[0], 0.1, 0.1, 0.2, 0.4)
    assert_region(found.regions[1], 0.5, 0.1, 0.3, 0.4)


def test_so_many_regions_are_found_at_most(tmp_path: Path) -> None:
    drawn = state(*[graphic("POLYLINE", 0, 0, n, 50) for n in range(10, 10 + 2 * MOST_REGIONS)])
    assert len(marks(tmp_path, image(), drawn).regions) == MOST_REGIONS


def test_a_place_in_our_own_answer_is_no_mark(tmp_path: Path) -> None:
    drawn = state(graphic("CIRCLE", 100, 50, 100, 70), Manufacturer=MANUFACTURER)
    assert marked(tmp_path, image(), drawn) is None


def report(*, by_reference: bool = False) -> Dataset:
    """A report with a planar region of interest, as another vendor's software writes it."""
    source = image()
    source.file_meta.MediaStorageSOPClassUID = source.SOPClassUID
    document = measured_report(source, Region(0.1, 0.1, 0.2, 0.4))
    if by_reference:
        _refer(document)
    return document


def _refer(document: Dataset) -> None:
    """Put the image beside the measurements, and let the region name it by its place in the tree."""
    for number, item in enumerate(document.ContentSequence, start=1):
        if item.ConceptNameCodeSequence[0].CodeValue == "126010":
            group = item.ContentSequence[0]
            [region] = [child for child in group.ContentSequence if child.ValueType == "SCOORD"]
            picture = region.ContentSequence[0]
            picture.RelationshipType = "CONTAINS"
            group.ContentSequence.append(picture)
            pointer = Dataset()
            pointer.RelationshipType = "SELECTED FROM"
            pointer.ReferencedContentItemIdentifier = [1, number, 1, len(group.ContentSequence)]
            region.ContentSequence = Sequence([pointer])


@pytest.mark.parametrize("by_reference", [False, True])
def test_a_region_that_was_measured_in_a_report_is_asked_about(tmp_path: Path, by_reference: bool) -> None:
    found = marked(tmp_path, image(), report(by_reference=by_reference))
    assert_region(found, 0.1, 0.1, 0.2, 0.4)


@pytest.mark.parametrize(
    "hostile",
    [
        state(graphic("POLYLINE", 1, 2, 3)),
        state(graphic("POLYLINE", float("nan"), 1, 2, 3)),
        state(graphic("POLYLINE", float("inf"), 1, 2, 3)),
        state(graphic("CIRCLE", 1, 2)),
        state(graphic("SPIRAL", 1, 2, 3, 4)),
        state(graphic("POLYLINE", 1, 2, 3, 4, units="PARSEC")),
        state(GraphicAnnotationSequence=Sequence([Dataset()])),
        state(
            graphic("POINT", 0.5, 0.5, units="DISPLAY"), DisplayedAreaSelectionSequence=Sequence([Dataset()])
        ),
    ],
)
def test_what_cannot_be_a_mark_asks_nothing_and_stops_nothing(tmp_path: Path, hostile: Dataset) -> None:
    hostile.InstanceNumber = 1
    found = marks(tmp_path, image(), hostile)
    empty = not hostile.GraphicAnnotationSequence[0].get("GraphicObjectSequence")
    assert found == Marks((), None if empty else "unreadable")
    good = state(graphic("POLYLINE", 20, 10, 60, 50), SOPInstanceUID=uid("good"), InstanceNumber=2)
    assert_region(marked(tmp_path, image(), hostile, good), 0.1, 0.1, 0.2, 0.4)


def test_what_is_large_or_deflated_is_not_built(tmp_path: Path) -> None:
    drawn = graphic("POLYLINE", 20, 10, 60, 50)
    bomb = state(drawn, EncapsulatedDocument=bytes(50 * 2**20))
    bomb.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    for hostile in (bomb, state(drawn, EncapsulatedDocument=bytes(LARGEST_BYTES))):
        paths = write(tmp_path / generate_uid(), image(), hostile)
        example = read_example(paths)
        tracemalloc.start()
        started = time.thread_time()
        assert marks_of(example, paths).regions == ()
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 12 * 2**20
        assert time.thread_time() - started < 30


class Counted(PosixPath):
    """A file that counts how often it is opened, by name."""

    opened: ClassVar[Counter[str]] = Counter()

    def open(self, *arguments: Any, **more: Any) -> Any:  # noqa: ANN401 - as it is
        self.opened[self.name] += 1
        return super().open(*arguments, **more)


def hostile_state(annotations: int, references: int) -> Dataset:
    """So many annotations that name no image and hold a shape of no kind, and as many images everywhere."""
    series, images = Dataset(), [on() for _ in range(references)]
    series.ReferencedImageSequence = Sequence(images)
    drawn = state(graphic("SPIRAL", 1, 2, units="PARSEC"), references=[])
    items = [drawn.GraphicAnnotationSequence[0] for _ in range(annotations)]
    return state(
        GraphicAnnotationSequence=Sequence(items),
        ReferencedSeriesSequence=Sequence([series]),
    )


def hostile_report(children: int) -> Dataset:
    """One shape of no kind that is selected from so many images, each named by a path into the tree."""
    document, shape, picture = report(), Dataset(), Dataset()
    shape.ValueType, shape.GraphicType, shape.GraphicData = "SCOORD", "SPIRAL", [1.0, 2.0]
    picture.ValueType, picture.ReferencedSOPSequence = "IMAGE", Sequence([on()])
    shape.ContentSequence = Sequence([picture for _ in range(children)])
    document.ContentSequence = Sequence([shape])
    return document


@pytest.mark.parametrize("hostile", [hostile_state(1500, 1500), hostile_report(3000)])
def test_an_image_is_read_once_however_often_it_is_referred_to(tmp_path: Path, hostile: Dataset) -> None:
    paths = write(tmp_path / "q", image(), hostile)
    example = read_example(paths)
    Counted.opened.clear()
    found = marks_of(example, [Counted(path) for path in paths])
    assert found == Marks((), "unreadable")
    assert Counted.opened[paths[0].name] == 1


def test_the_documents_of_a_question_together_are_only_read_so_far(tmp_path: Path) -> None:
    number, mebibyte = MOST_BYTES // 2**20, bytes(2**20)
    drawn = graphic("POLYLINE", 20, 10, 60, 50)
    last = state(drawn, SOPInstanceUID=uid("last"), InstanceNumber=9, EncapsulatedDocument=mebibyte)
    large = [
        state(SOPInstanceUID=uid("large", str(n)), InstanceNumber=n, EncapsulatedDocument=mebibyte)
        for n in range(number)
    ]
    assert marks(tmp_path, image(), *large, last) == Marks()
    assert len(marks(tmp_path, image(), *large[2:], last).regions) == 1


def test_the_steps_of_a_question_are_counted_over_its_documents(tmp_path: Path) -> None:
    last = state(graphic("POLYLINE", 20, 10, 60, 50), SOPInstanceUID=uid("last"), InstanceNumber=9)
    nothing = Dataset()
    halves = [
        state(
            SOPInstanceUID=uid("half", str(n)),
            InstanceNumber=n,
            GraphicAnnotationSequence=Sequence([nothing for _ in range(MOST_STEPS // 2 - 10)]),
        )
        for n in range(2)
    ]
    assert len(marks(tmp_path, image(), halves[0], last).regions) == 1
    assert len(marks(tmp_path, image(), *halves, last).regions) == 1
    halves[1].GraphicAnnotationSequence.append(last.GraphicAnnotationSequence[0])
    more = [nothing for _ in range(20)]
    halves[0].GraphicAnnotationSequence = Sequence([*halves[0].GraphicAnnotationSequence, *more])
    assert marks(tmp_path, image(), *halves, last) == Marks()


def test_a_tree_without_end_is_left_after_so_many_items(tmp_path: Path) -> None:
    item = Dataset()
    item.ValueType = "CONTAINER"
    for _ in range(60):
        outer = Dataset()
        outer.ValueType, outer.ContentSequence = "CONTAINER", Sequence([item])
        item = outer
    deep = instance(
        "asked",
        series="sr",
        PixelData=None,
        Modality="SR",
        SOPClassUID="1.2.840.10008.5.1.4.1.1.88.33",
        ContentSequence=Sequence([item]),
    )
    assert marked(tmp_path, image(), deep) is None


def test_a_thin_line_is_asked_about_with_its_surroundings(tmp_path: Path) -> None:
    found = marked(tmp_path, image(), state(graphic("POLYLINE", 0, 0, 0, 100)))
    assert_region(found, 0, 0, 0.02, 1)
    assert found is not None
    assert isinstance(found.region, Region)


def test_a_key_object_is_no_mark_however_malformed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    selection = key_object([image()], "113000")
    selection.add_new("ContentSequence", "UT", "no items")
    assert marks(tmp_path, image(), selection) == Marks()
    assert "mark_unreadable" not in caplog.text
