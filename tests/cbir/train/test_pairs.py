"""The command `cbir train pairs` on a folder of DICOM files."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cbir.train import app
from evaluation.benchmark import Benchmark
from indexer.errors import Rejected
from tests.training.pairs.studies import SENTENCES, write_archive

OPTIONS = [
    *("--clusters", "4", "--side", "32", "--steps", "120", "--neighbours", "5", "--max-frames", "16"),
    *("--threads", "1", "--modality", "US"),
]


def test_pairs_are_mined_from_the_configured_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_archive(tmp_path / "archive", studies=20)
    monkeypatch.setenv("CBIR_FOLDER", str(tmp_path / "archive"))
    monkeypatch.setenv("CBIR_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("CBIR_DECODERS", "1")
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["pairs", str(out), "--archive", *OPTIONS], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "pairs of" in done.output
    assert not any(sentence in done.output for both in SENTENCES.values() for sentence in both)
    assert all(image.caption for image in Benchmark.open(out).images)
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CBIR_DECODERS", "a secret")
    with pytest.raises(Rejected, match="CBIR_DECODERS") as refused:
        CliRunner().invoke(app, ["pairs", str(tmp_path / "out"), "--archive"], catch_exceptions=False)
    assert "secret" not in str(refused.value)


def test_it_must_be_said_where_the_images_are(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="--archive or --bench"):
        CliRunner().invoke(app, ["pairs", str(tmp_path)], catch_exceptions=False)
