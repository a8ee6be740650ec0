from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cbir.train import app
from evaluation.vectors import ImageVectors
from indexer.errors import Rejected
from tests.training.methods.captioned import small, write_captioned


def test_folds_are_trained_measured_and_shown(tmp_path: Path) -> None:
    write_captioned(tmp_path / "bench")
    configuration = tmp_path / "small.json"
    configuration.write_text(small(tmp_path, steps=3).model_dump_json())
    out = tmp_path / "out"
    given = ["image-text", str(tmp_path / "bench"), str(out), "--configuration", str(configuration)]
    done = CliRunner().invoke(app, [*given, "--folds", "2", "--loss", "clip"], catch_exceptions=False)
    assert done.exit_code == 0
    assert "text to image R@10" in done.output
    figures = json.loads((out / "figures.json").read_text())
    assert figures["folds"] == 2
    assert figures["cases"]["finding"]["queries"] == 48
    assert json.loads((out / "fold-0" / "configuration.json").read_text())["loss"] == "clip"
    sides = [set(ImageVectors.read(out / f"fold-{n}" / "vectors.npz").image) for n in range(2)]
    assert len(sides[0] | sides[1]) == 48
    assert not sides[0] & sides[1]


def test_a_configuration_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    write_captioned(tmp_path / "bench", each=1)
    given = ["image-text", str(tmp_path / "bench"), str(tmp_path / "out"), "--start", "captions"]
    with pytest.raises(Rejected, match="start_run"):
        CliRunner().invoke(app, given, catch_exceptions=False)
