"""What the pictures of the page show: real images where they are at hand, synthetic ones elsewhere.

The real ones are of data sets whose licence lets them be shown: Lesjak et al., "A Novel Public MR Image
Dataset of Multiple Sclerosis Patients", Neuroinformatics 2018 (CC BY); Kermany et al., "Large Dataset of
Labeled Optical Coherence Tomography (OCT) and Chest X-Ray Images", Mendeley Data 2018 (CC BY 4.0).
"""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

BRAIN, CHEST = "openms_multiseq_mr", "pneumonia_cxr"
CHESTS = 26
EARLIER = ("20180611", "20200304")


@dataclass(frozen=True)
class Gallery:
    """Files by study, and the studies that the pictures are of."""

    files: Mapping[str, Sequence[Path]]
    brain: str
    chest: str
    new_chest: tuple[Path, ...]


def gallery(folder: Path, brain: Sequence[Path], chests: Sequence[Sequence[Path]]) -> Gallery:
    """What is to be archived besides; `brain` and `chests` are the synthetic studies to fall back upon.

    The last chest is kept back, and two others are earlier studies of the first one's patient.
    """
    real = _real(folder)
    if real is not None:
        brain_studies, chest_studies = real
    else:
        brain_studies, chest_studies = [brain], list(chests)
    *archived, new = chest_studies
    earlier = [
        _of_another_day(paths, archived[0], day, folder)
        for paths, day in zip(archived[1:3], EARLIER, strict=True)
    ]
    added = [*earlier, *(brain_studies + archived if real is not None else [])]
    return Gallery(
        files={_study(paths): paths for paths in added},
        brain=_study(brain_studies[0]),
        chest=_study(archived[0]),
        new_chest=tuple(new),
    )


def series_of(files: Mapping[str, Sequence[Path]]) -> int:
    """How many series these files make."""
    return len({_header(path).SeriesInstanceUID for paths in files.values() for path in paths})


def _real(folder: Path) -> tuple[list[Sequence[Path]], list[Sequence[Path]]] | None:
    """Studies of brains and chests; None where CBIR_TEST_DATA names none."""
    named = os.environ.get("CBIR_TEST_DATA")
    if not named:
        return None
    script, out = Path(named).parent / "tools" / "bench_to_dicom.py", folder / "real"
    chosen = ["--dataset", BRAIN, "--dataset", CHEST, "--subjects", str(CHESTS)]
    subprocess.run([sys.executable, str(script), f"{named}/bench", str(out), *chosen], check=True)
    found: dict[str, dict[str, list[Path]]] = {BRAIN: defaultdict(list), CHEST: defaultdict(list)}
    with (out / "truth.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            found[row["dataset"]][row["study_instance_uid"]].append(out / row["path"])
    return list(found[BRAIN].values()), list(found[CHEST].values())


def _of_another_day(paths: Sequence[Path], like: Sequence[Path], day: str, folder: Path) -> tuple[Path, ...]:
    """A study as if it were an earlier one of the patient of another."""
    written = []
    patient = _header(like[0]).PatientID
    for path in paths:
        dataset = dcmread(path)
        dataset.PatientID, dataset.StudyDate = patient, day
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(dataset, keyword, generate_uid(entropy_srcs=[day, str(dataset[keyword].value)]))
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        target = folder / f"{dataset.SOPInstanceUID}.dcm"
        dataset.save_as(target)
        written.append(target)
    return tuple(written)


def _study(paths: Sequence[Path]) -> str:
    return str(_header(paths[0]).StudyInstanceUID)


def _header(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True)
