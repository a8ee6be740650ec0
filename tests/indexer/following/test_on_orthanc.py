"""What a real Orthanc forgets, following finds: lost events, deletions without a trace, new databases."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.orthanc import LocalOrthanc
from indexer.adapters.orthanc import OrthancArchive
from indexer.following import ChangeFollower
from indexer.ledger import Ledger
from tests.conftest import StartOrthanc
from tests.indexer.adapters.conftest import ct_instance, dicom_bytes
from tests.indexer.following.house import NOW, QUIET_S, Desk, later

pytestmark = pytest.mark.orthanc


@pytest.fixture
def orthanc(start_orthanc: StartOrthanc) -> LocalOrthanc:
    return start_orthanc(stable_age_s=600)


@pytest.fixture
def archive(orthanc: LocalOrthanc) -> Iterator[OrthancArchive]:
    with OrthancArchive(orthanc.http_url, user=orthanc.user, password=orthanc.password) as opened:
        yield opened


@pytest.fixture
def desk(archive: OrthancArchive, tmp_path: Path) -> Iterator[Desk]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as ledger:
        yield Desk(ledger, archive)


@pytest.fixture
def reader(archive: OrthancArchive, desk: Desk) -> ChangeFollower:
    return ChangeFollower(archive, desk.ledger, archive="orthanc", quiet_s=QUIET_S)


def store(orthanc: LocalOrthanc, study: int, instance: int = 1) -> None:
    dataset = ct_instance(instance, study=f"1.2.{study}", series=f"1.2.{study}.1")
    with orthanc.client() as client:
        client.post("/instances", content=dicom_bytes(dataset)).raise_for_status()


def delete_study(orthanc: LocalOrthanc, study: int) -> None:
    with orthanc.client() as client:
        for found in client.post("/tools/lookup", content=f"1.2.{study}").json():
            client.delete(found["Path"]).raise_for_status()


def test_the_log_is_followed_from_its_end_and_a_deletion_at_its_end_is_no_new_log(
    orthanc: LocalOrthanc, desk: Desk, reader: ChangeFollower
) -> None:
    store(orthanc, 1)
    assert reader.poll(NOW).lost_track
    desk.compare()
    assert len(desk.work(later(QUIET_S))) == 1
    store(orthanc, 2)
    assert not reader.poll(later(100)).lost_track
    assert len(desk.work(later(200))) == 2  # the overlap reads the first one once more
    delete_study(orthanc, 2)
    polled = reader.poll(later(300))
    assert (polled.noticed, polled.lost_track) == (0, False)
    store(orthanc, 3)
    assert reader.poll(later(400)).noticed == 1


def test_a_cleared_log_loses_no_track_because_orthanc_keeps_counting(
    orthanc: LocalOrthanc, desk: Desk, reader: ChangeFollower
) -> None:
    store(orthanc, 1)
    reader.poll(NOW)
    with orthanc.client() as client:
        client.delete("/changes").raise_for_status()
    assert not reader.poll(NOW).lost_track
    store(orthanc, 2)
    assert reader.poll(NOW).noticed == 1


def test_a_new_database_is_noticed_and_the_comparison_sets_everything_right(
    orthanc: LocalOrthanc, desk: Desk, reader: ChangeFollower
) -> None:
    for study in (1, 2):
        store(orthanc, study)
    reader.poll(NOW)
    desk.compare()
    desk.work(later(QUIET_S))
    orthanc.stop()
    shutil.rmtree(orthanc.folder / "db")
    orthanc.restart()
    store(orthanc, 3)
    assert reader.poll(later(100)).lost_track
    comparison = desk.compare(later(100))
    assert (comparison.listed, comparison.gone) == (1, 2)
    desk.work(later(200))
    (row,) = desk.ledger.rows().rows
    assert (row.study_instance_uid, desk.vectors()) == ("1.2.3", {row.archive_id})


def test_what_a_killed_orthanc_never_tells_is_found_by_the_comparison(
    orthanc: LocalOrthanc, desk: Desk
) -> None:
    store(orthanc, 1)
    desk.compare()
    desk.work(later(QUIET_S))
    store(orthanc, 1, instance=2)
    orthanc.kill()
    orthanc.restart()
    assert desk.compare(later(100)).changed == 1
    desk.work(later(200))
    delete_study(orthanc, 1)
    assert desk.compare(later(300)).gone == 1
    desk.work(later(300))
    assert desk.vectors() == desk.indexed() == set()
    assert desk.compare(later(400)).found == 0
