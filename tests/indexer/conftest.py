"""Studies on disk and a house that has indexed them, for the tests of the API and of the page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from demo.families import FAMILIES, WrittenStudy, write_studies
from tests.fakes.house import Furnished, by_series, furnished

PER_FAMILY = 4


@dataclass(frozen=True)
class Studies:
    """Synthetic studies by family; those of one family look alike."""

    by_family: dict[str, list[WrittenStudy]]

    @property
    def indexed(self) -> list[WrittenStudy]:
        """All but the last of each family."""
        return [study for studies in self.by_family.values() for study in studies[:-1]]

    def new(self, family: str) -> WrittenStudy:
        """The study of a family that is not indexed."""
        return self.by_family[family][-1]

    def old(self, family: str) -> list[WrittenStudy]:
        """The studies of a family that are indexed."""
        return self.by_family[family][:-1]


@pytest.fixture(scope="session")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Studies:
    by_family: dict[str, list[WrittenStudy]] = {family.name: [] for family in FAMILIES}
    for study in write_studies(tmp_path_factory.mktemp("studies"), per_family=PER_FAMILY):
        by_family[study.family].append(study)
    return Studies(by_family)


@pytest.fixture
def empty_house() -> Iterator[Furnished]:
    with furnished() as house:
        yield house


@pytest.fixture(scope="session")
def model_house(studies: Studies) -> Iterator[Furnished]:
    """Indexed once; nobody changes it."""
    with furnished() as house:
        for study in studies.indexed:
            for paths in by_series(study):
                house.index_series(paths)
        yield house


@pytest.fixture
def house(model_house: Furnished) -> Iterator[Furnished]:
    """A house with all studies indexed, for one test to do with as it likes."""
    with furnished(model_house) as house:
        yield house
