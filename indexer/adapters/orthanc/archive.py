"""Orthanc as the archive, its change log, and the judge of who may see what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from indexer.adapters.orthanc.library import OrthancLibrary
from indexer.adapters.orthanc.probing import Probes
from indexer.adapters.orthanc.reading import (
    fingerprint,
    is_orthanc_id,
    is_uid,
    listed_series,
    stored_instance,
)
from indexer.adapters.orthanc.rest import Download, OrthancRest
from indexer.domain import SeriesReference
from indexer.errors import ArchiveUnavailable, NotFound
from indexer.ports import (
    Caller,
    Change,
    ChangeKind,
    ChangePage,
    FetchedInstance,
    ListedSeries,
    StoredInstance,
    StoredSeries,
)

PAGE: Final = 500
# Orthanc 1.11 and later answers with the UID of the study; 1.10 ignores the wish.
WITH_STUDY_UID: Final = {"requestedTags": "StudyInstanceUID"}

_KINDS: Final[dict[str, ChangeKind]] = {"NewSeries": "new", "StableSeries": "stable"}


class OrthancArchive:
    """An Orthanc server behind its REST API: Archive, ChangeLog and Access."""

    name = "orthanc"

    def __init__(
        self,
        url: str,
        *,
        user: str = "",
        password: str = "",
        timeout_s: float = 60.0,
        max_instance_bytes: int = 2**30,
    ) -> None:
        """Remember how to reach Orthanc; nothing is connected yet.

        Args:
            url: of the REST API.
            user: our own account, which may read everything; empty where Orthanc wants none.
            password: of that account.
            timeout_s: the longest wait for one answer; a large file may take longer.
            max_instance_bytes: the largest file that is fetched.
        """
        self._rest = OrthancRest(
            url, user=user, password=password, timeout_s=timeout_s, max_file_bytes=max_instance_bytes
        )
        self._probes = Probes(self._rest)
        self.library = OrthancLibrary(self._rest)
        self._study_uids: dict[str, str] = {}

    def __enter__(self) -> OrthancArchive:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go; no call may follow."""
        self._rest.close()

    def list_series(self) -> Iterator[ListedSeries]:
        """Every series that is there from the beginning of the listing to its end, once.

        Pages shift when something is deleted meanwhile; what they skip is asked for by itself.
        """
        expected: list[str] = self._rest.get("/series")
        seen: set[str] = set()
        for page in self._pages():
            fresh = [series for series in page if series["ID"] not in seen]
            seen.update(series["ID"] for series in fresh)
            yield from self._listed(fresh)
        skipped = [_path("series", archive_id) for archive_id in expected if archive_id not in seen]
        yield from self._listed(self._rest.get_each(skipped).values())

    def series(self, archive_id: str) -> StoredSeries:
        """One series with its instances, in no order. Raises NotFound when it is gone.

        Asked for in this order, a change in between leaves an old revision with a new fingerprint: the
        series is looked at once more, and none is missed.
        """
        path = _path("series", archive_id)
        try:
            series = self._rest.get(path, **WITH_STUDY_UID)
        except NotFound:
            self._refuse_a_strangers_word()
            raise
        instances = self._rest.get(f"{path}/instances", expand="true")
        for listed in self._listed([series]):
            return StoredSeries(
                listed=listed,
                fingerprint=fingerprint(instances),
                instances=tuple(stored_instance(instance) for instance in instances),
            )
        raise NotFound(f"Series {archive_id} is no longer in Orthanc.")

    def fetch(self, instances: Sequence[StoredInstance], into: Path) -> Iterator[FetchedInstance]:
        """Fetch four at once into the folder `into`, each file complete when it is given.

        An instance that is gone meanwhile is left out. Raises TooLarge for one that is larger than
        the limit: look at `size_bytes` first.
        """
        by_file = {into / f"{i.archive_id}.dcm": i for i in instances if is_orthanc_id(i.archive_id)}
        downloads = [Download(_file(i.archive_id), to, i.size_bytes) for to, i in by_file.items()]
        for download in self._rest.fetch(downloads):
            yield FetchedInstance(instance=by_file[download.to], path=download.to)

    def find_instance(self, sop_instance_uid: str) -> StoredInstance:
        """One instance by its UID; where several patients share it, always the same one."""
        for archive_id in self._look_up(sop_instance_uid, "Instance"):
            return stored_instance(self._rest.get(_path("instances", archive_id)))
        raise NotFound(f"There is no instance {sop_instance_uid}.")

    def series_of_study(self, study_instance_uid: str) -> tuple[SeriesReference, ...]:
        """The series of one study, those of every patient who shares its UID; empty when none."""
        paths = [f"/studies/{i}/series?expand=true" for i in self._look_up(study_instance_uid, "Study")]
        return tuple(
            listed_series(series, study_instance_uid).reference
            for found in self._rest.get_each(paths).values()
            for series in found
        )

    def changes(self, since: int, limit: int) -> ChangePage:
        """The series that came or became stable after `since`, of the next `limit` rows of the log.

        Orthanc logs no deletion, and an instance that joins a series only when the series is stable
        again; a page may hold no change and yet not be the last.
        """
        page = self._rest.get("/changes", since=since, limit=limit)
        return ChangePage(
            changes=tuple(
                Change(sequence=int(row["Seq"]), kind=_KINDS[row["ChangeType"]], archive_id=row["ID"])
                for row in page["Changes"]
                if row["ChangeType"] in _KINDS
            ),
            last=int(page["Last"]),
            done=bool(page["Done"]),
        )

    def visible(self, caller: Caller, series: Sequence[SeriesReference]) -> frozenset[str]:
        """The archive ids that Orthanc shows to the caller's own credentials; all, when there are none.

        Orthanc not answering is ArchiveUnavailable, never "visible".
        """
        archive_ids = frozenset(reference.archive_id for reference in series)
        if caller.credentials is None:
            return archive_ids
        return self._probes.visible(caller.credentials, {i for i in archive_ids if is_orthanc_id(i)})

    def _refuse_a_strangers_word(self) -> None:
        """A proxy may answer 404 while Orthanc restarts; believed, it would cost the series its vectors."""
        try:
            self._rest.get("/system")
        except NotFound as stranger:
            raise ArchiveUnavailable(
                "Something other than Orthanc answers at CBIR_ORTHANC_URL: it knows no /system."
            ) from stranger

    def _pages(self) -> Iterator[list[dict[str, Any]]]:
        since = 0
        while page := self._rest.get("/series", expand="true", since=since, limit=PAGE, **WITH_STUDY_UID):
            yield page
            since += len(page)

    def _listed(self, found: Iterable[Mapping[str, Any]]) -> Iterator[ListedSeries]:
        """With the UID of the study, which is asked for once; without series that go meanwhile."""
        series = list(found)
        self._learn_study_uids(series)
        for one in series:
            study_instance_uid = self._study_uids.get(one["ParentStudy"])
            if study_instance_uid is not None:
                yield listed_series(one, study_instance_uid)

    def _learn_study_uids(self, series: Sequence[Mapping[str, Any]]) -> None:
        """An identifier of Orthanc is a hash of the UIDs: what it stands for never changes."""
        for one in series:
            uid = one.get("RequestedTags", {}).get("StudyInstanceUID")
            if uid:
                self._study_uids[one["ParentStudy"]] = uid
        unknown = {one["ParentStudy"] for one in series} - self._study_uids.keys()
        for study in self._rest.get_each([_path("studies", archive_id) for archive_id in unknown]).values():
            self._study_uids[study["ID"]] = study["MainDicomTags"].get("StudyInstanceUID", "")

    def _look_up(self, uid: str, level: str) -> list[str]:
        found = self._rest.look_up(uid) if is_uid(uid) else []
        return sorted(resource["ID"] for resource in found if resource["Type"] == level)


def _path(level: str, archive_id: str) -> str:
    if not is_orthanc_id(archive_id):
        raise NotFound(f"{archive_id[:64]!r} is no identifier of Orthanc.")
    return f"/{level}/{archive_id}"


def _file(archive_id: str) -> str:
    return f"{_path('instances', archive_id)}/file"
