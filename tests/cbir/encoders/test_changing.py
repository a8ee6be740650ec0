"""Another encoder for an installation that is there: filled beside, searched when it is filled, and back."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from cbir.asking import LOCAL
from cbir.command import app
from cbir.deployment import Deployment
from cbir.encoders.changing import Activation, activate, retire, roll_back, switch
from cbir.encoders.pictures import DRAWINGS
from cbir.folder_index import index_folder
from cbir.line_ups import adopt_configured, begin_line_ups, first_line_ups
from cbir.settings import Settings
from demo.families import FAMILIES, WrittenStudy, write_studies
from indexer.domain import SeriesAttributes
from indexer.errors import Rejected
from indexer.ledger import Indexed, Notice, Priority
from indexer.line_up import LineUps
from indexer.search import ExampleReference, Question
from inference.card import EncoderError
from inference.worker import now_utc
from tests.fakes.encoders import write_encoder

FEW = tuple(family for family in FAMILIES if family.name in ("chest-cr", "spine-mr"))


@pytest.fixture
def encoders_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "models"
    write_encoder(folder, "first")
    write_encoder(folder, "second", side=24)
    write_encoder(folder, "third", side=20)
    write_encoder(folder, "flat", collapsed=True)
    write_encoder(folder, "academic", commercial_use=False)
    return folder


@pytest.fixture
def studies(tmp_path: Path) -> list[WrittenStudy]:
    return list(write_studies(tmp_path / "folder", per_family=2, families=FEW))


@pytest.fixture
def settings(tmp_path: Path, encoders_dir: Path, studies: list[WrittenStudy]) -> Settings:
    assert studies
    return Settings(
        data_dir=tmp_path / "data", folder=tmp_path / "folder", encoders_dir=encoders_dir, encoder="first",
        decoders=1, lanes=1, threads=1,
    )  # fmt: skip


def indexed(deployment: Deployment) -> None:
    index_folder(deployment, Console(quiet=True), threading.Event())


def begin(deployment: Deployment) -> None:
    begin_line_ups(deployment.line_ups, deployment.registry, deployment.settings.encoder_names)


def told(deployment: Deployment, *names: str, **options: bool) -> str:
    return "\n".join(activate(deployment, Activation(names, DRAWINGS, **options)))


def answering(deployment: Deployment, study: WrittenStudy) -> str:
    """The encoder that answers, and that it finds every other study."""
    search = deployment.search(deployment.local_encoder)
    example = ExampleReference(study_instance_uid=study.study_instance_uid)
    answer = search.similar(Question(example), LOCAL)
    assert len(answer.matches) == 3
    return answer.matches[0].encoder.name


def test_from_one_encoder_to_another_and_back(settings: Settings, studies: list[WrittenStudy]) -> None:
    with Deployment(settings) as deployment:
        indexed(deployment)
        assert "second" in told(deployment, "second")
        assert answering(deployment, studies[0]) == "first"
        with pytest.raises(Rejected, match="0 of"):
            switch(deployment)
        with pytest.raises(Rejected, match="nothing to roll back"):
            roll_back(deployment)
        indexed(deployment)
        assert answering(deployment, studies[0]) == "second"
        roll_back(deployment)
        assert answering(deployment, studies[0]) == "first"
        roll_back(deployment)
        first, second = deployment.registry.card("first"), deployment.registry.card("second")
        assert "first@" in retire(deployment)
        assert answering(deployment, studies[0]) == "second"
        deployment.index.prepare(first.encoder_version)
        assert list(deployment.index.archive_ids(first.encoder_version)) == []
        assert len(list(deployment.index.archive_ids(second.encoder_version))) == sum(
            deployment.ledger.counts().values()
        )
        assert str(first.encoder_version) not in deployment.ledger.labels()
        with pytest.raises(Rejected, match="nothing to roll back"):
            roll_back(deployment)


def test_a_changed_setting_is_filled_beside_and_takes_over_by_itself(
    settings: Settings, studies: list[WrittenStudy]
) -> None:
    with Deployment(settings) as deployment:
        indexed(deployment)
    changed = settings.model_copy(update={"encoder": "second"})
    with Deployment(changed) as deployment:
        begin(deployment)
        assert answering(deployment, studies[0]) == "first"
        indexed(deployment)
        assert answering(deployment, studies[0]) == "second"
    with Deployment(changed) as deployment:
        roll_back(deployment)
        begin(deployment)
        assert answering(deployment, studies[0]) == "first"


def test_the_setting_that_did_not_change_does_not_undo_what_was_activated(settings: Settings) -> None:
    with Deployment(settings) as deployment:
        indexed(deployment)
        told(deployment, "second")
        indexed(deployment)
        before = deployment.line_ups.read()
        configured = deployment.registry.line_up(deployment.settings.encoder_names)
        adopt_configured(deployment.line_ups, configured)
        assert deployment.line_ups.read() == before


def test_who_waits_for_a_person_switches_by_hand(settings: Settings, studies: list[WrittenStudy]) -> None:
    with Deployment(settings) as deployment:
        indexed(deployment)
        told(deployment, "second", switch_when_filled=False)
        indexed(deployment)
        assert answering(deployment, studies[0]) == "first"
        switch(deployment)
        assert answering(deployment, studies[0]) == "second"


def test_vectors_that_were_lost_are_looked_for_before_a_person_switches(settings: Settings) -> None:
    with Deployment(settings) as deployment:
        indexed(deployment)
        told(deployment, "second", switch_when_filled=False)
        indexed(deployment)
        second = deployment.registry.card("second").encoder_version
        deployment.index.delete(second, list(deployment.index.archive_ids(second)))
        with pytest.raises(Rejected, match="lacks 4 series"):
            switch(deployment)
        with pytest.raises(Rejected):
            switch(deployment)
        indexed(deployment)
        assert "second@" in switch(deployment)


def test_what_another_folder_brought_is_filled_before_the_switch_too(
    settings: Settings, tmp_path: Path
) -> None:
    list(write_studies(tmp_path / "elsewhere", per_family=1, families=FEW, seed=8))
    elsewhere = settings.model_copy(update={"folder": tmp_path / "elsewhere"})
    for each in (settings, elsewhere):
        with Deployment(each) as deployment:
            indexed(deployment)
    with Deployment(settings) as deployment:
        first = deployment.encoder_version
        told(deployment, "second")
        indexed(deployment)
        assert deployment.encoder_version == first
        with pytest.raises(Rejected, match=r"Some are of folder-.*: index those archives too"):
            switch(deployment)
    with Deployment(elsewhere) as deployment:
        indexed(deployment)
        assert deployment.encoder_version.name == "second"


def test_who_searches_another_encoder_at_once_is_told_what_it_does_not_serve(
    settings: Settings, encoders_dir: Path
) -> None:
    write_encoder(encoders_dir, "for-mr", side=20, modalities=("MR",))
    with Deployment(settings) as deployment:
        indexed(deployment)
        assert "serves no CR" in told(deployment, "for-mr", at_once=True)


def test_a_retirement_that_was_interrupted_is_ended_by_repeating_it(settings: Settings) -> None:
    with Deployment(settings) as deployment:
        indexed(deployment)
        told(deployment, "second")
        indexed(deployment)
        deployment.line_ups.change(LineUps.retired)
        first = deployment.registry.card("first").encoder_version
        with pytest.raises(Rejected, match="being deleted"):
            told(deployment, "first")
        told(deployment, "third")
        assert "first@" in retire(deployment)
        assert str(first) not in deployment.ledger.labels()
        deployment.index.prepare(first)
        assert list(deployment.index.archive_ids(first)) == []
        now = deployment.line_ups.read()
        assert now.retiring == ()
        assert [version.name for version in now.only_beside] == ["third"]


def test_what_is_not_right_or_not_switched_on_is_not_activated(settings: Settings) -> None:
    with Deployment(settings) as deployment:
        begin(deployment)
        before = deployment.line_ups.read()
        with pytest.raises(EncoderError, match="flat cannot be used"):
            told(deployment, "flat")
        with pytest.raises(EncoderError, match="CBIR_NON_COMMERCIAL_ENCODERS"):
            told(deployment, "academic")
        with pytest.raises(EncoderError, match="There is no encoder"):
            told(deployment, "unheard-of")
        with pytest.raises(Rejected, match="already"):
            told(deployment, "first")
        assert deployment.line_ups.read() == before


def test_a_service_does_not_begin_without_the_encoder_that_is_searched(
    settings: Settings, encoders_dir: Path
) -> None:
    with Deployment(settings) as deployment:
        begin(deployment)
    (encoders_dir / "first").rename(encoders_dir.parent / "elsewhere")
    changed = settings.model_copy(update={"encoder": "second"})
    with Deployment(changed) as deployment:
        with pytest.raises(EncoderError, match="put it back"):
            begin(deployment)
        assert "searched from now on" in told(deployment, "second", at_once=True)
        begin(deployment)


def test_a_ledger_from_before_goes_on_with_the_encoder_that_holds_its_series(settings: Settings) -> None:
    """Nothing is remembered there but what each row says."""
    with Deployment(settings) as deployment:
        version = deployment.registry.card("first").encoder_version
        ledger = deployment.ledger
        for listed in deployment.archive.list_series():
            ledger.notice([Notice(listed.reference.archive_id, "x", Priority.CHANGED)], now_utc())
            (lease,) = ledger.lease("w", 1, 60, now_utc())
            stored = deployment.archive.series(listed.reference.archive_id)
            outcome = Indexed(
                listed.reference, SeriesAttributes("CR"), listed.revision, stored.fingerprint, str(version)
            )
            assert ledger.finish(lease, "w", outcome, now_utc())
    with Deployment(settings) as deployment:
        assert deployment.line_ups().serving.versions == (version,)
        assert deployment.line_ups().beside is None
        began = first_line_ups(deployment.registry, ["second"], deployment.ledger)
        assert began.serving.versions == (version,)
        assert began.beside is not None
        assert began.beside.versions[0].name == "second"
        assert began.switch_when_filled


def test_the_commands_say_what_they_did(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data_dir", "folder", "encoders_dir", "encoder"):
        monkeypatch.setenv(f"CBIR_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("CBIR_DECODERS", "1")
    with Deployment(settings) as deployment:
        indexed(deployment)
    run = CliRunner().invoke
    assert "takes over by itself" in run(app, ["encoders", "activate", "second"]).output
    rows = json.loads(run(app, ["encoders", "list", "--json"]).output)
    assert {row["name"]: row["role"] for row in rows if row["role"]} == {
        "first": "serving",
        "second": "beside",
    }
    status = json.loads(run(app, ["status", "--json"]).output)
    assert status["beside"]["filled"] == 0 < status["beside"]["total"]
    assert "beside second@" in run(app, ["status"]).output
    assert run(app, ["encoders", "check", "flat"]).exit_code == 1
    assert run(app, ["encoders", "check", "first"]).exit_code == 0
    assert "is retired" in run(app, ["encoders", "retire"]).output
