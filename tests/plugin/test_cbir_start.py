from __future__ import annotations

import base64
import json
import logging
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from cbir_proxy import Reply
from cbir_routes import VERSION, send
from cbir_start import MODULES, start

from tests.fakes.indexer import RecordingIndexer, eventually
from tests.fakes.orthanc_sdk import CHANGE_TYPES as CHANGES
from tests.fakes.orthanc_sdk import RESOURCE_TYPES as LEVELS
from tests.fakes.orthanc_sdk import FakeOrthanc, FakeOutput

PLUGIN = Path(__file__).parent.parent.parent / "plugin"


@pytest.fixture
def indexer() -> Iterator[RecordingIndexer]:
    with RecordingIndexer() as running:
        yield running


@pytest.fixture(autouse=True)
def _loggers_as_they_were() -> Iterator[None]:
    yield
    for name in MODULES:
        logging.getLogger(name).propagate = True
        logging.getLogger(name).handlers = []


def _orthanc(folder: Path, section: dict[str, Any]) -> FakeOrthanc:
    return FakeOrthanc({"StorageDirectory": "db", "CBIR": section}, str(folder / "orthanc.json"))


def _ask(orthanc: FakeOrthanc, uri: str, **request: object) -> FakeOutput:
    output = FakeOutput()
    (pattern, serve) = next(iter(orthanc.routes.items()))
    assert re.fullmatch(pattern, uri)
    serve(output, uri, **{"method": "GET", "headers": {}, "get": {}, **request})
    return output


def test_changes_of_series_become_hints_and_others_do_not(tmp_path: Path, indexer: RecordingIndexer) -> None:
    orthanc = _orthanc(tmp_path, {"IndexerUrl": indexer.url, "Secret": indexer.secret})
    start(orthanc)
    (change,) = orthanc.changes
    indexer.hold()  # what is not taken yet waits as one hint a series
    change(CHANGES.ORTHANC_STARTED, LEVELS.NONE, "")
    change(CHANGES.NEW_SERIES, LEVELS.SERIES, "fresh")
    change(CHANGES.NEW_CHILD_INSTANCE, LEVELS.SERIES, "fresh")
    change(CHANGES.NEW_CHILD_INSTANCE, LEVELS.STUDY, "a study")
    change(CHANGES.NEW_CHILD_INSTANCE, LEVELS.SERIES, "grown")
    change(CHANGES.DELETED, LEVELS.STUDY, "a study")
    change(CHANGES.DELETED, LEVELS.INSTANCE, "an instance")
    change(CHANGES.DELETED, LEVELS.SERIES, "gone")
    change(CHANGES.DELETED, LEVELS.SERIES, "overwritten")
    change(CHANGES.NEW_SERIES, LEVELS.SERIES, "overwritten")
    change(CHANGES.STABLE_SERIES, LEVELS.SERIES, "complete")
    indexer.released.set()
    eventually(lambda: indexer.changes("complete"))
    change(CHANGES.ORTHANC_STOPPED, LEVELS.NONE, "")
    seen = {event["orthanc_id"]: event["change"] for event in indexer.events()}
    assert seen == {
        "fresh": "new",
        "grown": "updated",
        "gone": "deleted",
        "overwritten": "updated",
        "complete": "stable",
    }


def test_what_was_not_delivered_before_the_stop_is_delivered_after_the_start(
    tmp_path: Path, indexer: RecordingIndexer
) -> None:
    section = {"IndexerUrl": indexer.url, "Secret": indexer.secret}
    indexer.stop()
    first = _orthanc(tmp_path, section)
    start(first)
    first.changes[0](CHANGES.STABLE_SERIES, LEVELS.SERIES, "a")
    first.changes[0](CHANGES.ORTHANC_STOPPED, LEVELS.NONE, "")
    indexer.start()
    second = _orthanc(tmp_path, section)
    start(second)
    eventually(lambda: indexer.changes("a") == ["stable"])
    second.changes[0](CHANGES.ORTHANC_STOPPED, LEVELS.NONE, "")


