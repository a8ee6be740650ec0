"""How long a workstation waits for its answer: a study of three MR sequences against many indexed studies.

    python -m demo.answer_times --studies 10000 --questions 5

A private Orthanc holds real files of synthetic studies; the rest of the index is synthetic vectors, stored
before the service starts. The clock runs from the end of the last association to each answer's arrival.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from cbir.bench.loading import load
from cbir.bench.synthetic_vectors import SERIES_A_STUDY, SyntheticIndex
from cbir.deployment import Deployment
from cbir.settings import Settings
from demo.families import FAMILIES, WrittenStudy, write_studies
from demo.walk import CBIR, DemoFailed, Walk, fill, hospital
from indexer.domain import SeriesEmbedding
from indexer.ledger import Notice, Priority

ELSEWHERE: Final = "synthetic vectors"
REAL_STUDIES: Final = 40
SEQUENCES: Final = ("T1", "T2", "FLAIR")
FRAMES: Final = 15
ANSWER_WAIT_S: Final = 120.0
_SPLIT: Final = re.compile(r"(\w+)_ms=(\d+)")


@dataclass(frozen=True, slots=True)
class Waited:
    """One question: seconds until each answer came in, by its modality, and the service's own split in ms."""

    arrived_s: Mapping[str, float]
    split_ms: Mapping[str, int]


def main() -> int:
    """Measure and print JSON; 1 when an answer did not come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000, help="indexed studies, three series each")
    parser.add_argument("--questions", type=int, default=5, help="studies that are asked about")
    parser.add_argument("--frames", type=int, default=FRAMES, help="frame vectors of a synthetic series")
    asked = parser.parse_args()
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="cbir-answer-times-") as name:
        try:
            report = measure(Path(name), asked.studies, asked.questions, asked.frames, console)
        except DemoFailed as failure:
            console.print(f"The measurement failed: {failure}", style="red", markup=False)
            return 1
    json.dump(report, sys.stdout, indent=2)
    sys.stdout.write("\n")
    return 0


def measure(folder: Path, studies: int, questions: int, frames: int, console: Console) -> dict[str, Any]:
    """Fill an archive and an index, ask, and take the times.

    Args:
        folder: for everything, deleted by the caller.
        studies: in the index, of which 40 lie in the archive.
        questions: one more than these is asked; the first warms up and is not counted.
        frames: frame vectors of a synthetic series.
        console: told what happens.

    Raises:
        DemoFailed: an answer did not come.
    """
    family = replace(FAMILIES[0], series=SEQUENCES, frames=FRAMES)
    written = list(
        write_studies(folder / "dicom", per_family=REAL_STUDIES + questions + 1, families=(family,))
    )
    archived, asked_about = written[:REAL_STUDIES], written[REAL_STUDIES:]
    with hospital(folder, {"CBIR_QUESTION_QUIET_S": "1"}) as walk:
        for study in archived[:-1]:
            walk.workstation.send(
                study.paths, port=walk.orthanc.dicom_port, called_ae_title=walk.orthanc.ae_title
            )
        fill(walk, archived[-1].paths, console)
        walk.service.stop()
        _store_vectors(walk, (studies - REAL_STUDIES) * SERIES_A_STUDY, frames, console)
        walk.service.start()
        waited = [_ask(walk, study) for study in asked_about][1:]
    return {
        "indexed_studies": studies,
        "frames_a_synthetic_series": frames,
        "example": {"series": len(SEQUENCES), "frames": len(SEQUENCES) * FRAMES},
        "questions": len(waited),
        "arrived_s": _medians([one.arrived_s for one in waited]),
        "slowest_s": max(max(one.arrived_s.values()) for one in waited),
        "split_ms": _medians([one.split_ms for one in waited]),
    }


def _store_vectors(walk: Walk, series: int, frames: int, console: Console) -> None:
    """Vectors of an archive that is not followed here: its rows wait for its own worker, and hurt nobody."""
    settings = Settings(data_dir=walk.service.folder / "data")
    with Deployment(settings) as deployment:
        version = deployment.line_ups().serving.versions[0]
        key_name, ledger = deployment.pseudonyms.key_name, deployment.ledger
        console.print(f"Storing {series} synthetic series of {frames} frames of {version}.")

        def stored() -> Iterator[Sequence[SeriesEmbedding]]:
            for chunk in SyntheticIndex(series, frames, version).chunks():
                keyed = [_keyed(embedding, key_name) for embedding in chunk]
                now = datetime.now(UTC)
                ledger.notice(
                    [Notice(e.reference.archive_id, ELSEWHERE, Priority.BACKFILL) for e in keyed], now
                )
                yield keyed

        load(settings.data_dir / "engine", stored())


def _keyed(embedding: SeriesEmbedding, key_name: str) -> SeriesEmbedding:
    """Hashed as if by this installation's key, which a question about other patients wants."""
    _, _, patient = (embedding.attributes.patient or "").partition(":")
    return replace(embedding, attributes=replace(embedding.attributes, patient=f"{key_name}:{patient}"))


def _ask(walk: Walk, study: WrittenStudy) -> Waited:
    sent = walk.workstation.send(study.paths, port=walk.service.dimse_port, called_ae_title=CBIR)
    ended = time.monotonic()
    if sent.refused:
        raise DemoFailed(f"CBIR refused {sent.refused} instances. See {walk.service.log_path}")
    arrived: dict[str, float] = {}
    while len(arrived) < 2:
        document = walk.workstation.next_received(ANSWER_WAIT_S)
        if document is None:
            raise DemoFailed(f"Only {sorted(arrived)} came. See {walk.service.log_path}")
        kind = "report" if document.Modality == "SR" else "sheet"
        arrived[kind] = time.monotonic() - ended
    return Waited(arrived, _split(walk.service.log_path))


def _split(log_path: Path) -> dict[str, int]:
    lines = [line for line in log_path.read_text().splitlines() if "question_answered" in line]
    return {name: int(number) for name, number in _SPLIT.findall(lines[-1])} if lines else {}


def _medians(times: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for one in times for name in one)
    return {name: round(statistics.median(one[name] for one in times if name in one), 3) for name in names}


if __name__ == "__main__":
    sys.exit(main())
