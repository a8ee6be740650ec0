from __future__ import annotations

import itertools
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cbir_delivery import Delivery, Pace
from cbir_indexer import Indexer
from cbir_outbox import DELETED, NEW, STABLE, Outbox

from tests.fakes.indexer import Canned, Received, RecordingIndexer, accept_events, eventually

QUICK = Pace(
    batch=4, gather_s=0.01, timeout_s=60, first_wait_s=0.02, longest_wait_s=0.1, wrong_secret_wait_s=0.1
)

STOP_LIMIT_S = 60.0


@pytest.fixture
def indexer() -> Iterator[RecordingIndexer]:
    with RecordingIndexer() as running:
        yield running


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    opened = Outbox(tmp_path / "outbox.sqlite", limit=1000)
    yield opened
    opened.close()


def _delivery(outbox: Outbox, indexer: RecordingIndexer, secret: str | None = None) -> Delivery:
    return Delivery(outbox, Indexer(indexer.url, secret or indexer.secret, 2**20), QUICK)


def test_what_waits_is_delivered_with_the_secret_and_then_forgotten(
    outbox: Outbox, indexer: RecordingIndexer
) -> None:
    outbox.record(NEW, "a")
    delivery = _delivery(outbox, indexer)
    delivery.start()
    eventually(lambda: outbox.waiting() == 0)
    outbox.record(DELETED, "b")
    delivery.wake()
    eventually(lambda: outbox.waiting() == 0)
    assert delivery.stop(STOP_LIMIT_S)
    assert [(e["orthanc_id"], e["change"]) for e in indexer.events()] == [("a", NEW), ("b", DELETED)]
    first = indexer.posts()[0]
    assert first.headers["x-cbir-secret"] == indexer.secret
    assert first.headers["accept-encoding"] == "identity"
    assert set(json.loads(first.body)["events"][0]) == {"sequence", "change", "orthanc_id", "observed_at"}


def test_nothing_is_lost_while_the_indexer_is_away(outbox: Outbox, indexer: RecordingIndexer) -> None:
    delivery = _delivery(outbox, indexer)
    delivery.start()
    indexer.stop()
    for number in range(10):
        outbox.record(NEW, f"s{number}")
        delivery.wake()
        time.sleep(0.02)
    assert outbox.waiting() == 10
    indexer.start()
    eventually(lambda: outbox.waiting() == 0)
    assert delivery.stop(STOP_LIMIT_S)
    assert {event["orthanc_id"] for event in indexer.events()} == {f"s{number}" for number in range(10)}


def test_an_outbox_left_by_an_earlier_run_is_delivered_at_once(
    tmp_path: Path, indexer: RecordingIndexer
) -> None:
    left = Outbox(tmp_path / "left.sqlite", limit=10)
    left.record(STABLE, "a")
    left.close()
    found = Outbox(tmp_path / "left.sqlite", limit=10)
    delivery = _delivery(found, indexer)
    delivery.start()
    eventually(lambda: indexer.changes("a") == [STABLE])
    assert delivery.stop(STOP_LIMIT_S)
    found.close()


def test_an_answer_that_got_lost_means_a_second_delivery(outbox: Outbox, indexer: RecordingIndexer) -> None:
    answers = iter([Canned(500), Canned(body=b"<html>another server</html>"), Canned(302)])
    indexer.on_events = lambda request: next(answers, None) or accept_events(request)
    outbox.record(NEW, "a")
    delivery = _delivery(outbox, indexer)
    delivery.start()
    eventually(lambda: outbox.waiting() == 0)
    assert delivery.stop(STOP_LIMIT_S)
    assert indexer.changes("a") == [NEW] * 4


