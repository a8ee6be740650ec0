"""The contact sheet of real images, which is looked at: brain MR and chest X-rays."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from rich.console import Console

from demo.report import reported_cases
from demo.walk import Walk
from tests.integration.conftest import ANSWER_WAIT_S, STORESCU, calibrate, store, wait_until_indexed
from tests.integration.kept_sheet import keep

pytestmark = [pytest.mark.orthanc, pytest.mark.shared_data, pytest.mark.timeout(600)]

DATASETS = ("brain_tumor_mr", "pneumonia_cxr")
SUBJECTS = 40


@pytest.fixture(scope="module")
def wrapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The images as DICOM files, with truth.csv beside them."""
    named = os.environ.get("CBIR_TEST_DATA")
    if not named:
        pytest.skip("CBIR_TEST_DATA names no benchmark images")
    script = Path(named).parent / "tools" / "bench_to_dicom.py"
    folder = tmp_path_factory.mktemp("benchmark")
    chosen = [word for dataset in DATASETS for word in ("--dataset", dataset)]
    command = [
        sys.executable,
        str(script),
        f"{named}/bench",
        str(folder),
        *chosen,
        "--subjects",
        str(SUBJECTS),
    ]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="module")
def studies(wrapped: Path) -> dict[str, dict[str, list[Path]]]:
    """The files of each study by its UID, by data set."""
    found: dict[str, dict[str, list[Path]]] = defaultdict(lambda: defaultdict(list))
    with (wrapped / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["dataset"]][row["study_instance_uid"]].append(wrapped / row["path"])
    return found


@pytest.fixture(scope="module")
def filled(walk: Walk, wrapped: Path) -> Walk:
    """After dcmtk's storescu sent all of it in one association, and `cbir calibrate` compared it."""
    scan = ["+sd", "+r", "+sp", "*.dcm"]
    sender = [STORESCU, "-aet", "WORKSTATION", "-aec", walk.orthanc.ae_title, *scan]
    subprocess.run([*sender, "127.0.0.1", str(walk.orthanc.dicom_port), str(wrapped)], check=True)
    with (wrapped / "truth.csv").open(newline="") as file:
        series = {row["series_instance_uid"] for row in csv.DictReader(file)}
    wait_until_indexed(walk, Console(quiet=True), series=len(series))
    calibrate(walk)
    return walk


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_sheet_of_a_real_study_shows_its_like(
    filled: Walk,
    studies: Mapping[str, Mapping[str, Sequence[Path]]],
    dataset: str,
    tmp_path: Path,
) -> None:
    asked = max(studies[dataset].values(), key=len)
    store(asked, filled.service.dimse_port, "CBIR")
    sheet, report = (filled.workstation.next_received(ANSWER_WAIT_S) for _ in range(2))
    assert sheet is not None
    assert report is not None
    alike = [case.study_instance_uid in studies[dataset] for case in reported_cases(report)]
    assert len(alike) == 10
    assert sum(alike) >= 9
    assert "Less alike pairs" in str(report)
    shown = sheet.pixel_array
    assert shown.shape[1] == 2048
    assert (grey(shown) & (shown[..., 0] > 60)).sum() > 400_000
    keep(sheet, tmp_path / f"contact-sheet-{dataset}.png")


def grey(shown: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where all colours are the same, as on an X-ray."""
    levels = shown.astype(int)
    return np.asarray(levels.max(axis=2) - levels.min(axis=2) < 4)
