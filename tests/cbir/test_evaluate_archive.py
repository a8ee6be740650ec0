"""`cbir evaluate --archive` on a folder that was indexed, with no PACS."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from demo.families import write_studies
from tests.cbir.test_command import Command


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Command:
    studies = list(write_studies(tmp_path_factory.mktemp("studies"), per_family=3))
    folder = studies[0].paths[0].parents[2]
    command = Command(tmp_path_factory.mktemp("data"))
    command.environment |= {"CBIR_FOLDER": str(folder), "CBIR_THREADS": "1", "CBIR_DECODERS": "1"}
    command("index", str(folder))
    return command


def test_the_archive_is_measured_without_a_label(indexed: Command, tmp_path: Path) -> None:
    said = indexed(
        "evaluate", "--archive", "--out", str(tmp_path / "out"), "--sampled", "4", "--threads", "1"
    )
    assert "Effective rank" in said.stdout
    written = json.loads((tmp_path / "out" / "figures.json").read_text())
    figures = {(f["task"], f["measure"]): f for f in written["figures"]}
    modality = figures["archive modality", "P@1"]
    assert modality["encoder"]["mean"] > modality["chance"]
    assert figures["JPEG of quality 75", "cosine"]["encoder"]["mean"] > 0.95
    assert written["about"]["Series"] == "18 of 18 that are indexed"
    assert (tmp_path / "out" / "report.html").stat().st_size > 10_000


def test_an_archive_with_nothing_indexed_says_where_to_look(tmp_path: Path) -> None:
    empty = Command(tmp_path / "data")
    (tmp_path / "none").mkdir()
    empty.environment["CBIR_FOLDER"] = str(tmp_path / "none")
    assert "cbir status" in empty("evaluate", "--archive", fails=True).stderr
