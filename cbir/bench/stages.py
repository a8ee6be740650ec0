"""Each stage of indexing alone on the same series, with the processes and threads that a worker has."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cbir.bench import decoder_work
from indexer.domain import SeriesEmbedding
from indexer.ports import Archive, FetchedInstance, VectorIndex
from inference.card import Card
from inference.decoders import Decoders
from inference.embedding import SeriesEmbedder
from inference.encoder import OnnxEncoder
from inference.frames import PreparedInstance, prepare
from inference.sampling import SampledFrame, sample_frames

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Workshop:
    """What the worker works with."""

    archive: Archive
    index: VectorIndex
    encoder: OnnxEncoder
    decoders: Decoders
    embedder: SeriesEmbedder
    lanes: int
    max_frames: int
    batch_size: int

    @property
    def card(self) -> Card:
        """The card of the encoder."""
        return self.encoder.card


@dataclass(frozen=True, slots=True)
class FetchedSeries:
    """The sampled frames of one series, with their files."""

    archive_id: str
    sampled: tuple[SampledFrame, ...]
    fetched: tuple[FetchedInstance, ...]

    @property
    def pieces(self) -> list[tuple[Path, tuple[int, ...]]]:
        """Each file with the frames (0-based) that are wanted of it."""
        frames: dict[str, list[int]] = {}
        for frame in self.sampled:
            frames.setdefault(frame.instance.archive_id, []).append(frame.frame_index)
        return [(one.path, tuple(frames[one.instance.archive_id])) for one in self.fetched]


def fetch(shop: Workshop, archive_ids: Sequence[str], into: Path) -> list[FetchedSeries]:
    """List, sample and fetch every series, as many at once as the worker has lanes."""

    def fetched(archive_id: str) -> FetchedSeries:
        stored = shop.archive.series(archive_id)
        sampled = sample_frames(stored.instances, shop.max_frames)
        wanted = list({frame.instance.archive_id: frame.instance for frame in sampled}.values())
        folder = into / str(abs(hash(archive_id)))
        folder.mkdir(exist_ok=True)
        return FetchedSeries(archive_id, tuple(sampled), tuple(shop.archive.fetch(wanted, folder)))

    with ThreadPoolExecutor(shop.lanes) as lanes:
        return list(lanes.map(fetched, archive_ids))


def decode(shop: Workshop, series: Iterable[FetchedSeries]) -> None:
    """Decode every sampled frame in the decoder processes."""
    calls = [
        shop.decoders.submit(decoder_work.decode, path, frames, shop.decoders.limits)
        for one in series
        for path, frames in one.pieces
    ]
    for call in calls:
        shop.decoders.result(call)


def render_s(shop: Workshop, series: Iterable[FetchedSeries]) -> float:
    """Seconds that rendering alone keeps the decoder processes busy, all of them at work."""
    wanted, limits = shop.card.input.preprocessing, shop.decoders.limits
    calls = [
        shop.decoders.submit(decoder_work.rendering_s, path, frames, wanted, limits)
        for one in series
        for path, frames in one.pieces
    ]
    return sum(shop.decoders.result(call) for call in calls) / shop.decoders.processes


def prepared(shop: Workshop, series: Iterable[FetchedSeries]) -> list[list[PreparedInstance]]:
    """Decode, render and preprocess every sampled frame, as the worker has it done."""
    wanted, limits = shop.card.input.preprocessing, shop.decoders.limits
    calls = [
        [shop.decoders.submit(prepare, path, frames, wanted, limits) for path, frames in one.pieces]
        for one in series
    ]
    return [[shop.decoders.result(call) for call in of_one] for of_one in calls]


def pixels_of(instances: Iterable[PreparedInstance]) -> list[NDArray[np.float32]]:
    """The model's inputs of one series."""
    return [frame.pixels for instance in instances for frame in instance.frames if frame.pixels is not None]


def encode(shop: Workshop, frames: Sequence[NDArray[np.float32]]) -> None:
    """Encode frames in full batches."""
    for start in range(0, len(frames), shop.batch_size):
        shop.encoder.encode(np.stack(frames[start : start + shop.batch_size]))


def encode_one_by_one(shop: Workshop, series: Sequence[Sequence[NDArray[np.float32]]]) -> None:
    """Encode a series at a time, each lane its own: the last batch of each is as full as it happens to be."""
    with ThreadPoolExecutor(shop.lanes) as lanes:
        list(lanes.map(lambda frames: encode(shop, frames), series))


def embed(shop: Workshop, series: Iterable[FetchedSeries]) -> list[SeriesEmbedding]:
    """The embeddings, for the stage that stores them; not timed."""
    return [
        shop.embedder.embed_series(
            shop.archive.series(one.archive_id).listed.reference, one.sampled, one.fetched
        ).embedding
        for one in series
    ]


def upsert(shop: Workshop, embeddings: Sequence[SeriesEmbedding]) -> None:
    """Store every series in a request of its own, as many at once as the worker has lanes."""
    with ThreadPoolExecutor(shop.lanes) as lanes:
        list(lanes.map(lambda embedding: shop.index.upsert([embedding]), embeddings))


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """What the work gives, and the seconds it took."""
    started = time.perf_counter()
    result = work()
    return result, time.perf_counter() - started


@dataclass(frozen=True, slots=True)
class Seconds:
    """Seconds of each stage alone for all series, of one round."""

    fetch: float
    decode: float
    render: float
    encode: float
    upsert: float
    prepare: float
    encode_one_by_one: float
    frames: int


def measure(shop: Workshop, archive_ids: Sequence[str], spool: Path) -> Seconds:
    """One round over all series; leaves the vector index as it was."""
    with TemporaryDirectory(prefix="fetched-", dir=spool) as folder:
        series, fetch_s = timed(lambda: fetch(shop, archive_ids, Path(folder)))
        _, decode_s = timed(lambda: decode(shop, series))
        rendering_s = render_s(shop, series)
        ready, prepare_s = timed(lambda: prepared(shop, series))
        embeddings = embed(shop, series)
    frames = [pixels_of(instances) for instances in ready]
    _, encode_s = timed(lambda: encode(shop, [frame for of_one in frames for frame in of_one]))
    _, one_by_one_s = timed(lambda: encode_one_by_one(shop, frames))
    _, upsert_s = timed(lambda: upsert(shop, embeddings))
    shop.index.delete(shop.encoder.version, archive_ids)
    return Seconds(
        fetch=fetch_s,
        decode=decode_s,
        render=rendering_s,
        encode=encode_s,
        upsert=upsert_s,
        prepare=prepare_s,
        encode_one_by_one=one_by_one_s,
        frames=sum(map(len, frames)),
    )
