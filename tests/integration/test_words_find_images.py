"""Captions of cases that nothing was learned from find their images, through the API, above chance."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid
from rich.console import Console

from demo.walk import Walk, hospital
from evaluation.benchmark import LABELS_NAME
from tests.integration.conftest import ASKING, Programs, wait_until_indexed
from tests.integration.followed import LOOKING_OFTEN
from tests.training.pairs.studies import save

pytestmark = [pytest.mark.orthanc, pytest.mark.shared_data, pytest.mark.timeout(1500)]

CONFIGURATION = Path(__file__).parents[2] / "training" / "configurations" / "image_text_medpix.json"
DATASET = "medpix_ctmr"
LEARNED = 500
ARCHIVED = 60
K = 10
BRIEF = {
    "trunks": ["mobilenetv2"],
    "steps": 150,
    "side": 160,
    "text_fields": ["caption", "caption_sentences"],
}


@dataclass(frozen=True)
class Case:
    """An image of a case, and its caption."""

    path: Path
    caption: str
    study_instance_uid: str


@pytest.fixture(scope="module")
def data() -> Path:
    named = os.environ.get("CBIR_TEST_DATA")
    if not named:
        pytest.skip("CBIR_TEST_DATA names no benchmark images")
    return Path(named)


@pytest.fixture(scope="module")
def split(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Case]]:
    """A benchmark of some cases, and one image of each of some others."""
    with (data / "bench" / LABELS_NAME).open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == DATASET and row["caption"]]
    subjects = sorted({row["subject"] for row in rows})
    order = [subjects[i] for i in np.random.default_rng(5).permutation(len(subjects))]
    held_out = {
        subject: next(row for row in rows if row["subject"] == subject) for subject in order[:ARCHIVED]
    }
    learned = [row for row in rows if row["subject"] not in held_out][:LEARNED]
    folder = tmp_path_factory.mktemp("bench")
    (folder / DATASET).symlink_to(data / "bench" / DATASET)
    with (folder / LABELS_NAME).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(learned)
    cases = [Case(data / "bench" / row["image"], row["caption"], generate_uid()) for row in held_out.values()]
    return folder, cases


@pytest.fixture(scope="module")
def encoders_dir(
    data: Path, split: tuple[Path, list[Case]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """What the documented commands make of the others, briefly."""
    folder = tmp_path_factory.mktemp("made")
    weights = data / "weights" / "mobilenetv2_100_gluon.safetensors"
    changed = json.loads(CONFIGURATION.read_text()) | BRIEF | {"image_weights": [str(weights)]}
    (folder / "brief.json").write_text(json.dumps(changed))
    _cbir("train", "image-text", split[0], folder / "run", "--configuration", folder / "brief.json")
    _cbir(
        *("export", folder / "run", folder / "encoders" / "medpix", "--images", split[0]),
        *("--image-count", "16", "--weights-licence", "of a test", "--commercial-use", "--language", "en"),
    )
    return folder / "encoders"


def _cbir(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cbir", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def filled(
    encoders_dir: Path,
    split: tuple[Path, list[Case]],
    tmp_path_factory: pytest.TempPathFactory,
    programs: Programs,
) -> Iterator[Walk]:
    folder = tmp_path_factory.mktemp("hospital")
    options = LOOKING_OFTEN | {"CBIR_ENCODERS_DIR": str(encoders_dir), "CBIR_ENCODER": "medpix"}
    with hospital(folder, options, programs=programs, stable_age_s=1) as walk:
        with walk.orthanc.client() as client:
            for number, case in enumerate(split[1]):
                path = save(_wrapped(case, number), folder / "sent" / f"{number}.dcm")
                client.post("/instances", content=path.read_bytes()).raise_for_status()
        wait_until_indexed(walk, Console(quiet=True), series=len(split[1]))
        yield walk


def test_captions_of_unseen_cases_find_their_images_above_chance(
    filled: Walk, split: tuple[Path, list[Case]]
) -> None:
    cases = split[1]
    found = [_asked(filled, case.caption) for case in cases]
    recall = np.mean([case.study_instance_uid in some for case, some in zip(cases, found, strict=True)])
    chance = K / len(cases)
    print(f"text to image R@{K} {recall:.3f}, chance {chance:.3f}")  # noqa: T201
    assert recall >= 1.7 * chance


def _asked(walk: Walk, text: str) -> Sequence[str]:
    answer = httpx.post(
        f"{walk.service.url}/api/search",
        json={"text": text[:2000], "limit": K},
        headers=ASKING,
        timeout=120,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return [match["study_instance_uid"] for match in answer.json()["matches"]]


def _wrapped(case: Case, number: int) -> Dataset:
    pixels = cv2.imread(str(case.path), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = case.study_instance_uid, generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = f"CASE-{number}", "", "OT"
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation, dataset.BitsAllocated = 0, 8
    dataset.BitsStored, dataset.HighBit = 8, 7
    dataset.WindowCenter, dataset.WindowWidth = 127.5, 255
    body = np.ascontiguousarray(pixels, dtype=np.uint8).tobytes()
    dataset.PixelData = body + b"\0" * (len(body) % 2)
    return dataset
