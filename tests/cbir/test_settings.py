"""Options are read once from the environment, and what is wrong is refused at the start."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pytest
from pydantic import ValidationError

from cbir.configuration import options
from cbir.deployment import Deployment
from cbir.doctor.associations import examine_own_entity
from cbir.ports import free_port
from cbir.settings import Settings, unknown_options
from indexer.ae.spool import SpoolFull
from indexer.answers.example import read_instance
from indexer.destinations import Destination
from indexer.errors import Rejected
from tests.fakes.answers import instance
from tests.fakes.encoder import FakeEncoder
from tests.fakes.searcher import FakeSearcher
from tests.fakes.workstation import echo
from tests.indexer.ae.test_tls import certificate, echo_over_tls, shown


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


def test_destinations_and_links_are_read_from_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_DESTINATIONS", "ROOM2=10.0.0.6:104,")
    monkeypatch.setenv("CBIR_LINKS", "stone, Mine=https://mine.example/{study_instance_uid}")
    settings = Settings()
    assert settings.destinations == (Destination("ROOM2", "10.0.0.6", 104, "ROOM2"),)
    assert [viewer.name for viewer in settings.links] == ["Stone viewer", "Mine"]


def test_a_link_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CBIR_LINKS", "Mine=javascript:alert(1)")
    with pytest.raises(ValidationError, match="must begin with"):
        Settings()


def test_a_folder_that_should_be_deidentified_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CBIR_FOLDER", str(tmp_path))
    monkeypatch.setenv("CBIR_DEIDENTIFY", "others")
    with pytest.raises(ValidationError, match="a folder cannot de-identify"):
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


TLS_OPTIONS = ("CBIR_DIMSE_TLS_CERTIFICATE", "CBIR_DIMSE_TLS_KEY", "CBIR_DIMSE_TLS_CALLERS_CA")


@pytest.mark.parametrize("missing", TLS_OPTIONS)
def test_half_of_tls_is_refused_with_what_is_missing(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    for name in TLS_OPTIONS:
        monkeypatch.setenv(name, "" if name == missing else "some.pem")
    with pytest.raises(ValidationError, match=f"wants {missing} too"):
        Settings()


def test_the_configured_entity_takes_callers_over_tls_only(tmp_path: Path) -> None:
    certificate(tmp_path, "server")
    certificate(tmp_path, "caller")
    settings = Settings(
        data_dir=tmp_path / "data",
        dimse_port=free_port(),
        callers=(Destination.parse("WS1=localhost:104"),),
        dimse_tls_certificate=tmp_path / "server.pem",
        dimse_tls_key=tmp_path / "server.key",
        dimse_tls_callers_ca=tmp_path / "caller.pem",
    )
    deployment = Deployment(settings)
    entity = deployment.dimse.application_entity(deployment.dimse.questions(FakeSearcher(), FakeEncoder()))  # type: ignore[arg-type]
    entity.start()
    try:
        assert echo_over_tls(entity.port, tmp_path, *shown(tmp_path, "caller"))
        assert echo(entity.port).returncode != 0
        assert examine_own_entity(settings, serving=True).level == "ok"
    finally:
        entity.stop()
    assert examine_own_entity(settings, serving=True).level == "problem"


def test_tls_files_that_cannot_be_used_are_refused_by_the_names_of_their_options(tmp_path: Path) -> None:
    absent = tmp_path / "absent.pem"
    settings = Settings(dimse_tls_certificate=absent, dimse_tls_key=absent, dimse_tls_callers_ca=absent)
    deployment = Deployment(settings)
    questions = deployment.dimse.questions(FakeSearcher(), FakeEncoder())  # type: ignore[arg-type]
    with pytest.raises(Rejected, match=r"CBIR_DIMSE_TLS_KEY.*No such file"):
        deployment.dimse.application_entity(questions)


def test_the_room_for_questions_is_what_was_configured(tmp_path: Path) -> None:
    deployment = Deployment(Settings(data_dir=tmp_path, max_spool_bytes=10))
    questions = deployment.dimse.questions(FakeSearcher(), FakeEncoder())  # type: ignore[arg-type]
    content = BytesIO()
    instance("asked").save_as(content, enforce_file_format=True)
    example = read_instance(BytesIO(content.getvalue()))
    questions.start()
    try:
        with pytest.raises(SpoolFull, match="quota"):
            questions.receive("a", Destination.parse("WS1=localhost:104"), example, content.getvalue())
    finally:
        questions.stop()


def test_options_are_read_without_the_web_and_without_dicom() -> None:
    """Every command reads them first."""
    code = "import sys, cbir.settings; print(*{'fastapi', 'starlette', 'pydicom', 'PIL'} & set(sys.modules))"
    read = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert read.stdout.split() == []
