"""Our own answers that come back are known, and what only calls itself one is not looked into."""

from __future__ import annotations

import time
import tracemalloc
from datetime import datetime, timedelta
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    ComprehensiveSRStorage,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from indexer.answers.echo import is_echo, tell_who_answers
from indexer.answers.example import read_example
from indexer.answers.identity import MANUFACTURER
from tests.fakes.answers import instance, uid, write

NOW = datetime(2026, 1, 2, 12, 0)


def answered(**attributes: object) -> Dataset:
    """What is our answer by its manufacturer, resting on instance 1 of the study."""
    reference, series, study = Dataset(), Dataset(), Dataset()
    reference.ReferencedSOPInstanceUID = uid("asked", "1", "1")
    series.ReferencedSOPSequence = Sequence([reference])
    study.ReferencedSeriesSequence = Sequence([series])
    usual = {
        "SOPClassUID": ComprehensiveSRStorage,
        "Modality": "SR",
        "Manufacturer": MANUFACTURER,
        "ContentDate": "20260102",
        "ContentTime": "115500",
        "CurrentRequestedProcedureEvidenceSequence": Sequence([study]),
    }
    return instance("asked", "9", 1, **{**usual, **attributes})


def echoes(folder: Path, *datasets: Dataset, called: str = "") -> bool:
    paths = write(folder, *datasets)
    return is_echo(read_example(paths), paths, NOW, called)


def test_a_study_with_a_fresh_answer_to_it_is_an_echo_and_with_an_old_one_it_asks(tmp_path: Path) -> None:
    for name in ("fresh", "old"):
        (tmp_path / name).mkdir()
    assert echoes(tmp_path / "fresh", instance("asked"), answered())
    assert not echoes(tmp_path / "old", instance("asked"), answered(ContentDate="20260101"))


def test_an_answer_from_before_something_was_flagged_is_out_of_date(tmp_path: Path) -> None:
    """Content Time has whole seconds."""
    paths = write(tmp_path, instance("asked"), answered())
    example = read_example(paths)
    written = datetime(2026, 1, 2, 11, 55)
    for after_s, is_one in [(-60, True), (0.9, True), (1, False)]:
        assert is_echo(example, paths, NOW, since=written + timedelta(seconds=after_s)) is is_one
    assert is_echo(read_example(paths[1:]), paths[1:], NOW, since=NOW), "nothing but our answers"


def test_a_fresh_answer_is_none_to_another_of_our_titles(tmp_path: Path) -> None:
    """Who sends the study, with the answer filed in it, to a title that asks otherwise wants to know more."""
    for number, (answered_as, called, is_one) in enumerate(
        [
            ("CBIR_CT", "CBIR_CT", True),
            ("CBIR_CT", "CBIR_MR", False),
            ("CBIR_CT", "", False),
            ("", "CBIR_CT", False),
        ]
    ):
        (tmp_path / str(number)).mkdir()
        answer = answered()
        tell_who_answers([answer], answered_as)
        assert echoes(tmp_path / str(number), instance("asked"), answer, called=called) is is_one


def test_what_calls_itself_our_answer_and_is_deflated_or_large_is_not_built(tmp_path: Path) -> None:
    """A deflate bomb, or a file of a million empty items, would cost this process gigabytes."""
    bomb = answered(EncapsulatedDocument=bytes(50 * 2**20))
    bomb.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    for name, hostile in (("bomb", bomb), ("large", answered(EncapsulatedDocument=bytes(2**21)))):
        (tmp_path / name).mkdir()
        paths = write(tmp_path / name, instance("asked"), hostile)
        example = read_example(paths)
        assert any(i.is_own_answer for i in example.instances)
        tracemalloc.start()
        started = time.thread_time()
        assert not is_echo(example, paths, NOW)
        _, peak_bytes = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak_bytes < 12 * 2**20
        assert time.thread_time() - started < 30


def sheet(**attributes: object) -> Dataset:
    """What is our contact sheet by its manufacturer, resting on instance 1 of the study."""
    reference, series = Dataset(), Dataset()
    reference.ReferencedSOPInstanceUID = uid("asked", "1", "1")
    series.ReferencedInstanceSequence = Sequence([reference])
    usual = {
        "SOPClassUID": SecondaryCaptureImageStorage,
        "Modality": "OT",
        "CurrentRequestedProcedureEvidenceSequence": Sequence([]),
        "ReferencedSeriesSequence": Sequence([series]),
    }
    return answered(**{**usual, **attributes})


def test_a_fresh_contact_sheet_is_an_answer_too_however_many_pixels_it_has(tmp_path: Path) -> None:
    for name in ("small", "large", "old", "other"):
        (tmp_path / name).mkdir()
    large = bytes(12 * 2**20)
    assert echoes(tmp_path / "small", instance("asked"), sheet())
    assert echoes(tmp_path / "large", instance("asked"), sheet(PixelData=large))
    assert not echoes(tmp_path / "old", instance("asked"), sheet(ContentDate="20260101"))
    assert not echoes(tmp_path / "other", instance("asked", number=2), sheet())


def test_of_a_large_contact_sheet_only_what_stands_before_its_pixels_is_read(tmp_path: Path) -> None:
    paths = write(tmp_path, instance("asked"), sheet(PixelData=bytes(60 * 2**20)))
    example = read_example(paths)
    tracemalloc.start()
    assert is_echo(example, paths, NOW)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 12 * 2**20


def test_a_sheet_that_rests_on_thousands_of_instances_is_known_again(tmp_path: Path) -> None:
    references = []
    for number in range(1, 3001):
        reference = Dataset()
        reference.ReferencedSOPClassUID = CTImageStorage
        reference.ReferencedSOPInstanceUID = uid("asked", "1", str(number))
        references.append(reference)
    series = Dataset()
    series.ReferencedInstanceSequence = Sequence(references)
    large = sheet(ReferencedSeriesSequence=Sequence([series]), PixelData=bytes(2**20))
    assert echoes(tmp_path, instance("asked", number=1), instance("asked", number=3000), large)
