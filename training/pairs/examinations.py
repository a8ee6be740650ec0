"""Examinations of an archive as a benchmark's folder: rendered frames, each with its study's report."""

from __future__ import annotations

import csv
import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from evaluation.benchmark import LABELS_NAME, Benchmark, LabelledImage
from indexer.errors import NotFound, Rejected, Unsupported
from indexer.ports import Archive, FetchedInstance, ListedSeries
from inference.decoders import Decoders
from inference.frames import InstanceSummary, render, summarise
from inference.reports import Report, read_report
from inference.sampling import SampledFrame, sample_frames
from training.errors import TrainingError
from training.pairs.reports import by_study

ARCHIVE_DATASET: Final = "archive"
FRAMES: Final = "frames"
REQUEST_NAME: Final = "request.json"
COLUMNS: Final = tuple(column.name for column in fields(LabelledImage))
_DOCUMENT_MODALITIES: Final = ("SR", "DOC", "OT")
_MAX_REPORTS_A_SERIES: Final = 64

Pseudonym = Callable[[str, str], str | None]


@dataclass
class Examinations:
    """Takes an archive's examinations into a folder.

    Attributes:
        archive: where they are.
        decoders: every file is read in a decoder's process, by the product's own renderer.
        pseudonym: (issuer, patient id) to a keyed hash; the id goes nowhere else.
        folder: only its user can read it.
        modalities: of the images; empty is every one.
        max_frames: sampled from each series.
        longest_side: pixels of a rendered frame.
        reasons: why something was left out, counted.
    """

    archive: Archive
    decoders: Decoders
    pseudonym: Pseudonym
    folder: Path
    modalities: Sequence[str] = ()
    max_frames: int = 8
    longest_side: int = 256
    reasons: Counter[str] = field(default_factory=Counter)

    def take(self, reports: Mapping[str, str] | None = None) -> Benchmark:
        """Render the images of every study that has a report; what was taken before is opened again.

        Args:
            reports: by Study Instance UID; None reads them from the archive.

        Returns:
            The folder: series are "study/series" UIDs, subjects patients' keyed hashes, `report` the text.

        Raises:
            TrainingError: there is no report, no image of a study that has one, or the folder holds what
                was taken with other modalities, frames or reports.
            ArchiveUnavailable: the archive does not answer.
        """
        private_folder(self.folder)
        request = self._request(reports)
        if (self.folder / LABELS_NAME).exists():
            self._refuse_other(request)
            return Benchmark.open(self.folder)
        listed = sorted(self.archive.list_series(), key=lambda series: series.reference.archive_id)
        texts = dict(reports) if reports is not None else by_study(self._reports(listed))
        if not texts:
            raise TrainingError(
                "The archive holds no report that can be read (Structured Report or encapsulated "
                f"document): give a table of reports. Left out: {self._left_out()}."
            )
        rows = [
            replace(row, report=texts[series.reference.study_instance_uid])
            for series in listed
            if series.reference.study_instance_uid in texts and self._wanted(series)
            for row in self._rendered(series)
        ]
        if not rows:
            raise TrainingError(
                f"No image of the {len(texts)} studies with a report can be used: {self._left_out()}."
            )
        (self.folder / REQUEST_NAME).write_text(request, encoding="utf-8")
        write_labels(self.folder, rows)
        return Benchmark.open(self.folder)

    def _request(self, reports: Mapping[str, str] | None) -> str:
        """What is asked for, as JSON; of a table of reports its hash alone."""
        table = None if reports is None else json.dumps(sorted(reports.items())).encode()
        asked = {
            "archive": self.archive.name,
            "modalities": sorted(self.modalities),
            "max_frames": self.max_frames,
            "longest_side": self.longest_side,
            "reports": None if table is None else hashlib.sha256(table).hexdigest(),
        }
        return json.dumps(asked, indent=1) + "\n"

    def _refuse_other(self, request: str) -> None:
        file = self.folder / REQUEST_NAME
        if not file.is_file() or file.read_text(encoding="utf-8") != request:
            raise TrainingError(
                f"{self.folder} holds examinations that were taken with another archive, other modalities, "
                "frames or reports: take another folder, or delete it."
            )

    def _left_out(self) -> str:
        return ", ".join(f"{count} {reason}" for reason, count in self.reasons.most_common()) or "nothing"

    def _wanted(self, series: ListedSeries) -> bool:
        return not self.modalities or series.modality in self.modalities

    def _reports(self, listed: Sequence[ListedSeries]) -> Iterator[Report]:
        for series in listed:
            if series.modality not in _DOCUMENT_MODALITIES:
                continue
            with tempfile.TemporaryDirectory(dir=self.folder) as spool:
                for fetched in self._fetched(series, Path(spool), reports=True):
                    try:
                        call = self.decoders.submit(read_report, fetched.path)
                        yield self.decoders.result(call)
                    except Rejected as refused:
                        self.reasons[refused.reason] += 1

    def _fetched(self, series: ListedSeries, spool: Path, *, reports: bool) -> Iterator[FetchedInstance]:
        try:
            stored = self.archive.series(series.reference.archive_id)
        except NotFound:
            self.reasons["gone"] += 1
            return
        wanted = list(stored.instances)[:_MAX_REPORTS_A_SERIES] if reports else list(stored.instances)
        yield from self.archive.fetch(wanted, spool)

    def _rendered(self, series: ListedSeries) -> Iterator[LabelledImage]:
        try:
            stored = self.archive.series(series.reference.archive_id)
        except NotFound:
            self.reasons["gone"] += 1
            return
        sampled = sample_frames(stored.instances, self.max_frames) if stored.instances else []
        instances = {frame.instance.archive_id: frame.instance for frame in sampled}
        with tempfile.TemporaryDirectory(dir=self.folder) as spool:
            for fetched in self.archive.fetch(list(instances.values()), Path(spool)):
                own = [f for f in sampled if f.instance.archive_id == fetched.instance.archive_id]
                try:
                    yield from self._frames(series, fetched, own)
                except Unsupported as refused:
                    self.reasons[refused.reason] += 1
                except Rejected as refused:
                    self.reasons[refused.reason] += 1

    def _frames(
        self, series: ListedSeries, fetched: FetchedInstance, frames: Sequence[SampledFrame]
    ) -> Iterator[LabelledImage]:
        limits = self.decoders.limits
        summary = self.decoders.result(self.decoders.submit(summarise, fetched.path, limits))
        for frame in frames:
            call = self.decoders.submit(render, fetched.path, frame.frame_index, self.longest_side, limits)
            png = self.decoders.result(call)
            if _is_flat(png):
                self.reasons["blank_frame"] += 1
                continue
            name = f"{FRAMES}/{summary.identity.sop_instance_uid}-{frame.frame_index + 1}.png"
            (self.folder / FRAMES).mkdir(exist_ok=True, mode=0o700)
            (self.folder / name).write_bytes(png)
            yield self._row(name, series, summary)

    def _row(self, name: str, series: ListedSeries, summary: InstanceSummary) -> LabelledImage:
        reference, attributes = series.reference, summary.attributes
        patient = self.pseudonym(attributes.issuer, attributes.patient_id)
        known = {
            "image": name,
            "dataset": ARCHIVE_DATASET,
            "series": f"{reference.study_instance_uid}/{reference.series_instance_uid}",
            "subject": patient or f"study {reference.study_instance_uid}",
            "subject_kind": "keyed hash of the patient" if patient else "study: the patient is not known",
            "modality": attributes.modality,
            "body_part": attributes.body_part_examined,
            "licence_class": "own archive",
        }
        return LabelledImage(**{column: known.get(column, "") for column in COLUMNS})


def private_folder(folder: Path) -> None:
    """Make a folder that only its user can read, or make it so."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    folder.chmod(0o700)


def write_labels(folder: Path, images: Sequence[LabelledImage]) -> None:
    """Write the table of a benchmark's folder at once, readable by its user only."""
    beside = folder / f"{LABELS_NAME}.part"
    beside.touch(mode=0o600)
    with beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(asdict(image) for image in images)
    beside.replace(folder / LABELS_NAME)


def study_of(image: LabelledImage) -> str:
    """The study of an image: what stands before the first slash of its series."""
    return image.series.partition("/")[0]


def _is_flat(png: bytes) -> bool:
    decoded = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
    return decoded is None or int(decoded.max()) == int(decoded.min())
