"""A listing asks the archive about few cases, about none twice in a moment, and can be called off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ImplicitVRLittleEndian
from pynetdicom.dsutils import encode

from indexer.adapters.folder import FolderArchive
from indexer.adapters.folder.library import FolderLibrary
from indexer.ae.finding import Finding
from indexer.collecting import Cases, Policy
from indexer.ports import ArchivedStudy
from tests.fakes.answers import uid
from tests.fakes.collected import PSEUDONYMS, Collected, collected

MANY = 45


class Asked(FolderLibrary):
    """A folder that counts the series it is asked about."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, FolderArchive(folder))
        self.about: list[str] = []

    def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        self.about.extend(archive_ids)
        return super().studies_holding(archive_ids)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    """As many cases as three of fifteen questions make, one a year."""
    with collected(tmp_path) as house:
        names = [f"prior {year}" for year in range(1970, 1970 + MANY)]
        for name in names:
            house.prior(name, instances=1, StudyDate=f"{name[-4:]}0506")
        for start in range(0, MANY, 3):
            house.answered("WS1", *names[start : start + 3])
        yield house


@pytest.fixture
def library(house: Collected) -> Asked:
    return Asked(house.folder / "priors")


@pytest.fixture
def cases(house: Collected, library: Asked) -> Cases:
    return Cases(house.ledger, library, Policy(PSEUDONYMS), kept_for_s=3600, now=lambda: house.now)


def find(cases: Cases, enough_after: int = 1000, **keys: str) -> list[object]:
    """The Study Instance UIDs, and the status that a caller gets who had enough after some of them."""
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    for keyword, value in keys.items():
        setattr(query, keyword, value)
    encoded = encode(query, is_implicit_vr=True, is_little_endian=True)
    assert encoded is not None
    seen: list[object] = []
    for status, row in Finding(cases).responses(
        "WS1",
        "CBIR",
        BytesIO(encoded),
        ImplicitVRLittleEndian,
        study_root=True,
        is_cancelled=lambda: len(seen) >= enough_after,
    ):
        seen.append(status if row is None else row.StudyInstanceUID)
    return seen


def test_only_cases_that_can_match_are_asked_about(cases: Cases, library: Asked) -> None:
    assert find(cases, StudyDate="20000101-20011231") == [uid("prior 2000"), uid("prior 2001")]
    assert len(library.about) == 2
    library.about.clear()
    assert find(cases, StudyDescription="*no such words*") == []
    assert library.about == []


def test_nothing_is_asked_twice_in_a_moment_and_all_of_it_again_later(
    house: Collected, cases: Cases, library: Asked
) -> None:
    for _ in range(3):
        assert len(find(cases, ModalitiesInStudy="CT")) == MANY
    assert len(library.about) == MANY
    for path in (house.folder / "priors" / "prior 2000").iterdir():
        path.unlink()
    house.now += timedelta(seconds=31)
    assert len(find(cases, ModalitiesInStudy="CT")) == MANY - 1
    assert len(library.about) == 2 * MANY


def test_no_more_is_asked_of_the_archive_once_the_caller_has_had_enough(cases: Cases, library: Asked) -> None:
    assert find(cases, enough_after=0, ModalitiesInStudy="CT") == [0xFE00]
    assert library.about == []
    assert find(cases, enough_after=2, ModalitiesInStudy="CT")[2:] == [0xFE00]
    assert len(library.about) == 16


def test_who_has_had_enough_of_no_match_is_told_so(house: Collected, library: Asked) -> None:
    """Nothing matches, so that nothing but the archive's work could be called off."""

    class Enough(Asked):
        def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
            had_enough.append(True)
            return super().studies_holding(archive_ids)

    had_enough: list[bool] = []
    slow = Enough(house.folder / "priors")
    cases = Cases(house.ledger, slow, Policy(PSEUDONYMS), kept_for_s=3600, now=lambda: house.now)
    found = cases.recent("WS1", called_off=lambda: bool(had_enough))
    assert list(found) == []
    assert len(slow.about) == 16


def test_a_study_that_two_questions_found_stands_as_the_last_one_ranked_it(
    house: Collected, cases: Cases
) -> None:
    house.answered("WS1", "prior 1971", "prior 1970")
    assert uid("prior 1970") not in find(cases, StudyDescription="01*")
    assert uid("prior 1970") in find(cases, StudyDescription="02*")
