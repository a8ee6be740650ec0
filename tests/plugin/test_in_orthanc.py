from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from demo.orthanc import LocalOrthanc
from tests.conftest import StartOrthanc
from tests.fakes.indexer import RecordingIndexer, eventually
from tests.fakes.studies import SENDER, send, small_series

pytestmark = pytest.mark.orthanc

MODALITIES = {SENDER: ("127.0.0.1", 104)}
STABLE_AGE_S = 4
"""Longer than a busy machine takes to deliver a hint: one that still waits gives way to "stable"."""


@pytest.fixture
def indexer() -> Iterator[RecordingIndexer]:
    with RecordingIndexer() as running:
        yield running


@pytest.fixture
def orthanc(start_orthanc: StartOrthanc, indexer: RecordingIndexer) -> LocalOrthanc:
    return start_orthanc(
        indexer_url=indexer.url, secret=indexer.secret, modalities=MODALITIES, stable_age_s=STABLE_AGE_S
    )


@pytest.fixture
def client(orthanc: LocalOrthanc) -> Iterator[httpx.Client]:
    with orthanc.client() as opened:
        yield opened


def test_a_series_is_announced_when_it_comes_when_it_is_stable_and_when_it_goes(
    orthanc: LocalOrthanc, client: httpx.Client, indexer: RecordingIndexer
) -> None:
    series = small_series(3)
    assert send(orthanc, series.instances) == [0, 0, 0]
    eventually(lambda: "new" in indexer.changes(series.orthanc_id))
    eventually(lambda: "stable" in indexer.changes(series.orthanc_id))
    client.delete(f"/series/{series.orthanc_id}").raise_for_status()
    eventually(lambda: indexer.changes(series.orthanc_id)[-1] == "deleted")
    assert {event["orthanc_id"] for event in indexer.events()} == {series.orthanc_id}


def test_a_series_that_grows_is_announced_again(orthanc: LocalOrthanc, indexer: RecordingIndexer) -> None:
    series = small_series(2)
    send(orthanc, series.instances[:1])
    eventually(lambda: "stable" in indexer.changes(series.orthanc_id))
    send(orthanc, series.instances[1:])
    eventually(lambda: "updated" in indexer.changes(series.orthanc_id))


def test_an_overwritten_series_is_announced_and_not_as_gone(
    start_orthanc: StartOrthanc, indexer: RecordingIndexer
) -> None:
    orthanc = start_orthanc(
        indexer_url=indexer.url,
        secret=indexer.secret,
        modalities=MODALITIES,
        overwrite_instances=True,
        stable_age_s=1,
    )
    series = small_series(1)
    send(orthanc, series.instances)
    eventually(lambda: "stable" in indexer.changes(series.orthanc_id))
    before = len(indexer.changes(series.orthanc_id))
    send(orthanc, series.instances)
    eventually(lambda: len(indexer.changes(series.orthanc_id)) > before)
    eventually(lambda: indexer.changes(series.orthanc_id)[-1] != "deleted")


def test_what_came_while_the_indexer_was_down_is_delivered_when_it_is_up(
    orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    indexer.stop()
    arrived = [small_series(2) for _ in range(3)]
    for series in arrived:
        assert send(orthanc, series.instances) == [0, 0]
    eventually(lambda: "delivery_delayed" in orthanc.log())
    indexer.start()
    for series in arrived:
        eventually(lambda series=series: indexer.changes(series.orthanc_id))  # type: ignore[misc]


def test_hints_survive_the_death_of_orthanc(orthanc: LocalOrthanc, indexer: RecordingIndexer) -> None:
    indexer.stop()
    series = small_series(2)
    send(orthanc, series.instances)
    eventually(lambda: "delivery_delayed" in orthanc.log())
    orthanc.kill()
    indexer.start()
    assert indexer.events() == []
    orthanc.restart()
    eventually(lambda: indexer.changes(series.orthanc_id))


def test_storing_does_not_wait_for_an_indexer_that_hangs(
    orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    send(orthanc, small_series(1).instances)
    eventually(indexer.posts)
    indexer.hold()
    first = small_series(1)
    send(orthanc, first.instances)
    eventually(lambda: first.orthanc_id in str(indexer.posts()[-1].body))
    started = time.monotonic()
    assert send(orthanc, small_series(30).instances) == [0] * 30
    took_s = time.monotonic() - started
    assert not indexer.released.is_set()
    assert took_s < 40


def test_orthanc_ends_in_good_order_while_the_indexer_hangs(
    orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    indexer.hold()
    send(orthanc, small_series(1).instances)
    eventually(indexer.posts)
    started = time.monotonic()
    orthanc.stop()
    assert time.monotonic() - started < 40
    # Not "Orthanc has stopped": Python plugin 7.1 crashes after this line, with any change callback,
    # where a resource was not stable yet.
    assert "Python plugin is finalizing" in orthanc.log()
    assert "delivery_failed" not in orthanc.log()


def test_a_wrong_setting_leaves_the_archive_at_work(start_orthanc: StartOrthanc) -> None:
    orthanc = start_orthanc(
        indexer_url="http://127.0.0.1:9", secret="s", modalities=MODALITIES, extra={"CBIR": {"Buton": True}}
    )
    assert send(orthanc, small_series(1).instances) == [0]
    with orthanc.client() as client:
        assert client.get("/cbir/").json()["reason"] == "plugin_disabled"
    assert re.search(r"E.*CBIR\.Buton is not a setting", orthanc.log())


def test_a_damaged_outbox_is_begun_anew_while_the_archive_works(
    orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    orthanc.stop()
    outbox = next(Path(orthanc.folder).rglob("cbir-outbox.sqlite"))
    outbox.write_bytes(b"not a database" * 1000)
    orthanc.restart()
    series = small_series(1)
    send(orthanc, series.instances)
    eventually(lambda: indexer.changes(series.orthanc_id))
    assert "outbox_damaged" in orthanc.log()


def test_nothing_of_a_patient_is_in_the_outbox_or_the_hints(
    orthanc: LocalOrthanc, indexer: RecordingIndexer
) -> None:
    indexer.stop()
    send(orthanc, small_series(1).instances)
    eventually(lambda: "delivery_delayed" in orthanc.log())
    outbox = next(Path(orthanc.folder).rglob("cbir-outbox.sqlite"))
    kept = b"".join(part.read_bytes() for part in outbox.parent.glob(outbox.name + "*"))
    assert b"Test^Test" not in kept
    indexer.start()
    eventually(indexer.events)
    assert all(set(e) == {"sequence", "change", "orthanc_id", "observed_at"} for e in indexer.events())
