from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cbir.train import app
from indexer.errors import Rejected
from tests.training.methods.pictured import SIDE, write_benchmark, write_weights

FRESH = CliRunner(env={"COLUMNS": "160"})


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("bench")
    bench = write_benchmark(folder / "bars", 18)
    weights = write_weights(folder / "tower.safetensors")
    named = {"--bench": bench, "--start": weights, "--side": SIDE, "--steps": 2, "--threads": 1}
    return [str(part) for pair in named.items() for part in pair]


def test_losses_and_shares_of_wrong_labels_are_compared_on_the_same_folds(
    options: list[str], tmp_path: Path
) -> None:
    wanted = ["--dataset", "bars", "--tuned", "head", "--folds", "2", "--noise", "0", "--noise", "0.4"]
    both = ["--loss", "cross-entropy", "--loss", "generalized"]
    done = FRESH.invoke(app, ["noisy-labels", str(tmp_path / "out"), *options, *wanted, *both])
    assert done.exit_code == 0, done.output
    rows = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [(row["loss"], row["noise"]) for row in rows] == [
        ("cross-entropy", 0.0),
        ("cross-entropy", 0.4),
        ("generalized", 0.0),
        ("generalized", 0.4),
    ]
    assert {row["images"] for row in rows} == {18}
    assert len({row["precision_at_10_before"] for row in rows}) == 1
    names = [
        tuple(np.load(tmp_path / "out" / f"{cell}-noise-0" / "fold-1" / "held_out.npz")["image"])
        for cell in ("cross-entropy", "generalized")
    ]
    assert names[0] == names[1]
    configuration = tmp_path / "out" / "generalized-noise-0.4" / "fold-1" / "configuration.json"
    assert json.loads(configuration.read_text())["method"] == "noisy-labels"


def test_without_folds_it_learns_from_all_rows(options: list[str], tmp_path: Path) -> None:
    wanted = ["--dataset", "bars", "--folds", "0", "--frozen-blocks", "16"]
    done = FRESH.invoke(app, ["noisy-labels", str(tmp_path / "out"), *options, *wanted])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "generalized-noise-0" / "model.pt").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (["--dataset", "no-such-set"], "no data set"),
        (["--dataset", "bars", "--label", "colour"], "no label 'colour'"),
        (["--dataset", "bars", "--label", "plane"], "empty in all 18 rows"),
        (["--dataset", "bars", "--label", "modality"], "nothing to tell apart"),
        (["--dataset", "bars", "--q", "0"], "greater than 0"),
        (["--dataset", "bars", "--folds", "19"], "cannot be cut into 19 folds"),
    ],
)
def test_what_cannot_be_learned_is_refused(
    options: list[str], tmp_path: Path, wrong: list[str], said: str
) -> None:
    with pytest.raises(Rejected, match=said):
        FRESH.invoke(app, ["noisy-labels", str(tmp_path / "out"), *options, *wrong], catch_exceptions=False)


def test_without_a_start_every_block_learns(tmp_path: Path) -> None:
    bench = write_benchmark(tmp_path / "bars", 18)
    wanted = ["--bench", str(bench), "--dataset", "bars", "--side", str(SIDE), "--steps", "1"]
    run = ["--folds", "0", "--threads", "1", "--batch-size", "6"]
    done = FRESH.invoke(app, ["noisy-labels", str(tmp_path / "out"), *wanted, *run])
    assert done.exit_code == 0, done.output
