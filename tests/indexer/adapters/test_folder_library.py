"""A folder describes its studies and lets files out as they are; nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from indexer.ports import Coding, Disguise, WantedCopy
from tests.fakes.answers import uid
from tests.fakes.collected import Collected, collected


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Collected]:
    with collected(tmp_path) as house:
        house.prior("head", series=2, instances=3)
        house.prior("chest")
        yield house


def test_a_study_is_described_from_its_headers(house: Collected) -> None:
    wanted = house.priors["head"].archive_id
    found = house.library().studies_holding([wanted, "1.2/1.3"])
    assert set(found) == {wanted}
    study = found[wanted]
    assert (study.attributes["PatientName"], study.attributes["StudyDate"]) == ("Prior^Head", "20200102")
    assert {(s.series_instance_uid, s.description, s.instances) for s in study.series} == {
        (uid("head", "1"), "of head", 3),
        (uid("head", "2"), "of head", 3),
    }
    assert "Prior" not in repr(study)


def test_the_folder_is_walked_once_however_often_studies_are_described(
    house: Collected, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    library, wanted = house.library(), [case.archive_id for case in house.priors.values()]
    for _ in range(3):
        assert set(library.studies_holding([*wanted, "1.2/1.3"])) == set(wanted)
    assert len([m for m in caplog.messages if m.startswith("folder_scanned")]) == 1


def test_a_series_that_went_meanwhile_is_not_described_by_the_rest_of_its_study(house: Collected) -> None:
    library, gone = house.library(), house.priors["head"].archive_id
    other = f"{uid('head')}/{uid('head', '2')}"
    library.studies_holding([gone])
    for number in (1, 2, 3):
        (house.folder / "priors" / "head" / f"{uid('head', '1', str(number))}.dcm").unlink()
    for _ in range(2):
        found = library.studies_holding([gone, other])
        assert {i: [s.archive_id for s in study.series] for i, study in found.items()} == {other: [other]}


def test_instances_come_in_their_order_with_their_codings(house: Collected) -> None:
    library = house.library()
    instances = library.instances_of(house.priors["head"].archive_id)
    assert [instance.instance_number for instance in instances] == [1, 2, 3]
    assert set(library.codings(instances).values()) == {Coding(CTImageStorage, ExplicitVRLittleEndian)}
    assert library.instances_of("1.2/1.3") == ()


def test_only_what_is_wanted_as_it_is_comes_out(house: Collected, tmp_path: Path) -> None:
    library = house.library()
    plain, transcoded, disguised = library.instances_of(house.priors["head"].archive_id)
    wanted = [
        WantedCopy(plain),
        WantedCopy(transcoded, ExplicitVRLittleEndian),
        WantedCopy(disguised, disguise=Disguise("CASE-1", lambda uid: uid)),
    ]
    assert [fetched.instance for fetched in library.copies(wanted, tmp_path)] == [plain]
    assert plain.sop_instance_uid == uid("head", "1", "1")


def test_a_file_that_went_meanwhile_has_no_coding(house: Collected) -> None:
    library = house.library()
    instances = library.instances_of(house.priors["chest"].archive_id)
    for path in (house.folder / "priors" / "chest").iterdir():
        path.unlink()
    assert library.codings(instances) == {}
