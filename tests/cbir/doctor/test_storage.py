"""What the doctor says of what is kept."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from cbir.deployment import Deployment
from cbir.doctor.storage import (
    DiskLimits,
    examine_data_directory,
    examine_ledger,
    examine_line_ups,
    examine_vectors,
)
from cbir.ports import free_port
from cbir.settings import Settings
from indexer.ledger import Ledger
from indexer.patients import load_key
from tests.cbir.doctor.findings import by_check, levels
from tests.fakes.encoders import write_encoder

MODELS = Path(__file__).parents[3] / "models"
SMALL = DiskLimits(little_bytes=2, too_little_bytes=1)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", encoders_dir=MODELS, folder=tmp_path)


@pytest.fixture
def data_dir(settings: Settings) -> Path:
    settings.data_dir.mkdir(mode=0o700)
    load_key(settings.data_dir)
    return settings.data_dir


def test_a_place_where_nothing_is_yet_is_a_warning_and_stays_so(settings: Settings) -> None:
    assert levels(examine_data_directory(settings, SMALL)) == {"data_directory": "warning"}
    assert examine_ledger(settings).level == "warning"
    assert levels(examine_vectors(settings)) == {"vector_index": "warning"}
    assert not settings.data_dir.exists()


@pytest.mark.usefixtures("data_dir")
def test_a_data_directory_as_we_make_it_is_right(settings: Settings) -> None:
    found = levels(examine_data_directory(settings, SMALL))
    assert found == {"data_directory": "ok", "keys": "ok", "disk": "ok"}


def test_a_directory_or_key_that_others_may_read_is_named(settings: Settings, data_dir: Path) -> None:
    data_dir.chmod(0o755)
    (data_dir / "patient.key").chmod(0o644)
    found = by_check(examine_data_directory(settings, SMALL))
    assert found["data_directory"].advice == f"chmod 700 {data_dir}"
    assert found["keys"].level == "problem"
    assert "patient.key" in found["keys"].advice


@pytest.mark.usefixtures("data_dir")
@pytest.mark.parametrize(
    ("limits", "level"),
    [(SMALL, "ok"), (DiskLimits(2**60, 1), "warning"), (DiskLimits(2**60, 2**60), "problem")],
)
def test_a_disk_that_fills_up_is_noticed(settings: Settings, limits: DiskLimits, level: str) -> None:
    assert by_check(examine_data_directory(settings, limits))["disk"].level == level


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_that_cannot_be_written_is_a_problem(settings: Settings, data_dir: Path) -> None:
    data_dir.chmod(0o500)
    assert by_check(examine_data_directory(settings, SMALL))["data_directory"].level == "problem"


def test_a_ledger_of_this_program_is_right(settings: Settings) -> None:
    Ledger.open(settings.resolved_database_url).close()
    assert examine_ledger(settings).level == "ok"


def test_a_ledger_of_a_newer_or_older_program_is_named_and_left_alone(settings: Settings) -> None:
    Ledger.open(settings.resolved_database_url).close()
    _set_schema(settings, "9999")
    assert examine_ledger(settings).level == "problem"
    _set_schema(settings, None)
    before = (settings.data_dir / "ledger.sqlite").read_bytes()
    assert examine_ledger(settings).level == "warning"
    assert (settings.data_dir / "ledger.sqlite").read_bytes() == before


def test_a_damaged_ledger_and_an_absent_database_are_problems(settings: Settings, data_dir: Path) -> None:
    (data_dir / "ledger.sqlite").write_bytes(b"This is no database." * 500)
    assert examine_ledger(settings).level == "problem"
    absent = settings.model_copy(update={"database_url": f"postgresql://u:p@127.0.0.1:{free_port()}/cbir"})
    absent.__dict__.pop("resolved_database_url", None)
    refused = examine_ledger(absent)
    assert refused.level == "problem"
    assert "u:p" not in refused.advice


def test_an_engine_that_does_not_run_is_started_looked_at_and_stopped(settings: Settings) -> None:
    with Deployment(settings) as deployment:
        deployment.index  # noqa: B018 - makes the collection
    assert levels(examine_vectors(settings)) == {"vector_index": "ok", "vectors": "ok"}
    assert not (settings.data_dir / "engine" / "engine.json").exists() or not _engine_answers(settings)


def test_vectors_of_another_encoder_are_not_those_of_this_one(settings: Settings) -> None:
    (settings.data_dir / "engine").mkdir(parents=True)
    assert levels(examine_vectors(settings)) == {"vector_index": "ok", "vectors": "warning"}


def test_a_qdrant_server_that_is_not_there_is_a_problem(settings: Settings) -> None:
    absent = settings.model_copy(update={"qdrant_url": f"http://127.0.0.1:{free_port()}"})
    found = by_check(examine_vectors(absent))
    assert found["vector_index"].level == "problem"
    assert "CBIR_QDRANT_URL" in found["vector_index"].advice


def _set_schema(settings: Settings, version: str | None) -> None:
    engine = create_engine(settings.resolved_database_url)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
        if version is not None:
            connection.execute(text("INSERT INTO alembic_version VALUES (:v)"), {"v": version})
    engine.dispose()


def _engine_answers(settings: Settings) -> bool:

    said = json.loads((settings.data_dir / "engine" / "engine.json").read_text())
    try:
        httpx.get(f"http://{said['host']}:{said['port']}/", timeout=2, trust_env=False)
    except httpx.HTTPError:
        return False
    return True


def test_an_encoder_that_is_searched_and_not_at_hand_is_a_problem(tmp_path: Path) -> None:
    encoders_dir = tmp_path / "models"
    write_encoder(encoders_dir, "searched")
    write_encoder(encoders_dir, "filled", side=24)
    settings = Settings(data_dir=tmp_path / "data", encoders_dir=encoders_dir, encoder="searched")
    assert list(examine_line_ups(settings)) == []
    with Deployment(settings) as deployment:
        beside = deployment.registry.line_up(["filled"])
        deployment.line_ups.change(lambda now: now.activated(beside, switch_when_filled=True))
    assert [finding.level for finding in examine_line_ups(settings)] == ["ok", "ok"]
    for name in ("searched", "filled"):
        (encoders_dir / name).rename(tmp_path / name)
    assert [finding.level for finding in examine_line_ups(settings)] == ["problem", "warning"]
