"""The index knows the issuer of a patient's id where the archive does not tell it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from indexer.collecting import Cases, Policy
from indexer.collecting.patients import IndexedLibrary
from indexer.domain import IndexedSeries, SeriesAttributes, SeriesReference
from indexer.errors import VectorIndexUnavailable
from tests.fakes.collected import PSEUDONYMS, Collected, collected


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    """One id of two issuers, of which the archive says nothing: Orthanc 1.10 does not."""
    with collected(tmp_path) as house:
        for name in ("one", "two"):
            house.prior(name, series=2, PatientID="4711")
        house.answered("WS1", "one", "two")
        yield house


def indexed(house: Collected, issuers: Mapping[str, str]) -> Mapping[str, IndexedSeries]:
    """The series that carried the matches, with the patient that their files name."""
    found = {}
    for name, issuer in issuers.items():
        kept = house.priors[name]
        reference = SeriesReference(kept.study_instance_uid, kept.series_instance_uid, kept.archive_id)
        attributes = SeriesAttributes(patient=PSEUDONYMS.of(issuer, "4711"))
        found[kept.archive_id] = IndexedSeries(reference, attributes, ())
    return found


def names(house: Collected, issuers: Mapping[str, str]) -> list[str]:
    """What the patients of the two cases are called."""
    known = indexed(house, issuers)

    def look_up(archive_ids: Sequence[str]) -> Mapping[str, IndexedSeries]:
        return {i: known[i] for i in archive_ids if i in known}

    library = IndexedLibrary(house.library(), look_up)
    cases = Cases(house.ledger, library, Policy(PSEUDONYMS), now=lambda: house.now)
    return [case.shown["PatientID"] for case in cases.recent("WS1")]


def test_one_id_of_two_issuers_is_two_patients(house: Collected) -> None:
    city, village = (PSEUDONYMS.case_name(PSEUDONYMS.of(i, "4711") or "") for i in ("CITY", "VILLAGE"))
    assert names(house, {"one": "CITY", "two": "VILLAGE"}) == [city, village]
    assert names(house, {"one": "CITY", "two": "CITY"}) == [city, city]


def test_what_is_not_indexed_is_called_by_what_the_archive_says(house: Collected) -> None:
    unknown = PSEUDONYMS.case_name(PSEUDONYMS.of("", "4711") or "")
    assert names(house, {}) == [unknown, unknown]


def test_without_the_index_nobody_is_taken_for_somebody_else(house: Collected) -> None:
    def down(_: Sequence[str]) -> Mapping[str, IndexedSeries]:
        raise VectorIndexUnavailable("The index does not answer.")

    library = IndexedLibrary(house.library(), down)
    cases = Cases(house.ledger, library, Policy(PSEUDONYMS), now=lambda: house.now)
    with pytest.raises(VectorIndexUnavailable):
        list(cases.recent("WS1"))


def test_the_patient_of_a_study_is_in_no_log(house: Collected) -> None:
    known = indexed(house, {"one": "CITY"})
    [study] = IndexedLibrary(house.library(), lambda _: known).studies_holding(list(known)).values()
    assert study.patient == PSEUDONYMS.of("CITY", "4711")
    assert str(study.patient) not in repr(study)
