"""Fixtures that several rooms share: the real Orthanc."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.orthanc import LocalOrthanc, OrthancMissing, find_orthanc

StartOrthanc = Callable[..., LocalOrthanc]


@pytest.fixture(scope="session")
def orthanc_binary() -> Path:
    """The Orthanc of this machine: promised by CBIR_REQUIRE_ORTHANC=1, else the test is skipped."""
    try:
        binary, _ = find_orthanc()
    except OrthancMissing as missing:
        if os.environ.get("CBIR_REQUIRE_ORTHANC") == "1":
            pytest.fail(f"CBIR_REQUIRE_ORTHANC=1 promises an Orthanc: {missing}")
        pytest.skip(str(missing))
    return binary


@pytest.fixture
def start_orthanc(orthanc_binary: Path, tmp_path: Path) -> Iterator[StartOrthanc]:
    """Start private Orthancs that end with the test; the arguments are those of LocalOrthanc."""
    running: list[LocalOrthanc] = []

    def start(**options: Any) -> LocalOrthanc:  # noqa: ANN401 - whatever LocalOrthanc takes
        folder = tmp_path / f"orthanc-{len(running)}"
        orthanc = LocalOrthanc(folder, **options)
        running.append(orthanc)
        orthanc.restart()
        return orthanc

    yield start
    for orthanc in running:
        orthanc.stop()
