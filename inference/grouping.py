"""Files outside an archive, grouped by the series that their headers name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from indexer.domain import SeriesReference
from indexer.errors import NotFound, Rejected
from indexer.ports import FetchedInstance, StoredInstance
from inference.decoders import Decoders
from inference.frames import InstanceSummary, summarise
from inference.outcome import Outcome
from inference.sampling import SampledFrame, in_order

SeriesFiles = dict[SeriesReference, list[FetchedInstance]]


def by_series(paths: Sequence[Path], decoders: Decoders, outcome: Outcome) -> SeriesFiles:
    """The readable files by series, in the order of the UIDs; the others are noted in `outcome`.

    Outside an archive a series is called "study UID/series UID", and an instance by its path.
    """
    calls = [(path, decoders.submit(summarise, path, decoders.limits)) for path in paths]
    groups: SeriesFiles = {}
    for path, call in calls:
        try:
            summary = decoders.result(call)
        except Rejected as refused:
            outcome.refuse(refused, "")
            continue
        groups.setdefault(_reference_of(summary), []).append(_fetched(path, summary))
    return dict(sorted(groups.items(), key=lambda group: group[0].archive_id))


def that_frame(instances: Sequence[StoredInstance], frame_number: int) -> list[SampledFrame]:
    """This frame (1-based) of every instance that has so many. Raises NotFound when none has."""
    having = [i for i in in_order(instances) if 1 <= frame_number <= max(i.number_of_frames, 1)]
    if not having:
        raise NotFound(f"There is no frame {frame_number}.")
    return [SampledFrame(instance, frame_number - 1) for instance in having]


def _reference_of(summary: InstanceSummary) -> SeriesReference:
    study, series = summary.identity.study_instance_uid, summary.identity.series_instance_uid
    return SeriesReference(
        study_instance_uid=study, series_instance_uid=series, archive_id=f"{study}/{series}"
    )


def _fetched(path: Path, summary: InstanceSummary) -> FetchedInstance:
    return FetchedInstance(
        instance=StoredInstance(
            archive_id=str(path),
            sop_instance_uid=summary.identity.sop_instance_uid,
            instance_number=summary.instance_number,
            number_of_frames=summary.number_of_frames,
            size_bytes=summary.size_bytes,
            position_mm=summary.position_mm,
        ),
        path=path,
    )
