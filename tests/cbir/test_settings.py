"""Options are read once from the environment, and what is wrong is refused at the start."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from cbir.configuration import options
from cbir.settings import Settings, unknown_options
from indexer.ae.destinations import Destination


def test_callers_are_read_from_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_CALLERS", "WS1=10.0.0.5:104, WS2=PACS@host:11112")
    assert Settings().callers == (
        Destination("WS1", "10.0.0.5", 104, "WS1"),
        Destination("WS2", "host", 11112, "PACS"),
    )


def test_a_caller_in_another_form_is_refused_with_the_form(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_CALLERS", "WS1")
    with pytest.raises(ValidationError, match="AET=host:port"):
        Settings()


def test_a_page_that_the_network_reaches_wants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_HTTP_HOST", "0.0.0.0")  # noqa: S104 - refused, that is the test
    with pytest.raises(ValidationError, match="CBIR_API_TOKEN"):
        Settings()
    monkeypatch.setenv("CBIR_API_TOKEN", "secret")
    assert Settings().http_host == "0.0.0.0"  # noqa: S104


def test_a_worker_that_the_network_reaches_wants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_INFERENCE_HOST", "0.0.0.0")  # noqa: S104 - refused, that is the test
    with pytest.raises(ValidationError, match="CBIR_INFERENCE_TOKEN"):
        Settings()
    monkeypatch.setenv("CBIR_INFERENCE_TOKEN", "secret")
    assert Settings().inference_host == "0.0.0.0"  # noqa: S104


def test_no_worker_here_wants_one_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_WORKERS", "0")
    with pytest.raises(ValidationError, match="CBIR_INFERENCE_URL"):
        Settings()
    monkeypatch.setenv("CBIR_INFERENCE_URL", "http://worker:8091")
    assert Settings().workers == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("CBIR_HTTP_PORT", "0"), ("CBIR_LANES", "none"), ("CBIR_REFERENCES", "both"), ("CBIR_LEASE_S", "-1")],
)
def test_a_value_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError):
        Settings()


def test_a_misspelt_option_is_noticed() -> None:
    environment = {"CBIR_HTP_PORT": "1", "CBIR_HTTP_PORT": "2", "CBIR_TEST_DATA": "3", "HOME": "/"}
    assert unknown_options(environment) == ["CBIR_HTP_PORT"]


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_API_TOKEN", "hush")
    assert "hush" not in repr(Settings())


def test_every_option_says_what_it_means() -> None:
    assert all(meaning for _name, _default, meaning in options())
