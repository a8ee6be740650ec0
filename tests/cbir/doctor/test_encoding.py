"""What the doctor says of an encoder that is damaged, and of one that computes otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cbir.doctor.encoding import examine_encoding
from cbir.settings import Settings
from tests.cbir.doctor.findings import by_check, levels

MODELS = Path(__file__).parents[3] / "models"


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A copy of the encoder that may be damaged."""
    shutil.copytree(MODELS, tmp_path / "models")
    return tmp_path / "models"


def test_the_encoder_that_ships_is_right(models: Path) -> None:
    found = levels(examine_encoding(Settings(encoders_dir=models)))
    assert found == {"runtime": "ok", "encoder": "ok", "provider": "ok", "decoders": "ok"}


def test_a_damaged_file_is_told_by_its_hash(models: Path) -> None:
    file = models / Settings().encoder / "encoder.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")
    found = by_check(examine_encoding(Settings(encoders_dir=models)))
    assert found["encoder"].level == "problem"
    assert "SHA-256" in found["encoder"].advice
    assert found["decoders"].level == "ok"


def test_a_model_that_computes_otherwise_is_told_by_its_parity_vector(models: Path) -> None:
    card = models / Settings().encoder / "card.json"
    said = json.loads(card.read_text())
    said["parity"]["checksum"] += 1.0
    card.write_text(json.dumps(said))
    found = by_check(examine_encoding(Settings(encoders_dir=models)))
    assert found["encoder"].level == "problem"
    assert "reference input" in found["encoder"].advice


def test_an_encoder_that_is_missing_and_a_provider_that_is_not_there_are_problems(models: Path) -> None:
    missing = by_check(examine_encoding(Settings(encoders_dir=models, encoder="no-such")))
    assert missing["encoder"].level == "problem"
    provider = by_check(
        examine_encoding(Settings(encoders_dir=models, providers=("NoSuchExecutionProvider",)))
    )
    assert "CBIR_PROVIDERS" in provider["encoder"].advice
