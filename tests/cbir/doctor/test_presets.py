"""What the doctor says of our further AE titles: a real entity that has them, or runs with others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from cbir.deployment import Deployment
from cbir.doctor.presets import examine_presets
from cbir.ports import free_port
from cbir.presets import parse_presets
from cbir.settings import Settings
from indexer.destinations import Destination
from tests.cbir.doctor.findings import by_check, levels
from tests.fakes.encoder import FakeEncoder
from tests.fakes.encoders import write_encoder
from tests.fakes.searcher import FakeSearcher
from tests.fakes.text_tower import add_text_tower

MODELS = Path(__file__).parents[3] / "models"


def settings_with(folder: Path, presets: str, port: int = 0, encoders_dir: Path = MODELS) -> Settings:
    return Settings(
        data_dir=folder / "data",
        encoders_dir=encoders_dir,
        dimse_port=port or free_port(),
        callers=(Destination.parse("WS1=localhost:104"),),
        ae_presets=parse_presets(presets),
    )


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """The application entity as it is configured."""
    deployment = Deployment(settings)
    entity = deployment.dimse.application_entity(deployment.dimse.questions(FakeSearcher(), FakeEncoder()))  # type: ignore[arg-type]
    entity.start()
    try:
        yield
    finally:
        entity.stop()


def test_each_title_is_told_with_what_it_asks(tmp_path: Path) -> None:
    settings = settings_with(
        tmp_path,
        "CBIR_CT?modality=CT&modality=PT&study_date_from=2020-01-01&limit=3 CBIR_VARIED?diversity=0.5",
    )
    with serving(settings):
        found = by_check(examine_presets(settings, serving=True))
    assert {check: finding.level.value for check, finding in found.items()} == {
        "preset_CBIR_CT": "ok",
        "preset_CBIR_VARIED": "ok",
    }
    assert "modality CT or PT" in found["preset_CBIR_CT"].found
    assert "from 2020-01-01" in found["preset_CBIR_CT"].found
    assert "at most: 3" in found["preset_CBIR_CT"].found
    assert "diversity 0.5" in found["preset_CBIR_VARIED"].found


def test_a_service_that_runs_with_other_presets_is_to_be_started_again(tmp_path: Path) -> None:
    running = settings_with(tmp_path, "CBIR_CT?modality=CT")
    settings = settings_with(tmp_path, "CBIR_CT?modality=CT CBIR_MR?modality=MR", running.dimse_port)
    with serving(running):
        found = by_check(examine_presets(settings, serving=True))
    assert found["preset_CBIR_CT"].level == "ok"
    assert found["preset_CBIR_MR"].level == "problem"
    assert "CBIR_AE_PRESETS" in found["preset_CBIR_MR"].advice


def test_words_that_no_encoder_reads_are_a_warning(tmp_path: Path) -> None:
    settings = settings_with(tmp_path, "A?text=effusion B?reads_reports=true C?text_weight=0.2&limit=2")
    assert levels(examine_presets(settings, serving=False)) == {
        "preset_A": "warning",
        "preset_B": "warning",
        "preset_C": "ok",
    }


def test_it_is_said_that_a_report_with_words_is_refused_too_and_not_left_out(tmp_path: Path) -> None:
    [finding] = examine_presets(settings_with(tmp_path, "B?reads_reports=true"), serving=False)
    assert "a report with words, is refused" in finding.found
    assert "left out" not in finding.found


def test_words_are_right_where_an_encoder_reads(tmp_path: Path) -> None:
    folder = write_encoder(tmp_path / "models", "radiology-small", side=4)
    add_text_tower(folder, {"effusion": np.ones(16, dtype=np.float32)})
    settings = settings_with(tmp_path, "A?text=effusion", encoders_dir=tmp_path / "models")
    [finding] = examine_presets(settings, serving=False)
    assert finding.level == "ok"
    assert "effusion" not in finding.found


def test_without_presets_nothing_is_said(tmp_path: Path) -> None:
    assert list(examine_presets(settings_with(tmp_path, ""), serving=True)) == []
