"""The API says whether it is well, what it did, and what it is."""

from __future__ import annotations

import json

import httpx
import pytest

from indexer.errors import LedgerUnavailable
from indexer.ledger import Ledger
from tests.fakes.house import Furnished, by_series
from tests.indexer.api.asking import about, asked, problem
from tests.indexer.conftest import Studies


def test_ready_names_the_neighbour_that_does_not_answer(
    house: Furnished, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked(house) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        house.archive.unavailable = True
        document = problem(client.get("/readyz"), 503)
        assert "archive" in document["detail"]
        assert document["neighbours"]["ledger"] == "answers"
        house.archive.unavailable, house.index.unavailable = False, True
        assert "vector_index" in problem(client.get("/readyz"), 503)["detail"]
        house.index.unavailable = False
        monkeypatch.setattr(Ledger, "counts", _silent)
        assert "ledger" in problem(client.get("/readyz"), 503)["detail"]
        assert client.get("/healthz").status_code == 200


def _silent(self: Ledger) -> None:
    raise LedgerUnavailable("The ledger is switched off by the test.")


def test_metrics_count_series_and_questions(
    client: httpx.Client, studies: Studies, monkeypatch: pytest.MonkeyPatch
) -> None:
    client.post("/api/search", json=about(studies.old("chest-cr")[0]))
    client.post("/api/search", json={"example": {"study_instance_uid": "1.2.3"}})
    text = client.get("/metrics").text
    indexed = sum(len(by_series(study)) for study in studies.indexed)
    assert f'cbir_series{{state="indexed"}} {float(indexed)}' in text
    assert 'cbir_questions_total{outcome="answered",way="reference"} 1.0' in text
    assert 'cbir_questions_total{outcome="not_found",way="reference"} 1.0' in text
    assert 'cbir_question_seconds_count{way="reference"} 2.0' in text
    assert "cbir_lag_seconds" in text
    monkeypatch.setattr(Ledger, "counts", _silent)
    assert "cbir_ledger_up 0.0" in client.get("/metrics").text


def test_the_api_describes_itself_without_asking_anybody_else(client: httpx.Client) -> None:
    described = client.get("/openapi.json").json()
    assert {"/api/search", "/api/search/upload", "/api/status", "/readyz"} <= described["paths"].keys()
    upload = described["paths"]["/api/search/upload"]["post"]["requestBody"]["content"]
    assert {"application/dicom", "application/zip", "multipart/related", "multipart/form-data"} == set(upload)
    assert "http://" not in client.get("/docs").text.replace("http://www.w3.org", "")
    assert "https://" not in client.get("/docs").text
    assert json.dumps(described).count("QuestionBody") > 0
