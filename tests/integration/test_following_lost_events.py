"""What Orthanc never announces, or announces to nobody, is followed all the same."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from demo.orthanc import LocalOrthanc
from demo.walk import CBIR
from tests.conftest import StartOrthanc
from tests.fakes.indexer import RecordingIndexer, eventually
from tests.fakes.listing import listed
from tests.fakes.studies import SENDER, send, small_series
from tests.integration.agreement import Row
from tests.integration.conftest import ANSWER_WAIT_S, Programs, store
from tests.integration.followed import (
    STABLE_AGE_S,
    Followed,
    followed,
    series_ids,
    study_id,
    study_of,
)

pytestmark = pytest.mark.orthanc

LOG = "/changes?limit=10000"
NOT_YET_S = 600
"""A stable age that no series reaches before its Orthanc is killed."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Followed]:
    """Each test adds to what the ones before it left; all of it is judged each time."""
    with followed(tmp_path_factory.mktemp("house"), programs) as running:
        yield running


def announced_stable(house: Followed, ids: set[str]) -> set[str]:
    rows = house.get(LOG).json()["Changes"]
    return ids & {row["ID"] for row in rows if row["ChangeType"] == "StableSeries"}


def hints_waiting(orthanc: LocalOrthanc) -> int:
    """How many hints the plugin has yet to deliver."""
    (path,) = listed(orthanc.folder, "**/cbir-outbox.sqlite")
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30)) as outbox:
        [(waiting,)] = outbox.execute("SELECT count(*) FROM waiting").fetchall()
    return int(waiting)


def is_stable(house: Followed, ids: set[str]) -> bool:
    return all(house.get(f"/series/{archive_id}").json()["IsStable"] for archive_id in ids)


def settled_rows(house: Followed) -> list[Row]:
    """The ledger at rest: a row that the service reads of late waits once more, and rests again."""
    rows: list[Row] = []

    def are_settled() -> bool:
        rows[:] = sorted(house.auditor.rows())
        return all(row.state not in ("waiting", "leased") for row in rows)

    house.auditor.rest()
    eventually(are_settled)
    return rows


def test_a_series_whose_orthanc_was_killed_before_it_was_stable_is_indexed(
    house: Followed, tmp_path: Path
) -> None:
    """Orthanc keeps it and calls it stable, and announces that never; its first hints are lost too."""
    study, orthanc = study_of("spine-mr", tmp_path), house.walk.orthanc
    ids = series_ids(study.paths)
    house.walk.service.kill()
    orthanc.stable_age_s = NOT_YET_S
    orthanc.restart()
    house.send(study.paths)
    orthanc.kill()
    house.lose_the_outbox()
    orthanc.stable_age_s = STABLE_AGE_S
    orthanc.restart()
    house.walk.service.start()
    house.auditor.agree()
    eventually(lambda: is_stable(house, ids))
    time.sleep(STABLE_AGE_S)
    assert announced_stable(house, ids) == set()


def test_no_callback_either_says_that_it_is_stable(start_orthanc: StartOrthanc, programs: Programs) -> None:
    """And sending the instances again says nothing at all."""
    with RecordingIndexer() as indexer:
        orthanc = start_orthanc(
            programs=programs,
            indexer_url=indexer.url,
            secret=indexer.secret,
            modalities={SENDER: ("127.0.0.1", 104)},
            stable_age_s=NOT_YET_S,
        )
        series = small_series(2)
        send(orthanc, series.instances)
        eventually(lambda: indexer.changes(series.orthanc_id))
        orthanc.kill()
        orthanc.stable_age_s = 1
        orthanc.restart()
        with orthanc.client() as client:
            eventually(lambda: client.get(f"/series/{series.orthanc_id}").json()["IsStable"])
        time.sleep(2)
        eventually(lambda: hints_waiting(orthanc) == 0)
        before = indexer.changes(series.orthanc_id)
        send(orthanc, series.instances)
        time.sleep(2)
        assert "stable" not in before
        assert indexer.changes(series.orthanc_id) == before