def test_a_wrong_setting_leaves_orthanc_running_and_is_named_in_its_log(tmp_path: Path) -> None:
    orthanc = _orthanc(tmp_path, {"IndexerUrl": "http://127.0.0.1:9", "Secret": "s", "Buton": True})
    start(orthanc)
    assert orthanc.changes == []
    assert [line for level, line in orthanc.log if level == "error" and "CBIR.Buton" in line]
    output = _ask(orthanc, "/cbir/")
    assert output.status == 503
    assert json.loads(output.body)["reason"] == "plugin_disabled"


def test_a_user_without_a_password_is_named_in_the_log_and_may_not_ask(
    tmp_path: Path, indexer: RecordingIndexer
) -> None:
    orthanc = _orthanc(tmp_path, {"IndexerUrl": indexer.url, "Secret": indexer.secret})
    users = {"AuthenticationEnabled": True, "RegisteredUsers": {"admin": ""}}
    orthanc.configuration = {**orthanc.configuration, **users}
    start(orthanc)
    assert [line for level, line in orthanc.log if level == "error" and "user=admin" in line]
    empty = "Basic " + base64.b64encode(b"admin:").decode()
    assert _ask(orthanc, "/cbir/api/status", headers={"authorization": empty}).status == 403
    orthanc.changes[0](CHANGES.ORTHANC_STOPPED, LEVELS.NONE, "")


def test_an_outbox_that_cannot_be_made_is_named_in_the_log(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    section = {"IndexerUrl": "http://127.0.0.1:9", "Secret": "s", "OutboxPath": "file/outbox.sqlite"}
    orthanc = _orthanc(tmp_path, section)
    start(orthanc)
    assert [line for level, line in orthanc.log if level == "error" and "CBIR.OutboxPath" in line]


@pytest.mark.parametrize("wanted", [True, False])
def test_the_button_is_there_unless_unwanted(tmp_path: Path, indexer: RecordingIndexer, wanted: bool) -> None:
    orthanc = _orthanc(tmp_path, {"IndexerUrl": indexer.url, "Secret": indexer.secret, "Button": wanted})
    start(orthanc)
    assert ("Find similar cases" in orthanc.explorer) is wanted
    orthanc.changes[0](CHANGES.ORTHANC_STOPPED, LEVELS.NONE, "")


def test_a_failure_of_ours_is_a_plain_500(tmp_path: Path, indexer: RecordingIndexer) -> None:
    orthanc = _orthanc(tmp_path, {"IndexerUrl": indexer.url, "Secret": indexer.secret})
    start(orthanc)
    output = _ask(orthanc, "/cbir/api/status", headers=None)
    assert output.status == 500
    assert b"Traceback" not in output.body
    assert _ask(orthanc, "/cbir/api/search").headers["Allow"] == "POST"
    orthanc.changes[0](CHANGES.ORTHANC_STOPPED, LEVELS.NONE, "")


def test_the_plugin_needs_the_standard_library_only_and_clashes_with_none_of_it() -> None:
    for source in PLUGIN.glob("*.py"):
        assert source.stem.startswith("cbir_")
        assert source.stem not in sys.stdlib_module_names
        text = source.read_text()
        assert text.startswith("# SPDX-License-Identifier: AGPL-3.0-or-later\n")
        for name in re.findall(r"^(?:import|from) ([\w]+)", text, re.MULTILINE):
            assert name in sys.stdlib_module_names or name.startswith("cbir_") or source.stem == "cbir_plugin"


def test_the_version_that_every_answer_carries_is_that_of_the_release() -> None:
    output = FakeOutput()
    send(output, Reply(200, "text/plain", b""), types_its_errors=True)
    assert output.headers["X-CBIR-Plugin"] == VERSION == metadata.version("pacs-cbir")
