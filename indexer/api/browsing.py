"""What is indexed: every series with its state, and the studies that can be asked about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter
from pydantic import Field

from indexer.api.house import House, TheBookmarks, TheCaller, TheHouse
from indexer.api.references import FrameBody, Wire, key_frame
from indexer.domain import IndexedSeries, SeriesReference
from indexer.errors import NotFound
from indexer.ledger import Page, SeriesRow, State, StudyRow
from indexer.line_up import DOCUMENTS
from indexer.ports import Caller
from indexer.vocabulary import FiltersBody, Strict, Uid

MAX_PAGES_READ: Final = 20

router = APIRouter(prefix="/api", tags=["browse"])
Cursor = Annotated[str | None, Field(max_length=512)]


class SeriesBody(Wire):
    """One series of the ledger; `reason` says why it is not indexed."""

    series_instance_uid: str
    study_instance_uid: str
    orthanc_id: str | None
    modality: str
    body_part_examined: str
    study_date: date | None
    state: str
    reason: str
    attempts: int
    encoder: str | None

    @classmethod
    def of(cls, row: SeriesRow) -> SeriesBody:
        """One row."""
        return cls(**{name: getattr(row, name) for name in cls.model_fields})


class SeriesPage(Wire):
    """Series, and the cursor of the next page."""

    series: list[SeriesBody]
    next_cursor: str | None


class StudyBody(Wire):
    """One study that can be asked about; `series` counts what of it is indexed."""

    study_instance_uid: str
    study_date: date | None
    modalities: list[str]
    body_parts: list[str]
    series: int
    key_frame: FrameBody | None


class StudiesPage(Wire):
    """Studies, newest first, and the cursor of the next page; a page may be short, or empty."""

    studies: list[StudyBody]
    next_cursor: str | None


class IndexedSeriesBody(SeriesBody):
    """A series of one study with those of its frames that are indexed.

    `sequence` and `plane` are empty where they are not known.
    """

    sequence: str
    plane: str
    frames: list[FrameBody]


class StudySeriesBody(Wire):
    """One study with its series."""

    study_instance_uid: str
    study_date: date | None
    series: list[IndexedSeriesBody]


class SeriesListing(Strict):
    """The query of GET /api/series."""

    state: State | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    cursor: Cursor = None


class StudiesListing(FiltersBody):
    """The query of GET /api/studies."""

    limit: Annotated[int, Field(ge=1, le=200)] = 24
    cursor: Cursor = None


@router.get("/series")
def series(listing: Annotated[SeriesListing, Query()], house: TheHouse) -> SeriesPage:
    """Every series with its state, for the administrator."""
    page = house.ledger.rows(listing.state, listing.limit, listing.cursor)
    return SeriesPage(series=[SeriesBody.of(row) for row in page.rows], next_cursor=page.next_cursor)


@router.get("/studies")
def studies(
    listing: Annotated[StudiesListing, Query()], house: TheHouse, caller: TheCaller, bookmarks: TheBookmarks
) -> StudiesPage:
    """The indexed studies that the caller may see."""
    limited = caller.credentials is not None
    cursor = bookmarks.find(listing.cursor) if limited and listing.cursor else listing.cursor
    page = _visible_page(house, listing, cursor, caller)
    indexed = house.indexed([row.archive_ids[0] for row in page.rows if row.archive_ids])
    return StudiesPage(
        studies=[_study(row, indexed) for row in page.rows],
        next_cursor=bookmarks.put(page.next_cursor) if limited and page.next_cursor else page.next_cursor,
    )


@router.get("/studies/{study_instance_uid}")
def study(
    study_instance_uid: Annotated[Uid, PathParameter()], house: TheHouse, caller: TheCaller
) -> StudySeriesBody:
    """One study with its series and their indexed frames."""
    rows = house.ledger.find(study_instance_uid=study_instance_uid)
    visible = house.access.visible(caller, [_reference(row) for row in rows])
    shown = [row for row in rows if row.archive_id in visible]
    if not shown:
        raise NotFound(f"Nothing is known of {study_instance_uid}: check the UID.")
    indexed = house.indexed([row.archive_id for row in shown])
    return StudySeriesBody(
        study_instance_uid=study_instance_uid,
        study_date=max((row.study_date for row in shown if row.study_date), default=None),
        series=[_indexed_series(row, indexed.get(row.archive_id)) for row in shown],
    )


def _visible_page(
    house: House, listing: StudiesListing, cursor: str | None, caller: Caller
) -> Page[StudyRow]:
    """Read on until the page is full, the listing ends, or enough was read for one request."""
    shown: list[StudyRow] = []
    for _ in range(MAX_PAGES_READ):
        page = house.ledger.studies(
            listing.limit - len(shown),
            cursor,
            modality=listing.modality,
            body_part_examined=listing.body_part_examined,
        )
        dated = [row for row in page.rows if _is_dated(row, listing)]
        shown.extend(_visible(house, dated, caller))
        cursor = page.next_cursor
        if cursor is None or len(shown) == listing.limit:
            break
    return Page(tuple(shown), cursor)


def _is_dated(row: StudyRow, listing: StudiesListing) -> bool:
    earliest, latest = listing.study_date_from, listing.study_date_to
    if earliest is None and latest is None:
        return True
    day = row.study_date
    return day is not None and (earliest is None or earliest <= day) and (latest is None or day <= latest)


def _visible(house: House, rows: Sequence[StudyRow], caller: Caller) -> Iterator[StudyRow]:
    """Studies of which the caller may see something, with what that is."""
    references = [
        SeriesReference(row.study_instance_uid, "", archive_id)
        for row in rows
        for archive_id in row.archive_ids
    ]
    visible = house.access.visible(caller, references)
    for row in rows:
        if visible.issuperset(row.archive_ids):
            yield row
        elif not visible.isdisjoint(row.archive_ids):
            yield _narrowed(house, row, visible)


def _narrowed(house: House, row: StudyRow, visible: frozenset[str]) -> StudyRow:
    """The study as if its hidden series were not there."""
    shown = [
        one
        for one in house.ledger.find(study_instance_uid=row.study_instance_uid)
        if one.archive_id in visible and one.state is State.INDEXED and one.modality not in DOCUMENTS
    ]
    return StudyRow(
        study_instance_uid=row.study_instance_uid,
        study_date=row.study_date,
        modalities=tuple(sorted({one.modality for one in shown} - {""})),
        body_parts=tuple(sorted({one.body_part_examined for one in shown} - {""})),
        series=len(shown),
        archive_ids=tuple(one.archive_id for one in shown),
    )


def _reference(row: SeriesRow) -> SeriesReference:
    return SeriesReference(row.study_instance_uid, row.series_instance_uid, row.archive_id)


def _study(row: StudyRow, indexed: Mapping[str, IndexedSeries]) -> StudyBody:
    first = next((indexed[i] for i in row.archive_ids if i in indexed), None)
    return StudyBody(
        study_instance_uid=row.study_instance_uid,
        study_date=row.study_date,
        modalities=list(row.modalities),
        body_parts=list(row.body_parts),
        series=row.series,
        key_frame=None if first is None else key_frame(first),
    )


def _indexed_series(row: SeriesRow, indexed: IndexedSeries | None) -> IndexedSeriesBody:
    is_shown = indexed is not None and indexed.attributes.kind == "image"
    return IndexedSeriesBody(
        **SeriesBody.of(row).model_dump(),
        sequence=indexed.attributes.sequence if indexed else "",
        plane=indexed.attributes.plane if indexed else "",
        frames=[FrameBody.of(frame) for frame in indexed.frames] if indexed and is_shown else [],
    )
