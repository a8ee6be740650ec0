"""What the doctor says of servers that are not quite the Orthanc we need."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from typing import Any

import pytest
from pydantic import HttpUrl

from cbir.doctor.finding import Finding
from cbir.doctor.orthanc import examine_orthanc
from cbir.ports import free_port
from cbir.settings import Settings
from tests.cbir.doctor.findings import by_check

SYSTEM = {"Version": "1.12.11", "DicomAet": "ORTHANC"}
Answers = dict[str, tuple[int, Any, dict[str, str]]]


def right(**system: object) -> Answers:
    """What a right Orthanc would say."""
    whole = {**SYSTEM, "DicomPort": free_port(), **system}
    return {
        "/system": (200, whole, {}),
        "/modalities": (200, {"cbir": {"AET": "CBIR", "Host": "127.0.0.1", "Port": 11112}}, {}),
        "/cbir/api/status": (200, {"series": {}}, {"X-CBIR-Plugin": metadata.version("pacs-cbir")}),
    }


@contextmanager
def server(answers: Answers, *, date: datetime | None = None) -> Iterator[HttpUrl]:
    """An HTTP server that says what the test wants, and what time it is there."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            status, body, headers = answers.get(path, (404, {}, {}))
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response_only(status)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.send_header("Date", format_datetime(date or datetime.now(UTC), usegmt=True))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        thread = threading.Thread(target=http.serve_forever, daemon=True)
        thread.start()
        yield HttpUrl(f"http://127.0.0.1:{http.server_address[1]}")
        http.shutdown()
        thread.join()


def found(answers: Answers, *, date: datetime | None = None, serving: bool = True) -> dict[str, Finding]:
    with server(answers, date=date) as url:
        return by_check(examine_orthanc(Settings(orthanc_url=url), serving=serving))


def test_a_server_that_is_no_orthanc_is_called_so() -> None:
    findings = found({"/system": (200, b"<html>Hello</html>", {})})
    assert {check: f.level.value for check, f in findings.items()} == {"orthanc": "problem"}
    assert "no Orthanc" in findings["orthanc"].found


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_account_names_the_settings(status: int) -> None:
    findings = found({"/system": (status, {}, {})})
    assert "CBIR_ORTHANC_PASSWORD" in findings["orthanc"].advice


def test_nothing_listening_is_a_problem() -> None:
    url = HttpUrl(f"http://127.0.0.1:{free_port()}")
    findings = by_check(examine_orthanc(Settings(orthanc_url=url), serving=True))
    assert findings["orthanc"].level == "problem"
    assert "does not answer" in findings["orthanc"].found


@pytest.mark.parametrize(
    ("version", "level"),
    [("1.10.1", "warning"), ("1.12.10", "warning"), ("1.12.11", "ok"), ("1.13.0", "ok"), ("mainline", "ok")],
)
def test_versions_with_known_holes_are_warned_of(version: str, level: str) -> None:
    assert found(right(Version=version))["orthanc_version"].level == level


@pytest.mark.parametrize(("skew_s", "level"), [(0, "ok"), (-10, "ok"), (300, "warning"), (-300, "warning")])
def test_a_clock_that_goes_wrong_is_noticed_by_its_date_header(skew_s: int, level: str) -> None:
    clock = found(right(), date=datetime.now(UTC) + timedelta(seconds=skew_s))["clock"]
    assert clock.level == level
    assert ("NTP" in clock.advice) == (level == "warning")


@pytest.mark.parametrize(
    ("status", "title", "serving", "level", "word"),
    [
        (404, "Unknown", True, "problem", "PythonScript"),
        (502, "Indexer refused the plugin", True, "problem", "CBIR_PLUGIN_SECRET"),
        (503, "Plugin disabled", True, "problem", "CBIR"),
        (503, "Indexer unavailable", True, "problem", "CBIR.IndexerUrl"),
        (503, "Indexer unavailable", False, "warning", "Start it"),
        (500, "Internal error", True, "problem", "log"),
    ],
)
def test_each_way_in_which_the_plugin_may_fail_has_its_advice(
    status: int, title: str, serving: bool, level: str, word: str
) -> None:
    plugin = found({**right(), "/cbir/api/status": (status, {"title": title}, {})}, serving=serving)["plugin"]
    assert plugin.level == level
    assert word in plugin.advice


def test_a_plugin_of_another_release_is_warned_of() -> None:
    answers = {**right(), "/cbir/api/status": (200, {}, {"X-CBIR-Plugin": "0.0.7"})}
    plugin = found(answers)["plugin"]
    assert plugin.level == "warning"
    assert "0.0.7" in plugin.found


def test_an_orthanc_that_does_not_know_us_is_warned_of_both_ways() -> None:
    findings = found({**right(), "/modalities": (200, {"ct1": ["CT1", "10.0.0.1", 104]}, {})})
    assert findings["echo_from_orthanc"].level == "warning"
    assert "DicomModalities" in findings["echo_from_orthanc"].advice
    assert findings["echo_to_orthanc"].level == "warning"


def test_an_old_entry_of_a_modality_is_understood() -> None:
    answers = {**right(), "/modalities": (200, {"cbir": ["CBIR", "127.0.0.1", 11112]}, {})}
    assert "CBIR_CALLERS" in found(answers)["echo_from_orthanc"].found
