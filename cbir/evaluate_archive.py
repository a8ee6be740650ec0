"""The run of `cbir evaluate --archive`: the encoders in use on what is indexed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console

from cbir.deployment import Deployment
from cbir.environment import settings_of_environment
from cbir.evaluate_table import print_comparisons
from cbir.progress import progress_bar
from evaluation.archive import IndexedVectors, measure_archive, sample_index
from evaluation.archive_report import archive_report, archive_sample
from evaluation.consistency import consistency
from evaluation.embedding import FrameEmbedding
from evaluation.measurement import Measurement
from evaluation.perturbation import PERTURBATIONS
from indexer.domain import EncoderVersion, FrameReference
from indexer.errors import Rejected
from inference.encoder import OnnxEncoder
from inference.preprocess import Pixels

LONGEST_SIDE = 512
_WHITE = 255


@dataclass(frozen=True, slots=True)
class ArchiveRun:
    """What the command was asked."""

    out: Path | None = None
    series: int = 5000
    sampled: int = 50
    seed: int = 0
    threads: int = 0


def evaluate_archive(run: ArchiveRun) -> None:
    """Measure every encoder that is searched; with several, each has a folder of its own in the report's.

    Raises:
        BenchmarkError: too little is indexed.
        Unavailable: the vector index or the archive does not answer.
    """
    console = Console()
    with Deployment(settings_of_environment()) as deployment:
        versions = deployment.line_ups().serving.versions
        for version in versions:
            out = run.out / version.name if run.out is not None and len(versions) > 1 else run.out
            _evaluate(deployment, version, run, out, console)


def _evaluate(
    deployment: Deployment, version: EncoderVersion, run: ArchiveRun, out: Path | None, console: Console
) -> None:
    indexed = sample_index(deployment.index, version, run.series, run.seed)
    figures = measure_archive(indexed)
    stability = _stability(deployment, version, indexed, run, console)
    about = {"Archive": deployment.archive.name}
    report = archive_report(indexed, figures, stability, version, about, run.seed)
    print_comparisons(console, version.name, report.comparisons)
    spread = figures.spread
    console.print(
        f"Effective rank {spread.effective_rank:.1f} of {spread.dimension}"
        f"{', collapsed' if spread.is_collapsed else ''}; "
        f"skewness of hubs {figures.hubness.skewness:.2f}; "
        f"{figures.twins_counted} near-duplicates under different patients.",
        highlight=False,
        soft_wrap=True,
    )
    if out is not None:
        console.print(f"Report: {report.write(out)}", highlight=False, soft_wrap=True)


def _stability(
    deployment: Deployment,
    version: EncoderVersion,
    indexed: IndexedVectors,
    run: ArchiveRun,
    console: Console,
) -> tuple[Measurement, ...]:
    """The middle frames of some series, changed; none where no frame can be had."""
    order = np.random.default_rng(run.seed).permutation(len(indexed.frame))[: run.sampled]
    found = [(int(i), pixels) for i in order for pixels in _rendered(deployment, indexed.frame[int(i)])]
    if not found:
        return ()
    sample = archive_sample(indexed, [place for place, _ in found], [pixels for _, pixels in found])
    encoder = OnnxEncoder(deployment.registry.folder_of(version), deployment.settings.providers, run.threads)
    with progress_bar(console, "Consistency", len(found) * len(PERTURBATIONS)) as progress:
        return consistency([sample], FrameEmbedding(encoder), run.seed, progress)


def _rendered(deployment: Deployment, frame: FrameReference) -> Iterator[Pixels]:
    """The frame as a search sees it, in 8 bits; nothing where it is gone or cannot be decoded any more."""
    try:
        instance = deployment.archive.find_instance(frame.sop_instance_uid)
        with tempfile.TemporaryDirectory(prefix="cbir-evaluate-") as folder:
            for fetched in deployment.archive.fetch([instance], Path(folder)):
                png = deployment.local_encoder.render(fetched.path, frame.frame_number, LONGEST_SIDE)
                yield _pixels(png)
    except Rejected:
        return


def _pixels(png: bytes) -> Pixels:
    decoded = cv2.imdecode(np.frombuffer(png, dtype=np.uint8), cv2.IMREAD_ANYCOLOR)
    if decoded is None:
        raise Rejected("A rendered frame is no PNG.")
    if decoded.ndim == 3:
        decoded = cv2.cvtColor(decoded, cv2.COLOR_BGR2RGB)
    return np.asarray(decoded, dtype=np.float32) / np.float32(_WHITE)
