"""`cbir backfill`: everything the archive holds is looked at again, when nothing else waits."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from cbir.deployment import Deployment
from indexer.ledger import Notice, Priority
from indexer.ports import ListedSeries
from inference.worker import now_utc

CHUNK = 1000


def look_at_everything(deployment: Deployment) -> int:
    """Notice every series at the lowest priority; one that is unchanged and has its vectors is not fetched.

    Returns:
        How many series the archive listed.
    """
    archive, listed, count = deployment.archive, deployment.archive.list_series(), 0
    while chunk := list(islice(listed, CHUNK)):
        deployment.ledger.notice(_notices(chunk, archive.name), now_utc())
        count += len(chunk)
    return count


def _notices(chunk: list[ListedSeries], archive: str) -> Iterator[Notice]:
    for series in chunk:
        yield Notice(
            archive_id=series.reference.archive_id,
            archive=archive,
            priority=Priority.BACKFILL,
            reference=series.reference,
            modality=series.modality,
            revision=series.revision,
        )
