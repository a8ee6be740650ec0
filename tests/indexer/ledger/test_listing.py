"""Rows and studies are listed page by page; a page never repeats or drops what did not change."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.domain import SeriesAttributes, SeriesReference
from indexer.errors import Rejected
from indexer.ledger import Gone, Indexed, Ledger, Notice, Page, Priority, SeriesRow, State, StudyRow
from indexer.ledger.cursor import from_cursor, to_cursor

NOW = datetime(2026, 3, 1, tzinfo=UTC)
DAY = date(2020, 1, 1)


def index(
    ledger: Ledger,
    archive_id: str,
    study: str,
    day: date | None = DAY,
    modality: str = "CT",
    body_part: str = "",
) -> None:
    ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)
    (lease,) = ledger.lease("me", 1, 60.0, NOW)
    reference = SeriesReference(study, f"{study}.{archive_id}", archive_id)
    attributes = SeriesAttributes(modality, body_part, day)
    outcome = Indexed(reference, attributes, "r", "f", "grey32@0123456789ab")
    assert ledger.finish(lease, "me", outcome, NOW)


def all_rows(ledger: Ledger, limit: int, state: State | None = None) -> list[SeriesRow]:
    page = ledger.rows(state, limit)
    found = [*page.rows]
    while page.next_cursor is not None:
        page = ledger.rows(state, limit, page.next_cursor)
        found.extend(page.rows)
    return found


def all_studies(ledger: Ledger, limit: int) -> list[str]:
    page: Page[StudyRow] = ledger.studies(limit)
    found = [row.study_instance_uid for row in page.rows]
    while page.next_cursor is not None:
        page = ledger.studies(limit, page.next_cursor)
        found.extend(row.study_instance_uid for row in page.rows)
    return found


@pytest.mark.parametrize("limit", [1, 3, 7, 100])
def test_every_row_is_on_exactly_one_page_in_the_order_of_bytes(ledger: Ledger, limit: int) -> None:
    ids = ["B", "a", "A", "b", "ä", "Z-1", "z 1", "_", "9", "10"]
    ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED) for archive_id in ids], NOW)
    found = [row.archive_id for row in all_rows(ledger, limit)]
    assert found == sorted(ids, key=str.encode)


def test_rows_of_one_state_are_listed(ledger: Ledger) -> None:
    index(ledger, "a", "1")
    ledger.notice([Notice("b", "orthanc", Priority.CHANGED)], NOW)
    assert [row.archive_id for row in all_rows(ledger, 1, State.INDEXED)] == ["a"]
    assert [row.archive_id for row in all_rows(ledger, 1, State.WAITING)] == ["b"]
    assert all_rows(ledger, 1, State.FAILED) == []


def test_pages_of_rows_stay_in_step_while_rows_come_and_go(ledger: Ledger) -> None:
    ledger.notice([Notice(str(n), "orthanc", Priority.CHANGED) for n in range(10)], NOW)
    first = ledger.rows(limit=5)
    ledger.notice([Notice("00", "orthanc", Priority.ASKED)], NOW)
    (lease,) = ledger.lease("me", 1, 60.0, NOW + timedelta(seconds=1))
    assert ledger.finish(lease, "me", Gone(), NOW)
    second = ledger.rows(limit=5, cursor=first.next_cursor)
    assert [row.archive_id for row in (*first.rows, *second.rows)] == [str(n) for n in range(10)]
    assert second.next_cursor is None


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_studies_come_newest_first_and_those_without_a_date_last(ledger: Ledger, limit: int) -> None:
    index(ledger, "a", "1.1", date(2019, 5, 1))
    index(ledger, "b", "1.2", date(2021, 5, 1))
    index(ledger, "c", "1.3", None)
    index(ledger, "d", "1.4", date(2021, 5, 1))
    index(ledger, "e", "1.5", None)
    assert all_studies(ledger, limit) == ["1.2", "1.4", "1.1", "1.3", "1.5"]


def test_a_study_tells_what_it_is_made_of(ledger: Ledger) -> None:
    index(ledger, "b", "1", DAY, "PT", "CHEST")
    index(ledger, "a", "1", DAY, "CT", "HEAD")
    index(ledger, "c", "1", DAY, "CT", "")
    assert ledger.studies().rows == (StudyRow("1", DAY, ("CT", "PT"), ("CHEST", "HEAD"), 3, ("a", "b", "c")),)


def test_a_study_whose_series_disagree_on_the_date_is_listed_once_at_the_latest(ledger: Ledger) -> None:
    index(ledger, "a", "1", date(2019, 1, 1))
    index(ledger, "b", "1", None)
    index(ledger, "c", "1", date(2022, 1, 1))
    index(ledger, "d", "2", date(2020, 1, 1))
    assert all_studies(ledger, 1) == ["1", "2"]
    assert ledger.studies().rows[0].study_date == date(2022, 1, 1)


def test_filters_choose_studies_and_still_show_all_their_series(ledger: Ledger) -> None:
    index(ledger, "a", "1", date(2022, 1, 1), "CT", "HEAD")
    index(ledger, "b", "1", date(2019, 1, 1), "PT", "HEAD")
    index(ledger, "c", "2", date(2020, 1, 1), "PT", "CHEST")
    index(ledger, "d", "3", date(2021, 1, 1), "MR", "HEAD")
    of_pet = ledger.studies(modality=("PT",)).rows
    assert [(row.study_instance_uid, row.series) for row in of_pet] == [("2", 1), ("1", 2)]
    either = ledger.studies(modality=("PT", "MR"), body_part_examined=("HEAD",)).rows
    assert [row.study_instance_uid for row in either] == ["3", "1"]
    assert ledger.studies(modality=("US",)).rows == ()


def test_only_series_that_can_be_found_are_listed_as_studies(ledger: Ledger) -> None:
    """One that is looked at again has its vectors still; one that is looked at first has none yet."""
    index(ledger, "a", "1")
    index(ledger, "b", "2")
    ledger.notice([Notice("b", "orthanc", Priority.CHANGED)], NOW)
    first = Notice("c", "orthanc", Priority.CHANGED, reference=SeriesReference("3", "3.1", "c"))
    ledger.notice([first], NOW)
    assert all_studies(ledger, 10) == ["1", "2"]


def test_reports_are_found_by_words_and_listed_nowhere(ledger: Ledger) -> None:
    index(ledger, "a", "1", DAY, "CT")
    index(ledger, "b", "1", date(2030, 1, 1), "SR")
    index(ledger, "c", "2", DAY, "DOC")
    assert ledger.studies().rows == (StudyRow("1", DAY, ("CT",), (), 1, ("a",)),)
    assert ledger.studies(modality=("SR", "DOC")).rows == ()
    assert {row.modality for row in all_rows(ledger, 10)} == {"CT", "SR", "DOC"}


def test_pages_of_studies_stay_in_step_while_studies_come(ledger: Ledger) -> None:
    for number in range(6):
        index(ledger, f"s{number}", f"1.{number}", DAY - timedelta(days=number))
    first = ledger.studies(3)
    index(ledger, "new", "1.9", DAY + timedelta(days=1))
    second = ledger.studies(3, first.next_cursor)
    listed = [row.study_instance_uid for row in (*first.rows, *second.rows)]
    assert listed == [f"1.{number}" for number in range(6)]


BAD_CURSORS = (
    *("", "x", "ä", "%%%", "bnVsbA", "W10", to_cursor("rows"), to_cursor("rows", "a", "b")),
    *(to_cursor("studies", "a"), to_cursor("studies", "2020-13-01", "1"), to_cursor("other", "a")),
    *(to_cursor("rows", "\0"), to_cursor("studies", "2020-01-01", "\0"), "WyJyb3dzIiwxXQ"),
)


@pytest.mark.parametrize("cursor", BAD_CURSORS)
def test_a_cursor_that_nobody_gave_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(Rejected, match="cursor"):
        ledger.rows(cursor=cursor)
    with pytest.raises(Rejected, match="cursor"):
        ledger.studies(cursor=cursor)


@given(st.text())
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    try:
        keys = from_cursor("rows", text, 1)
    except Rejected:
        return
    assert len(keys) == 1


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_cursor_gives_back_what_went_in(key: str) -> None:
    assert from_cursor("rows", to_cursor("rows", key), 1) == [key]
