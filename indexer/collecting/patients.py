"""Whose a study is: as the index knows it, for it read the issuer of the id in the files themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from indexer.domain import IndexedSeries
from indexer.ports import ArchivedStudy, Coding, FetchedInstance, Library, StoredInstance, WantedCopy

Indexed = Callable[[Sequence[str]], Mapping[str, IndexedSeries]]
"""What the encoders that are searched hold of series, by archive id. Raises VectorIndexUnavailable."""


class IndexedLibrary:
    """A library that also says under which pseudonym the patient of a study is indexed."""

    def __init__(self, library: Library, indexed: Indexed) -> None:
        """Describe what `library` holds by what is `indexed` of it."""
        self._library = library
        self._indexed = indexed
        self.can_disguise = library.can_disguise

    def studies_holding(self, archive_ids: Sequence[str]) -> Mapping[str, ArchivedStudy]:
        """As the library, with the patient. Raises Unavailable when the index does not answer."""
        found = self._library.studies_holding(archive_ids)
        patients: dict[int, str] = {}
        for archive_id, series in self._indexed(list(found)).items():
            if series.attributes.patient:
                patients[id(found[archive_id])] = series.attributes.patient
        known = {id(study): replace(study, patient=patients.get(id(study))) for study in found.values()}
        return {archive_id: known[id(study)] for archive_id, study in found.items()}

    def instances_of(self, archive_id: str) -> tuple[StoredInstance, ...]:
        """As the library."""
        return self._library.instances_of(archive_id)

    def codings(self, instances: Sequence[StoredInstance]) -> Mapping[str, Coding]:
        """As the library."""
        return self._library.codings(instances)

    def copies(self, wanted: Sequence[WantedCopy], into: Path) -> Iterator[FetchedInstance]:
        """As the library."""
        return self._library.copies(wanted, into)
