"""Every image is indexed, and everything else says why it is not: from a folder, and from Orthanc."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from indexer.adapters.folder import FolderArchive
from indexer.adapters.orthanc import OrthancArchive
from indexer.domain import SeriesEmbedding
from indexer.following import Reconciler
from indexer.ledger import Ledger, SeriesRow
from indexer.line_up import LineUps
from inference.embedders import Alone
from inference.embedding import SeriesEmbedder
from inference.limits import Limits
from inference.worker import Worker
from tests.conftest import StartOrthanc
from tests.fakes.vector_index import FakeVectorIndex
from tests.integration.wild import (
    NO_UIDS,
    NOT_DICOM,
    Fate,
    WildFile,
    fate_of,
    wild_files,
    words_about_patients,
)

pytestmark = [pytest.mark.shared_data, pytest.mark.timeout(1800)]

MODELS = Path(__file__).parents[2] / "models"
DEADLINE_S = 900
DECODE_TIMEOUT_S = 120
"""What a file is worth is asked here, not how fast this machine decodes it beside all else that it does."""
DEADLY_FOR_ORTHANC = ("derived/deep_nesting.dcm",)
"""Orthanc itself, 1.10.1 and 1.13.0, ends when it is sent sequences nested so deeply."""


@dataclass(frozen=True)
class Result:
    """What the ledger and the vector index hold when nothing is open any more."""

    rows: dict[str, SeriesRow]
    embeddings: dict[str, SeriesEmbedding]

    def fate(self, archive_id: str) -> Fate:
        """What became of one series."""
        row, found = self.rows[archive_id], self.embeddings.get(archive_id)
        embedded = frozenset(frame.sop_instance_uid for frame in found.frames) if found else frozenset()
        return Fate(str(row.state), frozenset([row.reason] if row.reason else []), embedded)


Index = Callable[[FolderArchive | OrthancArchive], Result]


@pytest.fixture(scope="module")
def wild() -> Path:
    """The folder of real and derived files."""
    folder = os.environ.get("CBIR_TEST_DATA", "")
    if not folder:
        pytest.skip("CBIR_TEST_DATA does not name the benchmark images")
    return Path(folder) / "wild"


@pytest.fixture(scope="module")
def files(wild: Path) -> list[WildFile]:
    return wild_files(wild)


@pytest.fixture(scope="module")
def embedder() -> Iterator[SeriesEmbedder]:
    with SeriesEmbedder.open(
        MODELS / "grey32",
        pseudonym=lambda _issuer, _id: None,
        limits=Limits(timeout_s=DECODE_TIMEOUT_S),
        decoders=4,
    ) as embedder:
        yield embedder


@pytest.fixture(scope="module")
def index(embedder: SeriesEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Index:
    """Compares an archive with an empty ledger, and works until nothing is open."""

    def run(archive: FolderArchive | OrthancArchive) -> Result:
        folder = tmp_path_factory.mktemp("index")
        vectors = FakeVectorIndex()
        vectors.prepare(embedder.version)
        with Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}") as ledger:
            Reconciler(
                archive=archive,
                ledger=ledger,
                index=vectors,
                line_ups=lambda: LineUps.alone(embedder.version),
                quiet_s=0,
            ).compare(datetime.now(UTC))
            work(Worker(ledger, archive, vectors, Alone(embedder), folder / "spool"))
            rows = {row.archive_id: row for row in ledger.rows(limit=500).rows}
        return Result(rows, dict(vectors.embeddings_by_id(embedder.version, list(rows))))

    return run


def work(worker: Worker) -> None:
    stop = threading.Event()
    working = threading.Thread(target=worker.run, args=(stop,), kwargs={"until_idle": True}, daemon=True)
    working.start()
    working.join(DEADLINE_S)
    stop.set()
    assert not working.is_alive(), "the worker did not come to rest"


@pytest.fixture(scope="module")
def folder_archive(wild: Path) -> FolderArchive:
    return FolderArchive(wild)


@pytest.fixture(scope="module")
def from_folder(index: Index, folder_archive: FolderArchive) -> Result:
    return index(folder_archive)


def test_the_table_speaks_of_enough_of_everything(files: Sequence[WildFile]) -> None:
    kinds = Counter(file.kind for file in files)
    assert kinds["image"] > 130
    assert kinds["segmentation"] >= 10
    assert {"dose_grid", "parametric_map", "report", "blank_frame", NO_UIDS, NOT_DICOM} <= set(kinds)


def test_every_image_in_a_folder_is_embedded_and_everything_else_says_why_not(
    files: Sequence[WildFile], from_folder: Result
) -> None:
    series: dict[str, list[WildFile]] = defaultdict(list)
    for file in files:
        if file.sop_instance_uid:
            series[f"{file.study_instance_uid}/{file.series_instance_uid}"].append(file)
    differing = {
        archive_id: (held[0].path, expected, from_folder.fate(archive_id))
        for archive_id, held in series.items()
        if not _agree(expected := fate_of(held), from_folder.fate(archive_id))
    }
    assert differing == {}
    assert set(from_folder.rows) == set(series)


def test_files_without_uids_are_rejected_and_what_is_no_dicom_is_counted(
    files: Sequence[WildFile], folder_archive: FolderArchive
) -> None:
    rejected = {file.name: file.reason for file in folder_archive.rejected}
    assert rejected == {file.path: NO_UIDS for file in files if file.kind == NO_UIDS}
    manifest = 1
    assert folder_archive.not_dicom == sum(file.kind == NOT_DICOM for file in files) + manifest


def test_of_files_with_the_same_instance_the_first_by_path_is_embedded(
    wild: Path, files: Sequence[WildFile], from_folder: Result, embedder: SeriesEmbedder
) -> None:
    first, second = (file for file in files if "dup_sop" in file.path)
    assert first.sop_instance_uid == second.sop_instance_uid
    found = from_folder.embeddings[f"{first.study_instance_uid}/{first.series_instance_uid}"]
    (alone,) = embedder.embed_files([wild / first.path])
    (other,) = embedder.embed_files([wild / second.path])
    assert found.vector == pytest.approx(alone.vector, abs=1e-6)
    assert found.vector != pytest.approx(other.vector, abs=1e-2)


def test_the_command_does_the_same_and_what_it_writes_quotes_no_file(
    wild: Path, files: Sequence[WildFile], from_folder: Result, tmp_path: Path
) -> None:
    environment = {
        **os.environ,
        "CBIR_DATA_DIR": str(tmp_path),
        "CBIR_ENCODERS_DIR": str(MODELS),
        "CBIR_ENCODER": "grey32",
        "CBIR_LOG_LEVEL": "DEBUG",
        "CBIR_DECODE_TIMEOUT_S": str(DECODE_TIMEOUT_S),
    }
    done = subprocess.run(
        [sys.executable, "-m", "cbir", "index", str(wild)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    states = Counter(str(row.state) for row in from_folder.rows.values())
    assert (
        f"indexed {states['indexed']}  skipped {states['skipped']}  failed {states['failed']}" in done.stdout
    )
    assert f"{sum(file.kind == NO_UIDS for file in files)} files rejected: {NO_UIDS}" in done.stdout
    written = done.stdout + done.stderr
    quoted = words_about_patients(wild, files)
    assert len(quoted) > 100
    assert [word for word in quoted if word in written] == []


@pytest.mark.orthanc
def test_whatever_orthanc_accepts_is_indexed_or_says_why_not(
    wild: Path,
    files: Sequence[WildFile],
    index: Index,
    start_orthanc: StartOrthanc,
    programs: tuple[Path, Path],
) -> None:
    orthanc = start_orthanc(programs=programs)
    bearable = [file for file in files if file.path not in DEADLY_FOR_ORTHANC]
    accepted = store(wild, bearable, orthanc.http_url, orthanc.auth)
    user, password = orthanc.auth
    with OrthancArchive(orthanc.http_url, user=user, password=password) as archive:
        result = index(archive)
    differing = {
        series_id: (held[0].path, expected, result.fate(series_id))
        for series_id, held in accepted.items()
        if not _agree(expected := fate_of(held), result.fate(series_id))
    }
    assert differing == {}
    assert set(result.rows) == set(accepted)
    images = {file.path for file in files if file.kind == "image"}
    kept = {file.path for held in accepted.values() for file in held}
    assert len(images - kept) < 5, "Orthanc takes nearly every image"


def store(
    wild: Path, files: Sequence[WildFile], url: str, auth: tuple[str, str]
) -> dict[str, list[WildFile]]:
    """Send every file to Orthanc; what it accepts, by its name for the series."""
    accepted: dict[str, list[WildFile]] = defaultdict(list)
    headers = {"Accept-Encoding": "identity"}
    with httpx.Client(base_url=url, auth=auth, trust_env=False, timeout=60, headers=headers) as client:
        for file in files:
            answer = client.post("/instances", content=(wild / file.path).read_bytes())
            if answer.status_code == 200:
                accepted[answer.json()["ParentSeries"]].append(file)
    return accepted


def _agree(expected: Fate, found: Fate) -> bool:
    """Of reasons that are as frequent in a series, either is true."""
    same = (expected.state, expected.embedded) == (found.state, found.embedded)
    return same and (found.reasons <= expected.reasons) and bool(found.reasons) == bool(expected.reasons)
