"""The fake archive forgets as Orthanc forgets, and shows what it was told to show."""

from __future__ import annotations

import pytest

from indexer.domain import SeriesReference
from indexer.errors import ArchiveUnavailable
from indexer.ports import Caller
from tests.fakes.archive import FakeArchive, orthanc_id


def test_identifiers_are_those_of_orthanc() -> None:
    # As Orthanc 1.10.1 names pydicom's CT_small.dcm.
    names = ("1CT1", "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322")
    assert orthanc_id(*names) == "8a8cf898-ca27c490-d0c7058c-929d0581-2bbf104d"


def test_the_log_tells_of_new_and_stable_series_page_by_page() -> None:
    archive = FakeArchive()
    first = archive.put(study="1", series="2", sop="3")
    archive.put(study="1", series="2", sop="4")
    archive.stabilise(first)
    second = archive.put(study="5", series="6", sop="7")
    page = archive.changes(0, 2)
    assert [(c.kind, c.archive_id) for c in page.changes] == [("new", first), ("stable", first)]
    assert not page.done
    page = archive.changes(page.last, 2)
    assert [(c.kind, c.archive_id) for c in page.changes] == [("new", second)]
    assert page.done


def test_a_deleted_series_leaves_no_trace_in_the_log() -> None:
    archive = FakeArchive()
    archive.delete_series(archive.put(study="1", series="2", sop="3"))
    page = archive.changes(0, 10)
    assert (page.changes, page.last, page.done) == ((), 1, True)


def test_a_caller_with_credentials_sees_what_is_shown_to_them() -> None:
    archive = FakeArchive()
    shown = archive.put(study="1", series="2", sop="3")
    hidden = archive.put(study="1", series="4", sop="5")
    archive.show(shown, {"token": "a"})
    references = [SeriesReference("1", "2", shown), SeriesReference("1", "4", hidden)]
    assert archive.visible(Caller("local"), references) == {shown, hidden}
    assert archive.visible(Caller("a", {"token": "a"}), references) == {shown}
    assert archive.visible(Caller("b", {"token": "b"}), references) == frozenset()


def test_an_archive_that_is_switched_off_answers_nothing() -> None:
    archive = FakeArchive()
    archive.unavailable = True
    with pytest.raises(ArchiveUnavailable):
        list(archive.list_series())
    with pytest.raises(ArchiveUnavailable):
        archive.changes(0, 1)
