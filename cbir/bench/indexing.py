"""How close indexing comes to its own slowest stage: every stage alone, then the whole worker, in turn."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

from cbir.bench import stages
from cbir.bench.busy import BusyCores
from cbir.bench.figures import Indexing, Stage
from cbir.bench.stages import Seconds, Workshop
from cbir.deployment import Deployment
from indexer.errors import Rejected
from indexer.ledger import Ledger, Notice, Priority, State
from indexer.ports import ListedSeries
from inference.embedders import Alone
from inference.worker import Worker, WorkLimits

STAGES: Final = ("fetch", "decode", "render", "encode", "upsert")

Told = Callable[[int], None]


def measure_indexing(
    deployment: Deployment, kind: str, series: int, rounds: int, spool: Path, told: Told
) -> Indexing:
    """Index the archive's first `series` series that can be, `rounds` times, by stages and as a whole.

    Args:
        deployment: with a data directory that is ours alone; the archive is only read.
        kind: what the figures are called.
        series: how many; fewer where the archive has fewer.
        rounds: the medians of these are the figures. One more, the first, starts every process and is
            not counted.
        spool: a folder for fetched files and ledgers.
        told: hears of each round that is done.

    Raises:
        Rejected: the archive has no series, or one of them cannot be indexed.
        Unavailable: the archive or the engine does not answer.
    """
    shop = _workshop(deployment)
    listed = list(islice(_usable(shop, spool), series))
    if not listed:
        raise Rejected("The archive has no series to measure with.")
    ids = [one.reference.archive_id for one in listed]
    alone: list[Seconds] = []
    whole: list[tuple[float, float | None]] = []
    for number in range(rounds + 1):
        alone.append(stages.measure(shop, ids, spool))
        whole.append(_whole(deployment, shop, listed, spool / f"ledger-{number}.sqlite"))
        told(1)
    return _figures(kind, len(ids), alone[1:], whole[1:])


def _usable(shop: Workshop, spool: Path) -> Iterator[ListedSeries]:
    """The series of the archive that can be embedded: reports and their like are not what is measured."""
    for listed in shop.archive.list_series():
        with TemporaryDirectory(prefix="fetched-", dir=spool) as folder:
            try:
                stages.embed(shop, stages.fetch(shop, [listed.reference.archive_id], Path(folder)))
            except Rejected:
                continue
        yield listed


def _workshop(deployment: Deployment) -> Workshop:
    settings = deployment.settings
    embedder = deployment.embedder.of(deployment.encoder_version)
    return Workshop(
        archive=deployment.archive,
        index=deployment.index,
        encoder=embedder.encoder,
        decoders=deployment.decoders,
        embedder=embedder,
        lanes=settings.lanes,
        max_frames=settings.max_frames,
        batch_size=settings.batch_size,
    )


def _whole(
    deployment: Deployment, shop: Workshop, listed: Sequence[ListedSeries], ledger_path: Path
) -> tuple[float, float | None]:
    """Seconds of the whole worker on a fresh ledger, and the cores that were busy meanwhile."""
    with Ledger.open(f"sqlite:///{ledger_path}") as ledger:
        ledger.notice(_notices(listed, deployment.archive.name), datetime.now(UTC))
        worker = Worker(
            ledger=ledger,
            archive=shop.archive,
            index=shop.index,
            embedders=Alone(shop.embedder),
            spool=ledger_path.parent,
            limits=WorkLimits(lanes=shop.lanes, max_frames=shop.max_frames),
        )
        busy = BusyCores()
        _, seconds = stages.timed(lambda: worker.run(threading.Event(), until_idle=True))
        cores = busy.since()
        done = ledger.counts()[State.INDEXED]
        if done != len(listed):
            raise Rejected(
                f"{len(listed) - done} of {len(listed)} series could not be indexed "
                f"({', '.join(ledger.reasons()) or 'no reason'}): the figures would not compare."
            )
    shop.index.delete(shop.encoder.version, [one.reference.archive_id for one in listed])
    return seconds, cores


def _notices(listed: Sequence[ListedSeries], archive: str) -> list[Notice]:
    return [
        Notice(
            archive_id=one.reference.archive_id,
            archive=archive,
            priority=Priority.BACKFILL,
            reference=one.reference,
            modality=one.modality,
            revision=one.revision,
        )
        for one in listed
    ]


def _figures(
    kind: str, series: int, alone: Sequence[Seconds], whole: Sequence[tuple[float, float | None]]
) -> Indexing:
    def rate(name: str) -> float:
        return series / float(median(getattr(seconds, name) for seconds in alone))

    cores = [busy for _, busy in whole if busy is not None]
    return Indexing(
        kind=kind,
        series=series,
        frames_a_series=alone[0].frames / series,
        stages=tuple(Stage(name, rate(name)) for name in STAGES),
        decoders_per_s=rate("prepare"),
        encoder_one_by_one_per_s=rate("encode_one_by_one"),
        whole_per_s=series / median(seconds for seconds, _ in whole),
        busy_cores=median(cores) if cores else None,
    )
