from __future__ import annotations

import time
import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.answers.example import read_example, read_instance
from indexer.answers.identity import MANUFACTURER
from indexer.errors import Rejected
from tests.fakes.answers import instance, uid, write
from tests.fakes.hostile import HOSTILE, honest


def encoded(**attributes: object) -> bytes:
    buffer = BytesIO()
    instance("asked", "1", 1, **attributes).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def test_an_instance_says_what_it_is() -> None:
    found = read_instance(BytesIO(encoded()))
    assert (found.study_instance_uid, found.series_instance_uid) == (uid("asked"), uid("asked", "1"))
    assert (found.modality, found.is_report, found.is_own_answer) == ("CT", False, False)


@pytest.mark.parametrize(
    ("attributes", "is_image", "is_report", "may_tell"),
    [
        ({}, True, False, False),
        ({"Modality": "SR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.11"}, False, True, True),
        ({"Modality": "DOC", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, False, True, True),
        ({"Modality": "CT", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.2"}, False, True, True),
        ({"Modality": "KO"}, False, True, False),
        ({"Modality": "PR"}, False, True, False),
        ({"Modality": "SR", "Manufacturer": MANUFACTURER}, False, True, False),
    ],
)
def test_what_is_looked_at_is_told_from_what_may_be_read(
    attributes: dict[str, object], is_image: bool, is_report: bool, may_tell: bool
) -> None:
    found = read_instance(BytesIO(encoded(**attributes)))
    assert (found.is_image, found.is_report, found.may_tell) == (is_image, is_report, may_tell)


def test_our_own_answer_is_known_by_its_manufacturer() -> None:
    assert read_instance(BytesIO(encoded(Manufacturer=f"{MANUFACTURER} "))).is_own_answer


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_an_instance_without_its_uids_is_rejected_by_name(keyword: str) -> None:
    with pytest.raises(Rejected, match=keyword):
        read_instance(BytesIO(encoded(**{keyword: None})))


@pytest.mark.parametrize("replacement", [b"../../../", b"1.2.3\x004.", b"1 2 3 4 5"])
def test_a_uid_that_is_none_is_rejected(replacement: bytes) -> None:
    own = uid("asked", "1", "1").encode()
    content = encoded().replace(own, replacement + own[len(replacement) :])
    with pytest.raises(Rejected, match="SOPInstanceUID"):
        read_instance(BytesIO(content))


def test_the_first_file_says_whom_the_answer_is_filed_under(tmp_path: Path) -> None:
    paths = write(tmp_path, instance("asked", number=1), instance("asked", number=2, PatientID="other"))
    first = [path for path in paths if path.stem == uid("asked", "1", "1")]
    rest = [path for path in paths if path not in first]
    assert read_example([*first, *rest]).filing.PatientID == "PID-4711"


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_no_bytes_whatever_do_more_than_be_rejected(data: st.DataObject) -> None:
    content = bytearray(encoded())
    for _ in range(data.draw(st.integers(1, 12))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        read_instance(BytesIO(bytes(content[:cut])))
    except Rejected:
        return


HOSTILE_FOR_PYDICOM = ("deflate-bomb", "endless-items", "deep-sequences", "cut-in-a-sequence")


@pytest.mark.parametrize("name", HOSTILE_FOR_PYDICOM)
def test_a_hostile_header_costs_no_time_and_no_memory(name: str) -> None:
    """Whoever may ask can send it, and the process that answers reads it itself."""
    build, _ = HOSTILE[name]
    content = build(honest(1))
    tracemalloc.start()
    started = time.thread_time()
    with pytest.raises(Rejected) as refused:
        read_instance(BytesIO(content))
    took_s, (_, peak_bytes) = time.thread_time() - started, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert refused.value.reason == "unreadable"
    assert took_s < 30
    assert peak_bytes < len(content) + 20 * 2**20
