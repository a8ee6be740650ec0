"""The data directories of earlier releases are opened by the present code, and answer."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from demo.families import write_studies
from tests.fixtures.make_data_directory import FIXTURES, MODELS, PER_FAMILY, make

pytestmark = pytest.mark.timeout(900)

RELEASES = sorted(FIXTURES.glob("data-*.tar.xz"))


def cbir(data: Path, studies: Path, arguments: Sequence[str]) -> str:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CBIR_")},
        "CBIR_DATA_DIR": str(data),
        "CBIR_ENCODERS_DIR": str(MODELS),
        "CBIR_FOLDER": str(studies),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cbir", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(params=RELEASES, ids=[path.name.removesuffix(".tar.xz") for path in RELEASES])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    with tarfile.open(request.param) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "data"


def test_the_first_release_is_kept() -> None:
    assert RELEASES[0].name == "data-0.1.0.tar.xz"


def test_a_release_is_opened_and_answers_as_it_did(data: Path, tmp_path: Path) -> None:
    studies = tmp_path / "studies"
    written = list(write_studies(studies, per_family=PER_FAMILY))
    counts = json.loads(cbir(data, studies, ["status", "--json"]))["series"]
    assert counts["indexed"] == sum(counts.values()) > len(written)
    example = written[0]
    answer = json.loads(
        cbir(data, studies, ["search", "--study", example.study_instance_uid, "--limit", "3", "--json"])
    )
    family = {study.study_instance_uid for study in written if study.family == example.family}
    found = [match["study_instance_uid"] for match in answer["matches"]]
    assert found[0] in family - {example.study_instance_uid}
    assert len(found) == 3


def test_every_series_and_every_vector_of_a_release_is_known_again(data: Path, tmp_path: Path) -> None:
    """Only the files have other dates than then, so that each is looked at again."""
    studies = tmp_path / "studies"
    list(write_studies(studies, per_family=PER_FAMILY))
    compared = cbir(data, studies, ["reconcile"])
    for nothing in ("unknown=0", "outdated=0", "gone=0", "orphaned=0", "stale=0", "bare=0", "complete=True"):
        assert nothing in compared


def test_a_fixture_is_never_made_again(tmp_path: Path) -> None:
    (tmp_path / RELEASES[-1].name).touch()
    with pytest.raises(FileExistsError):
        make(tmp_path)
