"""One run of the bench: in temporary folders of its own, which are gone afterwards whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

from rich.console import Console

from cbir.bench.figures import Indexing, Report, Searching, machine
from cbir.bench.indexing import measure_indexing
from cbir.bench.room import refuse_without_room
from cbir.bench.searching import Size, measure_searching
from cbir.bench.synthetic_series import KINDS, Kind, write_series
from cbir.deployment import Deployment
from cbir.progress import progress_bar
from cbir.settings import Settings


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured; 0 series, or 0 vectors, leaves that half out."""

    series: int
    rounds: int
    vectors: Size
    orthanc: bool


def run_bench(settings: Settings, asked: Wanted, console: Console) -> Report:
    """Measure, and leave nothing behind.

    The ledger, the vectors and the archive of the installation are left alone: only its encoder and the
    settings of its worker are used; with `asked.orthanc`, series of its Orthanc are read as well.

    Raises:
        Rejected: there is too little room, or the archive has nothing to measure with.
        Unavailable: Orthanc or the engine does not answer.
    """
    with _folder() as folder, _deployment(settings, folder / "own") as deployment:
        dimension = deployment.encoder_version.dimension
        refuse_without_room(
            folder,
            disk_bytes=max(_disk_of_series(asked), asked.vectors.disk_bytes(dimension)),
            memory_bytes=asked.vectors.memory_bytes(dimension),
        )
        indexing = tuple(_indexing(settings, asked, folder, console)) if asked.series else ()
        searching = _searching(deployment, asked.vectors, folder, console) if asked.vectors.series else None
        return Report(
            machine=machine(
                str(deployment.encoder_version),
                deployment.embedder.of(deployment.encoder_version).providers,
                deployment.decoders.processes,
                settings.lanes,
            ),
            indexing=indexing,
            searching=searching,
        )


def _indexing(settings: Settings, asked: Wanted, folder: Path, console: Console) -> Iterator[Indexing]:
    if asked.orthanc:
        with _folder(folder) as own, _deployment(settings, own / "data") as deployment:
            yield _one_kind(deployment, "the series of Orthanc", asked, asked.series, own, console)
        return
    for kind in KINDS:
        with _folder(folder) as own:
            _write(kind, asked.series, own / "dicom", console)
            from_folder = settings.model_copy(update={"folder": own / "dicom"})
            with _deployment(from_folder, own / "data") as deployment:
                yield _one_kind(deployment, kind.name, asked, asked.series * kind.times, own, console)


def _one_kind(
    deployment: Deployment, name: str, asked: Wanted, series: int, own: Path, console: Console
) -> Indexing:
    with progress_bar(console, f"Indexing {name}, rounds", asked.rounds + 1) as told:
        return measure_indexing(deployment, name, series, asked.rounds, own, told)


def _write(kind: Kind, series: int, into: Path, console: Console) -> None:
    with progress_bar(console, f"Writing {kind.name}, series", series * kind.times) as told:
        write_series(into, kind, series, told)


def _searching(deployment: Deployment, size: Size, folder: Path, console: Console) -> Searching:
    with _folder(folder) as own, progress_bar(console, "Storing synthetic series", size.series) as told:
        return measure_searching(size, deployment.encoder_version, deployment.local_encoder, own, told)


def _disk_of_series(asked: Wanted) -> int:
    """The largest kind, and as much again for what is fetched of it."""
    return 2 * asked.series * max(kind.times * kind.series_bytes for kind in KINDS)


def _deployment(settings: Settings, data_dir: Path) -> Deployment:
    """An installation of the bench's own: its ledger, its engine, its patient key."""
    return Deployment(
        settings.model_copy(update={"data_dir": data_dir, "database_url": "", "qdrant_url": ""})
    )


@contextmanager
def _folder(inside: Path | None = None) -> Iterator[Path]:
    with TemporaryDirectory(prefix="cbir-bench-", dir=inside or gettempdir()) as name:
        yield Path(name)