@pytest.mark.parametrize("status", [400, 422])
def test_the_one_hint_that_is_refused_for_good_is_buried_and_holds_up_no_other(
    outbox: Outbox, indexer: RecordingIndexer, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    def refuse_one(request: Received) -> Canned:
        return Canned(status) if b'"poison"' in request.body else accept_events(request)

    indexer.on_events = refuse_one
    for name in ("a", "b", "poison", "c", "d"):
        outbox.record(NEW, name)
    delivery = _delivery(outbox, indexer)
    with caplog.at_level(logging.ERROR):
        delivery.start()
        eventually(lambda: outbox.waiting() == 0)
        assert delivery.stop(STOP_LIMIT_S)
    assert outbox.buried() == 1
    assert f"event_buried orthanc_id=poison status={status} buried=1" in caplog.text
    assert all(indexer.changes(name) for name in "abcd")


def test_a_wrong_secret_keeps_everything_and_names_the_setting(
    outbox: Outbox, indexer: RecordingIndexer, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.record(NEW, "a")
    delivery = _delivery(outbox, indexer, secret="another")
    with caplog.at_level(logging.ERROR):
        delivery.start()
        eventually(lambda: len(indexer.received) >= 2)
        assert outbox.waiting() == 1
        indexer.secret = "another"
        eventually(lambda: outbox.waiting() == 0)
        assert delivery.stop(STOP_LIMIT_S)
    assert "CBIR.Secret" in caplog.text
    assert "another" not in caplog.text


def test_it_knocks_more_and_more_slowly_and_new_hints_do_not_hurry_it(
    outbox: Outbox, indexer: RecordingIndexer
) -> None:
    times: list[float] = []

    def refuse(_: Received) -> Canned:
        times.append(time.monotonic())
        return Canned(503)

    indexer.on_events = refuse
    pace = Pace(batch=4, gather_s=0.01, timeout_s=60, first_wait_s=0.05, longest_wait_s=0.4)
    delivery = Delivery(outbox, Indexer(indexer.url, indexer.secret, 2**20), pace)
    delivery.start()
    while len(times) < 5:
        outbox.record(NEW, "a")
        delivery.wake()
        time.sleep(0.005)
    assert delivery.stop(STOP_LIMIT_S)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    for gap, least in zip(gaps, (0.025, 0.05, 0.1, 0.2), strict=False):
        assert gap >= least


def test_an_answer_that_never_comes_is_given_up_and_asked_again(
    outbox: Outbox, indexer: RecordingIndexer
) -> None:
    indexer.hold()
    outbox.record(NEW, "a")
    pace = Pace(gather_s=0.01, timeout_s=0.2, first_wait_s=0.02, longest_wait_s=0.05)
    delivery = Delivery(outbox, Indexer(indexer.url, indexer.secret, 2**20), pace)
    delivery.start()
    eventually(lambda: len(indexer.received) >= 2)
    assert outbox.waiting() == 1
    indexer.released.set()
    eventually(lambda: outbox.waiting() == 0)
    assert delivery.stop(STOP_LIMIT_S)


def test_it_stops_at_once_while_it_waits_to_try_again(outbox: Outbox, indexer: RecordingIndexer) -> None:
    indexer.on_events = lambda _: Canned(503)
    outbox.record(NEW, "a")
    pace = Pace(gather_s=0.01, first_wait_s=60, longest_wait_s=60)
    delivery = Delivery(outbox, Indexer(indexer.url, indexer.secret, 2**20), pace)
    delivery.start()
    eventually(lambda: indexer.received)
    started = time.monotonic()
    assert delivery.stop(STOP_LIMIT_S)
    assert time.monotonic() - started < 30
    assert outbox.waiting() == 1


def test_it_stops_at_once_while_the_indexer_hangs(outbox: Outbox, indexer: RecordingIndexer) -> None:
    indexer.hold()
    outbox.record(NEW, "a")
    delivery = Delivery(
        outbox, Indexer(indexer.url, indexer.secret, 2**20), Pace(gather_s=0.01, timeout_s=60)
    )
    delivery.start()
    eventually(lambda: indexer.received)
    started = time.monotonic()
    assert delivery.stop(STOP_LIMIT_S)
    assert time.monotonic() - started < 30
    assert outbox.waiting() == 1


def test_the_environment_cannot_send_it_through_a_proxy(
    outbox: Outbox, indexer: RecordingIndexer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    outbox.record(NEW, "a")
    delivery = _delivery(outbox, indexer)
    delivery.start()
    eventually(lambda: outbox.waiting() == 0)
    assert delivery.stop(STOP_LIMIT_S)
