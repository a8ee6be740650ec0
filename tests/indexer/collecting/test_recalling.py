"""An example that the archive holds is taken out once more: its images, and no more than is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from pydicom import dcmread

from indexer.adapters.folder import FolderArchive
from indexer.answers.identity import MANUFACTURER
from indexer.collecting import Policy
from indexer.collecting.recalling import MOST_BYTES, MOST_INSTANCES, MOST_SERIES, AsSent, Recalling, bounded
from indexer.domain import SeriesReference
from indexer.errors import NotFound
from indexer.ports import Access, Caller, StoredInstance
from tests.fakes.answers import instance, uid, write
from tests.fakes.collected import PSEUDONYMS, Collected, collected

OWN = PSEUDONYMS.of("", "PRIOR-asked") or ""


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    with collected(tmp_path) as house:
        house.prior("asked", series=2, instances=3)
        yield house


class HidingArchive(FolderArchive):
    """A folder that shows a series to nobody, or, where none is named, shows nothing."""

    def __init__(self, root: Path, hidden: str) -> None:
        super().__init__(root)
        self._hidden = hidden

    def visible(self, caller: Caller, series: Sequence[SeriesReference]) -> frozenset[str]:
        shown = [one for one in series if self._hidden and one.series_instance_uid != self._hidden]
        return super().visible(caller, shown)


def recalled(
    house: Collected, *patients: str, max_instance_bytes: int = 2**30, access: Access | None = None
) -> list[tuple[str, int]]:
    """The series and the numbers of the instances that are taken out."""
    archive = FolderArchive(house.folder / "priors")
    recalling = Recalling(archive, house.library(), access or archive, Policy(PSEUDONYMS), max_instance_bytes)
    sent = [AsSent(patient, frozenset({uid("asked", "2", "3")})) for patient in patients]
    with recalling.files(Caller("WS1"), uid("asked"), sent) as paths:
        found = [dcmread(path) for path in paths]
    return [(str(dataset.SeriesInstanceUID), int(dataset.InstanceNumber)) for dataset in found]


def test_every_image_comes_in_the_order_of_its_series(house: Collected) -> None:
    first, second = uid("asked", "1"), uid("asked", "2")
    found = recalled(house, OWN)
    assert sorted(found) == sorted([(s, n) for s in (first, second) for n in (1, 2, 3)])
    assert [n for _, n in found] == [1, 2, 3, 1, 2, 3]


def test_reports_and_answers_of_ours_stay_where_they_are(house: Collected) -> None:
    beside = [
        instance("asked", "report", PatientID="PRIOR-asked", Modality="SR"),
        instance("asked", "selection", PatientID="PRIOR-asked", Modality="KO"),
        instance("asked", "letter", PatientID="PRIOR-asked", Modality="DOC"),
        instance("asked", "answer", PatientID="PRIOR-asked", Modality="OT", Manufacturer=MANUFACTURER),
    ]
    write(house.folder / "priors" / "beside", *beside)
    assert {series for series, _ in recalled(house, OWN)} == {uid("asked", "1"), uid("asked", "2")}


def test_a_study_of_another_patient_stays_where_it_is(house: Collected) -> None:
    other = PSEUDONYMS.of("", "somebody else") or ""
    for patients in ((other,), ()):
        with pytest.raises(NotFound, match="does not hold"):
            recalled(house, *patients)
    assert len(recalled(house, other, OWN)) == 6


def test_a_series_that_the_caller_may_not_see_stays_where_it_is(house: Collected) -> None:
    hiding = HidingArchive(house.folder / "priors", uid("asked", "1"))
    assert {series for series, _ in recalled(house, OWN, access=hiding)} == {uid("asked", "2")}
    for hidden in (uid("asked", "2"), ""):
        with pytest.raises(NotFound, match="does not hold"):
            recalled(house, OWN, access=HidingArchive(house.folder / "priors", hidden))


def test_instances_that_are_too_large_stay_where_they_are(house: Collected) -> None:
    with pytest.raises(NotFound):
        recalled(house, OWN, max_instance_bytes=100)


def stored(count: int, size_bytes: int = 1) -> list[StoredInstance]:
    return [StoredInstance(f"{number}", f"1.{number}", number, 1, size_bytes) for number in range(count)]


def test_of_a_large_study_evenly_chosen_instances_are_taken() -> None:
    found = bounded([stored(3000), stored(5)])
    assert len(found) == MOST_INSTANCES // 2 + 5
    numbers = [one.instance_number or 0 for one in found[:-5]]
    steps = {after - before for before, after in pairwise(numbers)}
    assert steps == {25}
    assert (numbers[0], numbers[-1]) == (12, 3000 - 13)
    assert len(bounded([stored(500)] * MOST_SERIES)) == MOST_INSTANCES


def test_large_instances_are_fewer() -> None:
    found = bounded([stored(200, MOST_BYTES // 50), stored(200, MOST_BYTES // 50)])
    assert sum(one.size_bytes for one in found) <= MOST_BYTES
    assert len(found) == 30
    assert len(bounded([stored(3, MOST_BYTES // 2)] * 4)) == 2
    assert bounded([stored(3, MOST_BYTES + 1)]) == []
    assert bounded([]) == []
    assert bounded([[]]) == []
