"""The bench, tiny: its figures hang together, and it leaves nothing behind. Times are not judged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cbir.bench.figures import Indexing, Stage, percentile
from cbir.bench.room import refuse_without_room
from demo.families import FAMILIES, write_studies
from indexer.errors import Rejected
from tests.conftest import StartOrthanc

pytestmark = pytest.mark.timeout(660)

MODELS = Path(__file__).parents[2] / "models"
STAGES = {"fetch", "decode", "render", "encode", "upsert"}
VECTORS = 300


def bench(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """`cbir bench` in a process of its own, with temporary files only under `folder`."""
    (folder / "tmp").mkdir()
    environment = os.environ | {
        "CBIR_DATA_DIR": str(folder / "data"),
        "CBIR_ENCODERS_DIR": str(MODELS),
        "CBIR_DECODERS": "2",
        "TMPDIR": str(folder / "tmp"),
        **settings,
    }
    return subprocess.run(
        [sys.executable, "-m", "cbir", "bench", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One tiny run, and the folder that it ran in."""
    folder = tmp_path_factory.mktemp("bench")
    tiny = ("--series", "1", "--rounds", "1", "--vectors", str(VECTORS), "--questions", "6", "--json")
    done = bench(folder, *tiny)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report, folder


def test_every_kind_of_series_has_a_rate_for_every_stage_and_for_the_whole(
    measured: tuple[dict[str, Any], Path],
) -> None:
    kinds = measured[0]["indexing"]
    assert len(kinds) == 3
    for kind in kinds:
        rates = kind["series_per_s"]
        assert set(rates) == STAGES | {"decode_and_render", "encode_series_by_series", "whole"}
        assert all(rate > 0 for rate in rates.values())
        assert rates[kind["slowest_stage"]] == min(rates[stage] for stage in STAGES)
        assert kind["whole_to_slowest"] == pytest.approx(
            rates["whole"] / rates[kind["slowest_stage"]], rel=0.02, abs=2e-3
        )
    assert [kind["frames_a_series"] for kind in kinds] == [32, 32, 1]


def test_the_engine_finds_what_an_exact_scan_finds(measured: tuple[dict[str, Any], Path]) -> None:
    searching = measured[0]["searching"]
    assert (searching["series"], searching["studies"]) == (VECTORS, VECTORS // 3)
    compared = [question for question in searching["questions"] if "agreement" in question]
    assert len(compared) == 4
    for question in compared:
        assert question["agreement"] >= 0.95
        assert question["p50_to_scan"] == pytest.approx(
            question["p50_ms"] / question["scan_p50_ms"], rel=0.05, abs=0.5
        )


def test_a_search_is_timed_from_end_to_end(measured: tuple[dict[str, Any], Path]) -> None:
    whole = [q for q in measured[0]["searching"]["questions"] if "agreement" not in q]
    assert [q["question"] for q in whole] == [
        "search: one series",
        "search: a study of three series",
        "a page of 24 studies: their frames",
    ]
    assert all(0 < q["p50_ms"] <= q["p99_ms"] for q in whole)


def test_nothing_is_left_behind_and_nothing_of_the_installation_is_touched(
    measured: tuple[dict[str, Any], Path],
) -> None:
    folder = measured[1]
    assert list((folder / "tmp").glob("*cbir*")) == []
    assert not (folder / "data").exists()


@pytest.mark.orthanc
def test_the_series_of_a_real_orthanc_are_measured_and_left_as_they_are(
    tmp_path: Path, start_orthanc: StartOrthanc
) -> None:
    orthanc = start_orthanc()
    written = write_studies(tmp_path / "studies", per_family=1, families=FAMILIES[:2])
    with orthanc.client() as client:
        for path in [path for study in written for path in study.paths]:
            client.post("/instances", content=path.read_bytes()).raise_for_status()
        before = client.get("/statistics").json()
        user, password = orthanc.auth
        done = bench(
            tmp_path,
            *("--orthanc", "--series", "2", "--rounds", "1", "--vectors", "0", "--json"),
            CBIR_ORTHANC_URL=orthanc.http_url,
            CBIR_ORTHANC_USER=user,
            CBIR_ORTHANC_PASSWORD=password,
        )
        after = client.get("/statistics").json()
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert [kind["series"] for kind in report["indexing"]] == [2]
    assert report["searching"] is None
    assert before == after


def test_what_does_not_fit_is_refused_before_it_is_begun(tmp_path: Path) -> None:
    done = bench(tmp_path, "--series", "0", "--vectors", "500000000")
    assert done.returncode == 1
    assert "ask for fewer --vectors" in " ".join(done.stderr.split())
    assert list((tmp_path / "tmp").glob("*cbir*")) == []


def test_too_little_memory_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="memory"):
        refuse_without_room(tmp_path, disk_bytes=0, memory_bytes=2**60)
    refuse_without_room(tmp_path, disk_bytes=0, memory_bytes=0)


def test_decoding_and_rendering_share_their_processes_and_bound_the_whole_together() -> None:
    rates = {"fetch": 100.0, "decode": 20.0, "render": 25.0, "encode": 90.0, "upsert": 80.0}
    figures = Indexing("kind", 4, 32.0, tuple(Stage(*one) for one in rates.items()), 10.0, 60.0, 8.0, None)
    assert figures.slowest.name == "decode"
    assert figures.whole_to_slowest == pytest.approx(0.4)
    assert figures.whole_to_bound == pytest.approx(0.8)


@pytest.mark.parametrize(("percent", "expected"), [(50, 2.0), (99, 4.0), (25, 1.0), (100, 4.0)])
def test_a_percentile_is_a_value_that_was_seen(percent: float, expected: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == expected
