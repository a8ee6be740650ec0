from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom.data
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from inference.decoders import Decoders
from inference.decoding import StoredFrame, StoredPixels
from inference.embedding import SeriesEmbedder
from inference.encoder import OnnxEncoder
from inference.limits import Limits
from inference.reading import open_instance
from inference.rendering import render_frame
from tests.fakes import instance_file

GREY32 = Path(__file__).parents[2] / "models" / "grey32"
PYDICOM_FILES = Path(pydicom.data.__file__).parent / "test_files"

Render = Callable[[Dataset], NDArray[np.float32]]


def stored(path: Path, frame_index: int = 0, limits: Limits | None = None) -> StoredFrame:
    """One frame of a file, decoded in this process."""
    limits = limits or Limits()
    with open_instance(path, limits) as opened:
        return StoredPixels(opened, limits).frame(frame_index)


def pseudonym(issuer: str, patient_id: str) -> str | None:
    """A pseudonym that a test can foretell."""
    return f"hash of {issuer}/{patient_id}" if patient_id else None


@pytest.fixture
def rendered(tmp_path: Path) -> Callable[..., NDArray[np.float32]]:
    """Writes a data set and renders its first frame (or another one)."""

    def render(dataset: Dataset, frame_index: int = 0, **written: Any) -> NDArray[np.float32]:  # noqa: ANN401
        path = instance_file.write(dataset, tmp_path / "instance.dcm", **written)
        return render_frame(stored(path, frame_index))

    return render


@pytest.fixture(scope="session")
def decoders() -> Iterator[Decoders]:
    """Two decoder processes with a time limit that honest files keep even on a busy machine."""
    with Decoders(Limits(timeout_s=120.0), processes=2) as pool:
        yield pool


@pytest.fixture(scope="session")
def encoder() -> OnnxEncoder:
    """grey32."""
    return OnnxEncoder(GREY32)


@pytest.fixture(scope="session")
def embedder(encoder: OnnxEncoder, decoders: Decoders) -> SeriesEmbedder:
    """grey32 and two decoders."""
    return SeriesEmbedder(encoder, decoders, pseudonym, max_frames=8, batch_size=4)


@pytest.fixture(scope="session")
def wild() -> Path:
    """The folder of real and derived files."""
    folder = os.environ.get("CBIR_TEST_DATA", "")
    if not folder:
        pytest.skip("CBIR_TEST_DATA does not name the benchmark images")
    return Path(folder) / "wild"
