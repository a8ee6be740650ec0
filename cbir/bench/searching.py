"""Search over a synthetic index in the embedded engine, question by question beside an exact scan."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from cbir.bench.exact_scan import ExactScan
from cbir.bench.figures import Latency, Searching
from cbir.bench.loading import load
from cbir.bench.synthetic_vectors import SyntheticIndex
from cbir.engine_process import start_engine
from cbir.supervise import Supervisor
from indexer.adapters.folder import FolderArchive
from indexer.adapters.qdrant import QdrantIndex
from indexer.domain import EncoderVersion, Filters, Scope, SeriesEmbedding
from indexer.ledger import Ledger
from indexer.line_up import LineUps
from indexer.ports import Caller, Encoder
from indexer.search import ExampleReference, Question, Search

LIMIT: Final = 10
PAGE_OF_STUDIES: Final = 24
WARM_UP: Final = 5
BENCH: Final = Caller("bench")

Told = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How many series are stored, with so many frame vectors each, and how many questions of a kind."""

    series: int
    frames: int
    questions: int

    def disk_bytes(self, dimension: int) -> int:
        """What the engine's files take at most: the vectors, the write-ahead log and the payload."""
        return self._vector_bytes(dimension) + self.series * (1024 + 120 * self.frames) + 2**28

    def memory_bytes(self, dimension: int) -> int:
        """The scan's arrays, and the engine's own copy of the pooled vectors."""
        return self._vector_bytes(dimension) + self.series * (4 * dimension + 2048)

    def _vector_bytes(self, dimension: int) -> int:
        return self.series * dimension * (4 + 2 * self.frames)


@dataclass(frozen=True, slots=True)
class _Kind:
    """A kind of question about one example."""

    name: str
    scope: Callable[[SeriesEmbedding], Scope]


def _same_modality(example: SeriesEmbedding) -> Filters:
    return Filters(modality=(example.attributes.modality,))


def _not_own(example: SeriesEmbedding, filters: Filters | None = None) -> Scope:
    return Scope(
        filters or Filters(), example.reference.study_instance_uid, not_patient=example.attributes.patient
    )


KINDS: Final = (
    _Kind("index: no filter", lambda _: Scope()),
    _Kind("index: same modality", lambda e: Scope(_same_modality(e))),
    _Kind("index: other patients", _not_own),
    _Kind("index: same modality, other patients", lambda e: _not_own(e, _same_modality(e))),
)


def measure_searching(
    size: Size, encoder: EncoderVersion, encoding: Encoder, folder: Path, told: Told
) -> Searching:
    """Fill an engine of our own with synthetic series and ask it.

    Args:
        size: of the index, and how often it is asked.
        encoder: gives the dimension; none of its vectors are used.
        encoding: what `Search` would ask for vectors; every example of this bench has some.
        folder: for the engine's files.
        told: hears of every thousand series stored, or fewer at the end.
    """
    series, frames = size.series, size.frames
    synthetic = SyntheticIndex(series, frames, encoder)
    scan = ExactScan(series, frames, encoder.dimension)
    rng = np.random.default_rng(synthetic.seed + 1)
    chosen = set(rng.choice(series, size=min(size.questions + WARM_UP, series), replace=False).tolist())
    examples: list[SeriesEmbedding] = []

    def stored() -> Iterator[list[SeriesEmbedding]]:
        number = 0
        for chunk in synthetic.chunks():
            for embedding in chunk:
                scan.add(embedding)
                if number in chosen:
                    examples.append(embedding)
                number += 1
            yield chunk
            told(len(chunk))

    with _engine(folder) as index:
        index.prepare(encoder)
    started = time.perf_counter()
    load(folder / "engine", stored())
    load_s = time.perf_counter() - started
    with _engine(folder) as index:
        latencies = [_of_the_index(index, scan, kind, examples) for kind in KINDS]
        latencies += _of_the_search(index, encoding, examples, folder)
    return Searching(
        series=series,
        studies=synthetic.studies,
        frames_a_series=frames,
        dimension=encoder.dimension,
        load_series_per_s=series / load_s,
        latencies=tuple(latencies),
    )


@contextmanager
def _engine(folder: Path) -> Iterator[QdrantIndex]:
    with Supervisor() as supervisor:
        endpoint = start_engine(folder, supervisor)
        index = QdrantIndex(endpoint.url, api_key=endpoint.api_key)
        try:
            yield index
        finally:
            index.close()


def _of_the_index(
    index: QdrantIndex, scan: ExactScan, kind: _Kind, examples: Sequence[SeriesEmbedding]
) -> Latency:
    """Each question to the engine and to numpy, in turn."""
    times, scans, agreed = [], [], []
    for example in examples:
        scope = kind.scope(example)
        mask = scan.mask(scope)
        asked = time.perf_counter()
        found = index.nearest(
            example.encoder, example.vector, example.frame_vectors, limit=LIMIT, scope=scope
        )
        answered = time.perf_counter()
        exact = scan.nearest(example.vector, example.frame_vectors, LIMIT, mask)
        scanned = time.perf_counter()
        times.append((answered - asked) * 1000)
        scans.append((scanned - answered) * 1000)
        studies = {candidate.reference.study_instance_uid for candidate in found}
        agreed.append(len(studies.intersection(exact)) / max(len(exact), 1))
    kept = slice(min(WARM_UP, len(times) - 1), None)
    return Latency(kind.name, tuple(times[kept]), tuple(scans[kept]), float(np.mean(agreed)))


def _of_the_search(
    index: QdrantIndex, encoding: Encoder, examples: Sequence[SeriesEmbedding], folder: Path
) -> Iterator[Latency]:
    """What a caller waits for: the stored example, its candidates and the frames that are alike."""
    with (
        TemporaryDirectory(dir=folder) as empty,
        Ledger.open(f"sqlite:///{Path(empty) / 'ledger.sqlite'}") as ledger,
    ):
        archive = FolderArchive(Path(empty))
        search = Search(
            line_ups=lambda: LineUps.alone(examples[0].encoder),
            ledger=ledger,
            archive=archive,
            encoder=encoding,
            index=index,
            access=archive,
        )
        one_series = [ExampleReference(series_instance_uid=e.reference.series_instance_uid) for e in examples]
        studies = [ExampleReference(study_instance_uid=e.reference.study_instance_uid) for e in examples]
        for name, asked in (("search: one series", one_series), ("search: a study of three series", studies)):
            yield _timed(name, [partial(_ask, search, reference) for reference in asked])
    pages = [partial(_page, index, examples, first) for first in range(len(examples))]
    yield _timed("a page of 24 studies: their frames", pages)


def _ask(search: Search, example: ExampleReference) -> None:
    search.similar(Question(example, limit=LIMIT), BENCH)


def _page(index: QdrantIndex, examples: Sequence[SeriesEmbedding], first: int) -> None:
    of_page = [examples[(first + i) % len(examples)] for i in range(PAGE_OF_STUDIES)]
    index.indexed(of_page[0].encoder, [e.reference.archive_id for e in of_page])


def _timed(name: str, asking: Sequence[Callable[[], None]]) -> Latency:
    times = []
    for ask in asking:
        started = time.perf_counter()
        ask()
        times.append((time.perf_counter() - started) * 1000)
    return Latency(name, tuple(times[min(WARM_UP, len(times) - 1) :]))
