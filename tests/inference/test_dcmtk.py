"""Rendered frames beside what dcmtk shows of the same files: another house's reading of the same standard."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from indexer.errors import Rejected
from inference import rendering
from inference.decoding import StoredFrame
from inference.rendering import render_frame, window_of
from tests.inference.conftest import PYDICOM_FILES, stored

PROGRAMS = {
    **{f"1.2.840.10008.1.2.4.{n}": "dcmj2pnm" for n in ("50", "51", "53", "55", "57", "70")},
    **{f"1.2.840.10008.1.2.4.{n}": "dcml2pnm" for n in ("80", "81")},
}
"""The programs of dcmtk by transfer syntax; JPEG 2000 it does not read."""
LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51", "1.2.840.10008.1.2.4.53")
"""Their frames are decoded by another codec there; a rounding step of it is a few levels."""

OTHERWISE = {
    "all_zero.dcm": "its window shows one grey, and we show a frame without any contrast black",
    "dtf__SC_rgb_jpeg_lossy_gdcm.dcm": "its YCbCr is labelled RGB, and dcmtk believes the label",
}
"""Where we mean to differ."""

Levels = NDArray[np.float64]


@pytest.fixture(scope="module", autouse=True)
def _dcmtk() -> None:
    if not Path("/usr/bin/dcmj2pnm").exists():
        if os.environ.get("CBIR_REQUIRE_ORTHANC") == "1":
            pytest.fail("dcmtk is promised beside Orthanc: apt-get install dcmtk")
        pytest.skip("dcmtk is not on this machine")


def shown_by_dcmtk(path: Path, frame: StoredFrame, out: Path) -> Levels | None:
    """The first frame in 0 to 255, windowed by the same VOI LUT or window; None where dcmtk cannot."""
    syntax = str(frame.header.file_meta.get("TransferSyntaxUID", ""))
    program = PROGRAMS.get(syntax, "dcm2pnm")
    voi = [] if frame.values.ndim == 3 else _voi_of(frame)
    out.unlink(missing_ok=True)
    command = [f"/usr/bin/{program}", "--frame", "1", "-O", "--write-raw-pnm", *voi, str(path), str(out)]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0 or not out.exists():
        return None
    shown = cv2.imread(str(out), cv2.IMREAD_UNCHANGED)
    assert shown is not None
    return np.asarray(shown[..., ::-1] if shown.ndim == 3 else shown, dtype=np.float64)


def _voi_of(frame: StoredFrame) -> list[str]:
    if frame.header.get("VOILUTSequence"):
        return ["--use-voi-lut", "1"]
    window = window_of(frame)
    assert window is not None
    function = "--sigmoid-function" if window.function == "SIGMOID" else "--linear-function"
    return ["--set-window", str(window.centre), str(window.width), function]


def has_a_voi_of_its_own(frame: StoredFrame) -> bool:
    """Colour, or grey that says itself how it wants to be shown: then all viewers must agree."""
    return frame.values.ndim == 3 or bool(frame.header.get("VOILUTSequence")) or window_of(frame) is not None


def differences(
    paths: list[Path], out: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[int, dict[str, tuple[float, float]]]:
    """How many files were compared, and of those that differ the largest and the mean difference."""
    monkeypatch.setattr(rendering, "_square", lambda rendered, _frame: rendered)
    compared, differing = 0, {}
    for path in paths:
        try:
            frame = stored(path)
        except Rejected:
            continue
        lossy = 4.0 if str(frame.header.file_meta.get("TransferSyntaxUID", "")) in LOSSY else 0.0
        theirs = shown_by_dcmtk(path, frame, out) if has_a_voi_of_its_own(frame) else None
        if theirs is None:
            continue
        ours = np.rint(render_frame(frame).astype(np.float64) * 255)
        compared += 1
        apart = np.abs(ours - theirs)
        if apart.max() > 2 + 6 * lossy or apart.mean() > 1 + lossy / 4:
            differing[path.name] = (float(apart.max()), float(apart.mean()))
    return compared, differing


def test_the_files_of_the_pydicom_package_look_as_dcmtk_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared, differing = differences(
        sorted(PYDICOM_FILES.glob("*.dcm")), tmp_path / "shown.pnm", monkeypatch
    )
    assert differing == {}
    assert compared > 30


@pytest.mark.shared_data
def test_real_files_of_every_kind_look_as_dcmtk_shows_them(
    wild: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = sorted(path for path in wild.rglob("*") if path.is_file())
    compared, differing = differences(paths, tmp_path / "shown.pnm", monkeypatch)
    assert set(differing) == set(OTHERWISE)
    assert compared > 100
