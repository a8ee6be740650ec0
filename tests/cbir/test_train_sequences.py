"""`cbir train sequences` and `cbir train joint-sequences`, as they are typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cbir.train import app
from indexer.errors import Rejected
from tests.training.methods.brains import brains
from training.errors import TrainingError

TINY = {"side": 64, "groups": 2, "backbone": "resnet18", "fit": {"bfloat16": False}}


def test_one_fold_alone_then_all_of_them_and_their_figures(tmp_path: Path) -> None:
    brains(tmp_path / "bench")
    (tmp_path / "tiny.json").write_text(json.dumps(TINY))
    typed = [
        "sequences",
        str(tmp_path / "bench"),
        str(tmp_path / "out"),
        "--dataset",
        "made",
        "--threads",
        "1",
    ]
    typed += [
        "--configuration",
        str(tmp_path / "tiny.json"),
        "--steps",
        "1",
        "--folds",
        "2",
        "--threads",
        "1",
    ]
    alone = CliRunner().invoke(app, [*typed, "--fold", "1"], catch_exceptions=False)
    assert alone.exit_code == 0
    assert not (tmp_path / "out" / "fold-0").exists()
    learned = (tmp_path / "out" / "fold-1" / "model.pt").stat().st_mtime_ns
    together = CliRunner().invoke(app, typed, catch_exceptions=False)
    assert together.exit_code == 0
    assert "pooled | pixel" in " ".join(together.stdout.split())
    assert (tmp_path / "out" / "fold-1" / "model.pt").stat().st_mtime_ns == learned
    configuration = json.loads((tmp_path / "out" / "fold-0" / "configuration.json").read_text())
    assert configuration["method"] == "sequences"


@pytest.mark.parametrize("command", ["sequences", "joint-sequences"])
def test_the_folds_of_a_configuration_hold_unless_others_are_asked_for(command: str, tmp_path: Path) -> None:
    brains(tmp_path / "bench")
    given = {"folds": 2, "steps": 1, "groups": 2} | (TINY if command == "sequences" else {})
    (tmp_path / "tiny.json").write_text(json.dumps(given))
    typed = [command, str(tmp_path / "bench"), str(tmp_path / "out"), "--dataset", "made", "--threads", "1"]
    typed += ["--configuration", str(tmp_path / "tiny.json")]
    CliRunner().invoke(app, typed, catch_exceptions=False)
    assert sorted(run.name for run in (tmp_path / "out").glob("fold-*")) == ["fold-0", "fold-1"]
    with pytest.raises(TrainingError, match="another configuration"):
        CliRunner().invoke(app, [*typed, "--folds", "3"], catch_exceptions=False)


def test_the_joint_space_is_learned_by_one_command(tmp_path: Path) -> None:
    brains(tmp_path / "bench")
    typed = ["joint-sequences", str(tmp_path / "bench"), str(tmp_path / "out"), "--dataset", "made"]
    CliRunner().invoke(
        app, [*typed, "--steps", "1", "--folds", "2", "--threads", "1"], catch_exceptions=False
    )
    assert "pooled | learned" in json.loads((tmp_path / "out" / "figures.json").read_text())


@pytest.mark.parametrize(
    ("command", "text", "says"),
    [
        ("sequences", "[1]", "JSON object"),
        ("sequences", '{"view": "worst"}', "configuration cannot be used"),
        ("joint-sequences", '{"beta": -1}', "configuration cannot be used"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_refused(
    command: str, text: str, says: str, tmp_path: Path
) -> None:
    brains(tmp_path / "bench", 2)
    (tmp_path / "wrong.json").write_text(text)
    typed = [command, str(tmp_path / "bench"), str(tmp_path / "out"), "--dataset", "made"]
    with pytest.raises(Rejected, match=says):
        CliRunner().invoke(
            app, [*typed, "--configuration", str(tmp_path / "wrong.json")], catch_exceptions=False
        )


def test_a_baseline_without_a_file_is_refused(tmp_path: Path) -> None:
    brains(tmp_path / "bench", 2)
    typed = ["sequences", str(tmp_path / "bench"), str(tmp_path / "out"), "--baseline", "other=nowhere.npz"]
    with pytest.raises(Rejected, match="write NAME="):
        CliRunner().invoke(app, typed, catch_exceptions=False)
