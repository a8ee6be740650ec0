"""The images of an example that the archive holds: taken out to be asked about once more."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from indexer.answers.example import REPORT_MODALITIES
from indexer.collecting.cases import without_our_answers
from indexer.collecting.policy import Policy
from indexer.errors import NotFound
from indexer.line_up import DOCUMENTS
from indexer.ports import Access, Archive, ArchivedStudy, Caller, Library, StoredInstance

MOST_SERIES: Final = 12
"""Series of an example that are recalled: as many as are compared."""
MOST_INSTANCES: Final = 240
MOST_BYTES: Final = 2**30
"""Of all instances that are recalled together: of more, fewer of each series are taken."""

_NO_IMAGES: Final = REPORT_MODALITIES | DOCUMENTS


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
        self, caller: Caller, study_instance_uid: str, patients: Collection[str]
    ) -> Iterator[tuple[Path, ...]]:
        """The images of a study, as files that are gone afterwards.

        Of a large study evenly chosen instances of each series; of many series those with the most instances.

        Args:
            caller: who may see them.
            study_instance_uid: which study.
            patients: pseudonyms; only a study of one of them is taken out, for a UID alone, which two
                studies may share and anybody may write, opens nobody's record.

        Raises:
            NotFound: the archive does not hold it, or the caller may not see it.
            Unavailable: the archive does not answer.
        """
        study = self._study(caller, study_instance_uid, patients) if patients else None
        series = [] if study is None else [self._instances(one.archive_id) for one in study.series]
        series = sorted(series, key=len, reverse=True)[:MOST_SERIES]
        wanted = {instance.archive_id: instance for instance in bounded(series)}
        with TemporaryDirectory(prefix="cbir-recalled-") as folder:
            found = self.archive.fetch(tuple(wanted.values()), Path(folder)) if wanted else ()
            paths = {fetched.instance.archive_id: fetched.path for fetched in found}
            if not paths:
                raise NotFound(f"The archive does not hold study {study_instance_uid} as it was sent.")
            yield tuple(paths[archive_id] for archive_id in wanted if archive_id in paths)

    def _study(
        self, caller: Caller, study_instance_uid: str, patients: Collection[str]
    ) -> ArchivedStudy | None:
        """The study with those of its series that hold images and that the caller may see."""
        visible = self.access.visible(caller, self.archive.series_of_study(study_instance_uid))
        for study in self.library.studies_holding(sorted(visible)).values():
            if self.policy.patient(study) in patients:
                images = (
                    series
                    for series in without_our_answers(study).series
                    if series.archive_id in visible and series.modality not in _NO_IMAGES
                )
                return replace(study, series=tuple(images))
        return None

    def _instances(self, archive_id: str) -> list[StoredInstance]:
        found = self.library.instances_of(archive_id)
        return [instance for instance in found if instance.size_bytes <= self.max_instance_bytes]


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