def test_instances_sent_again_change_nothing(house: Followed, tmp_path: Path) -> None:
    study = study_of("chest-cr", tmp_path)
    house.send(study.paths)
    before, written = settled_rows(house), house.auditor.writings()
    assert series_ids(study.paths) <= written.keys()
    house.send(study.paths)
    house.send(study.paths)
    house.auditor.agree()
    assert settled_rows(house) == before
    assert house.auditor.writings() == written


def test_a_study_deleted_while_the_service_was_down_is_forgotten(house: Followed, tmp_path: Path) -> None:
    """Even when the hint of its deletion is lost; the change log says nothing of deletions."""
    study = study_of("breast-us", tmp_path)
    house.send(study.paths)
    house.auditor.settle()
    house.walk.service.kill()
    house.delete(f"/studies/{study_id(study)}")
    assert study_id(study) not in house.get(LOG).text
    house.walk.orthanc.kill()
    house.lose_the_outbox()
    house.walk.orthanc.restart()
    house.walk.service.start()
    house.auditor.agree()
    assert not series_ids(study.paths) & set(house.auditor.points())


def test_a_series_that_grew_after_it_was_indexed_is_embedded_again(house: Followed, tmp_path: Path) -> None:
    study = study_of("abdomen-ct", tmp_path)
    (archive_id,) = series_ids(study.paths)
    house.send(study.paths[:3])
    before = house.auditor.writings()[archive_id]
    house.send(study.paths[3:])
    house.auditor.agree()
    assert house.auditor.writings()[archive_id] > before


def test_an_instance_that_is_deleted_leaves_its_series(house: Followed, tmp_path: Path) -> None:
    """No callback and no row of the log names a series that was stable already."""
    study = study_of("abdomen-ct", tmp_path)
    house.send(study.paths)
    (archive_id,) = ids = series_ids(study.paths)
    eventually(lambda: announced_stable(house, ids) == ids)
    house.auditor.agree()
    first = house.get(f"/series/{archive_id}").json()["Instances"][0]
    house.delete(f"/instances/{first}")
    house.auditor.agree()


def test_what_comes_after_the_log_was_cleared_is_indexed(house: Followed, tmp_path: Path) -> None:
    house.delete("/changes")
    study = study_of("chest-cr", tmp_path / "one")
    house.send(study.paths)
    house.auditor.settle()
    house.walk.service.kill()
    house.send(study_of("chest-cr", tmp_path / "two").paths)
    house.delete("/changes")
    house.walk.service.start()
    house.auditor.agree()


def test_an_orthanc_restored_from_an_older_copy_is_followed(house: Followed, tmp_path: Path) -> None:
    """Its log goes back: what came after the copy is gone, and what comes now has numbers that were read."""
    orthanc = house.walk.orthanc
    orthanc.stop()
    shutil.copytree(orthanc.folder / "db", tmp_path / "copy")
    orthanc.restart()
    lost = study_of("brain-mr", tmp_path / "lost")
    house.send(lost.paths)
    house.auditor.settle()
    read = house.get("/changes?last").json()["Last"]

    orthanc.stop()
    shutil.rmtree(orthanc.folder / "db")
    shutil.copytree(tmp_path / "copy", orthanc.folder / "db")
    orthanc.restart()
    assert house.get("/changes?last").json()["Last"] < read
    came = study_of("chest-cr", tmp_path / "came")
    house.send(came.paths)
    house.auditor.agree()
    points = set(house.auditor.points())
    assert not series_ids(lost.paths) & points
    assert series_ids(came.paths) <= points


def test_our_own_answer_that_is_filed_in_the_archive_is_not_indexed(house: Followed, tmp_path: Path) -> None:
    study = study_of("spine-mr", tmp_path)
    store(study.paths, house.walk.service.dimse_port, CBIR)
    report = house.walk.workstation.next_report(ANSWER_WAIT_S)
    assert report is not None
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    house.send([tmp_path / "report.dcm"])
    house.auditor.agree()
    assert "SR" in {stored.listed.modality for stored in house.auditor.stored()}
