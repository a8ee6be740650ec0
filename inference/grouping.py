"""Files outside an archive, grouped by the series that their headers name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from indexer.domain import SeriesReference
from indexer.errors import NotFound, Rejected
from indexer.ports import FetchedInstance, StoredInstance
from inference.decoders import Decoders
from inference.frames import InstanceSummary, summarise
from inference.outcome import Outcome
from inference.sampling import SampledFrame, in_order


@dataclass(frozen=True, slots=True)
class SeriesFiles:
    """The files of one series; `modality` (0008,0060) is that of the first file that names one."""

    modality: str
    instances: list[FetchedInstance]


def by_series(
    paths: Sequence[Path], decoders: Decoders, outcome: Outcome
) -> dict[SeriesReference, SeriesFiles]:
    """The readable files by series, in the order of the UIDs; the others are noted in `outcome`.

    Outside an archive a series is called "study UID/series UID", and an instance by its path.
    """
    calls = [(path, decoders.submit(summarise, path, decoders.limits)) for path in paths]
    groups: dict[SeriesReference, list[FetchedInstance]] = {}
    modalities: dict[SeriesReference, str] = {}
    for path, call in calls:
        try:
            summary = decoders.result(call)
        except Rejected as refused:
            outcome.refuse(refused, "")
            continue
        reference = _reference_of(summary)
        groups.setdefault(reference, []).append(_fetched(path, summary))
        modalities[reference] = modalities.get(reference) or summary.attributes.modality
    in_order_of_uids = sorted(groups, key=lambda reference: reference.archive_id)
    return {
        reference: SeriesFiles(modalities[reference], groups[reference]) for reference in in_order_of_uids
    }


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
