"""The images of an example that the archive holds: taken out to be asked about once more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from indexer.answers.example import REPORT_MODALITIES
from indexer.collecting.cases import without_our_answers
from indexer.collecting.policy import Policy
from indexer.errors import NotFound
from indexer.line_up import DOCUMENTS
from indexer.ports import Access, Archive, Caller, Library, StoredInstance

MOST_SERIES: Final = 12
"""Series of an example that are recalled: as many as are compared."""
MOST_INSTANCES: Final = 240
MOST_BYTES: Final = 2**30
"""Of all instances that are recalled together: of more, fewer of each series are taken."""

_NO_IMAGES: Final = REPORT_MODALITIES | DOCUMENTS


@dataclass(frozen=True, slots=True)
class AsSent:
    """What is known of a study that was sent: its patient's pseudonym, SOP Instance UIDs of its images."""

    patient: str = field(repr=False)
    instances: frozenset[str]


@dataclass(frozen=True, slots=True)
class Recalling:
    """Takes a study out of the archive as somebody could have sent it.

    Attributes:
        archive: where it is.
        library: the same archive, which says what its series are.
        access: as far as the caller may see them.
        policy: under which pseudonym a patient is known.
        max_instance_bytes: larger instances are left out.
    """

    archive: Archive
    library: Library
    access: Access
    policy: Policy
    max_instance_bytes: int = 2**30

    @contextmanager
    def files(
        self, caller: Caller, study_instance_uid: str, sent: Collection[AsSent]
    ) -> Iterator[tuple[Path, ...]]:
        """The images of a study, as files that are gone afterwards.

        Of a large study evenly chosen instances of each series; of many series those with the most instances.

        Args:
            caller: who may see them.
            study_instance_uid: which study.
            sent: only a study that is one of these is taken out, of that patient and with all those images;
                for a UID alone, which two studies may share and anybody may write, opens nobody's record.

        Raises:
            NotFound: the archive does not hold it, or the caller may not see it.
            Unavailable: the archive does not answer.
        """
        every = self._images(caller, study_instance_uid, sent) if sent else []
        allowed = [[one for one in series if one.size_bytes <= self.max_instance_bytes] for series in every]
        series = sorted(allowed, key=len, reverse=True)[:MOST_SERIES]
        wanted = {instance.archive_id: instance for instance in bounded(series)}
        with TemporaryDirectory(prefix="cbir-recalled-") as folder:
            found = self.archive.fetch(tuple(wanted.values()), Path(folder)) if wanted else ()
            paths = {fetched.instance.archive_id: fetched.path for fetched in found}
            if not paths:
                raise NotFound(f"The archive does not hold study {study_instance_uid} as it was sent.")
            yield tuple(paths[archive_id] for archive_id in wanted if archive_id in paths)

    def _images(
        self, caller: Caller, study_instance_uid: str, sent: Collection[AsSent]
    ) -> list[tuple[StoredInstance, ...]]:
        """Of the study that was sent those series that hold images and that the caller may see."""
        visible = self.access.visible(caller, self.archive.series_of_study(study_instance_uid))
        for study in self.library.studies_holding(sorted(visible)).values():
            patient = self.policy.patient(study)
            known = [one.instances for one in sent if one.instances and one.patient == patient]
            images = [
                self.library.instances_of(series.archive_id)
                for series in (without_our_answers(study).series if known else ())
                if series.archive_id in visible and series.modality not in _NO_IMAGES
            ]
            held = {instance.sop_instance_uid for series in images for instance in series}
            if any(instances <= held for instances in known):
                return images
        return []


def bounded(series: Sequence[Sequence[StoredInstance]]) -> list[StoredInstance]:
    """As many instances of each series as are allowed, evenly chosen; fewer where they are large."""
    most = MOST_INSTANCES // max(len(series), 1)
    chosen = _evenly(series, most)
    while most > 1 and sum(instance.size_bytes for instance in chosen) > MOST_BYTES:
        most //= 2
        chosen = _evenly(series, most)
    left_bytes, kept = MOST_BYTES, list[StoredInstance]()
    for instance in chosen:
        if instance.size_bytes <= left_bytes:
            left_bytes -= instance.size_bytes
            kept.append(instance)
    return kept


def _evenly(series: Sequence[Sequence[StoredInstance]], most: int) -> list[StoredInstance]:
    chosen: list[StoredInstance] = []
    for one in series:
        count = min(most, len(one))
        chosen += [one[(2 * place + 1) * len(one) // (2 * count)] for place in range(count)]
    return chosen
