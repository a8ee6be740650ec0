"""Words are asked with in a real hospital, by an encoder that was trained, exported and activated as told."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from cbir.engine_process import running_engine
from demo.walk import Walk, hospital
from indexer.adapters.qdrant import QdrantIndex
from indexer.intake.multipart_related import RelatedBody
from inference.card import load_card
from tests.fakes.key_objects import key_object
from tests.fakes.measured import measured_report
from tests.integration import kept_sheet
from tests.integration.conftest import ANSWER_WAIT_S, ASKING, HTTP_WAIT_S, Programs, store
from tests.integration.followed import LOOKING_OFTEN
from tests.integration.traces import traces_in_files
from tests.training.methods.bilingual import (
    Drawing,
    french_caption_of,
    write_bilingual,
    write_configuration,
)
from tests.training.methods.captioned import caption_of
from tests.training.pairs.studies import document, report, save

pytestmark = [pytest.mark.orthanc, pytest.mark.timeout(2400)]

MODELS = Path(__file__).parents[2] / "models"
NAME = "Zqxhollister"
RARE = "zwixelform"
SEED = {"steps": 250}
EACH = 40
"""Drawings of a kind: of ten, what is learned misses one of eight kinds now and then."""
LIMIT_S = 300.0
CONTRARY = ("lower right", "bar")


@dataclass(frozen=True)
class Sent:
    """A study: one drawing, and its report."""

    drawing: Drawing
    study_instance_uid: str
    image_uid: str
    report_series_uid: str
    report_instance_uid: str

    @property
    def kind(self) -> tuple[str, str]:
        return self.drawing.place, self.drawing.shape


@dataclass
class Ward:
    """A hospital, what it holds, and the ways to ask it."""

    walk: Walk
    folder: Path
    encoders_dir: Path
    studies: list[Sent] = field(default_factory=list)

    def cbir(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        service = self.walk.service
        environment = {**os.environ, **service.environment, "CBIR_DATA_DIR": str(service.folder / "data")}
        return subprocess.run(
            [sys.executable, "-m", "cbir", *arguments],
            env=environment, capture_output=True, text=True, check=False, timeout=LIMIT_S,
        )  # fmt: skip

    def get(self, path: str) -> dict[str, Any]:
        answer = httpx.get(f"{self.walk.service.url}{path}", timeout=HTTP_WAIT_S, trust_env=False)
        body: dict[str, Any] = answer.raise_for_status().json()
        return body

    def ask(self, **question: object) -> httpx.Response:
        return httpx.post(
            f"{self.walk.service.url}/api/search",
            json=question,
            headers=ASKING,
            timeout=HTTP_WAIT_S,
            trust_env=False,
        )

    def found(self, **question: object) -> list[dict[str, Any]]:
        answer = self.ask(**question)
        assert answer.status_code == 200, answer.text
        matches: list[dict[str, Any]] = answer.json()["matches"]
        return matches

    def wait(self, what: str, is_so: Callable[[dict[str, Any]], bool]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not is_so(status := self.get("/api/status")):
            log = self.walk.service.log_path.read_text()[-3000:]
            assert time.monotonic() < deadline, f"{what}: {status}\n{log}"
            time.sleep(0.2)

    def reports_held(self) -> set[str]:
        """The series of reports that the engine holds of the encoder that reads."""
        endpoint = running_engine(self.walk.service.folder / "data")
        assert endpoint is not None
        index = QdrantIndex(endpoint.url, endpoint.api_key)
        try:
            version = load_card(self.encoders_dir / "words").encoder_version
            held = index.indexed(version, list(index.archive_ids(version)))
            return {
                one.reference.series_instance_uid for one in held.values() if one.attributes.kind == "report"
            }
        finally:
            index.close()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Drawing]]:
    """An encoder that reads, made by the documented commands, and drawings that it did not learn from."""
    folder = tmp_path_factory.mktemp("made")
    drawings = write_bilingual(folder / "bench", each=EACH)
    configuration = write_configuration(folder, **SEED)
    _cbir("train", "image-text", folder / "bench", folder / "run", "--configuration", configuration)
    shutil.copytree(MODELS / "grey32", folder / "encoders" / "grey32")
    _cbir(
        *("export", folder / "run", folder / "encoders" / "words", "--images", folder / "bench"),
        *("--weights-licence", "Apache-2.0", "--commercial-use", "--language", "en", "--language", "fr"),
    )
    return folder / "encoders", drawings


def _cbir(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cbir", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=900,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def ward(
    made: tuple[Path, list[Drawing]], tmp_path_factory: pytest.TempPathFactory, programs: Programs
) -> Iterator[Ward]:
    encoders_dir, drawings = made
    folder = tmp_path_factory.mktemp("hospital")
    options = LOOKING_OFTEN | {
        "CBIR_LEASE_S": "120",  # nobody is killed: no lane may take over what another has in hand
        "CBIR_ENCODERS_DIR": str(encoders_dir),
        "CBIR_ENCODER": "grey32",
        "CBIR_LOG_LEVEL": "DEBUG",
        "CBIR_THREADS": "1",
        "CBIR_AE_PRESETS": "CBIR_WORDS?reads_reports=true&text_weight=1",
    }
    with hospital(folder, options, programs=programs, stable_age_s=1) as walk:
        ward = Ward(walk, folder, encoders_dir)
        for number, drawing in enumerate(drawings):
            _send(ward, drawing, number)
        yield ward


def test_words_are_asked_with_once_an_encoder_that_reads_is_activated(ward: Ward) -> None:
    """One walk in its order: each part begins where the one before ended."""
    _without_one_that_reads(ward)
    _activated(ward)
    _asked_in_two_languages(ward)
    _carried_by_a_report(ward)
    _with_an_example(ward)
    _by_the_command(ward)
    _by_a_report_beside_an_image(ward)
    _by_a_report_alone(ward)
    _by_a_mark_that_tells_nothing(ward)
    _by_what_is_typed_about_a_key_image(ward)
    _reports_are_shown_nowhere(ward)
    _nothing_known(ward)
    _a_report_is_deleted(ward)
    _nothing_is_kept(ward)


def _without_one_that_reads(ward: Ward) -> None:
    images = len(ward.studies)
    settled = (images, images, {"report": images})
    ward.wait(
        "images indexed",
        lambda s: (s["series"]["indexed"], s["series"]["skipped"], s["reasons"]) == settled,
    )
    assert ward.get("/api/status")["text_encoder"] is None
    refused = ward.ask(text="a bright disc")
    assert (refused.status_code, refused.json()["reason"]) == (409, "not_configured")
    assert "cbir encoders activate NAME" in refused.json()["detail"]
    asked = ward.cbir("search", "--text", "a bright disc")
    assert asked.returncode == 1
    assert "cbir train image-text" in asked.stderr


def _activated(ward: Ward) -> None:
    """The reports that were skipped are looked at again by themselves."""
    every = json.loads(ward.cbir("encoders", "list", "--json").stdout)
    assert {one["name"]: one["languages"] for one in every} == {"grey32": [], "words": ["en", "fr"]}
    done = ward.cbir("encoders", "activate", "words", "--images", str(ward.encoders_dir.parent / "bench"))
    assert done.returncode == 0, done.stderr
    ward.wait("the one that reads is searched", lambda s: s["encoder"]["name"] == "words")
    ward.wait("reports indexed", lambda s: s["series"]["indexed"] == 2 * len(ward.studies))
    assert ward.get("/api/status")["text_encoder"] == {"name": "words", "languages": ["en", "fr"]}
    assert ward.reports_held() == {one.report_series_uid for one in ward.studies}


def _asked_in_two_languages(ward: Ward) -> None:
    """A study of the kind that the words name comes first, mostly: chance is one of eight."""
    kinds = {one.kind for one in ward.studies}
    assert len(kinds) == 8
    for caption in (caption_of, french_caption_of):
        first = [ward.found(text=caption(*kind), limit=1)[0]["study_instance_uid"] for kind in sorted(kinds)]
        named = [_kinds_of(ward, uid) for uid in first]
        right = sum(kind in found for kind, found in zip(sorted(kinds), named, strict=True))
        assert right >= 6, (caption, named)


def _kinds_of(ward: Ward, study_instance_uid: str) -> set[tuple[str, str]]:
    """What a study shows, and what its report says."""
    (study,) = (one for one in ward.studies if one.study_instance_uid == study_instance_uid)
    return {study.kind, _told(ward.studies.index(study), study.drawing)}


def _carried_by_a_report(ward: Ward) -> None:
    """The first study's report says otherwise than its image shows."""
    contrary = ward.studies[0]
    assert contrary.kind != CONTRARY
    matches = ward.found(text=caption_of(*CONTRARY), limit=20)
    (match,) = (one for one in matches if one["study_instance_uid"] == contrary.study_instance_uid)
    assert match["carried_by_report"]
    assert match["rank"] <= 4
    assert match["modality"] == "CR", "what is shown is an image"


def _with_an_example(ward: Ward) -> None:
    """The more the words weigh, the nearer the answer is to theirs."""
    example = {"study_instance_uid": ward.studies[0].study_instance_uid}
    words = caption_of(*CONTRARY)
    scores = {}
    for weight in (0.0, 1.0):
        matches = ward.found(example=example, text=words, text_weight=weight, limit=1)
        scores[weight] = _kinds_of(ward, matches[0]["study_instance_uid"])
    assert CONTRARY in scores[1.0]
    alone = ward.found(example=example, limit=5)
    weightless = ward.found(example=example, text=words, text_weight=0.0, limit=5)
    assert [m["study_instance_uid"] for m in alone] == [m["study_instance_uid"] for m in weightless]


def _by_the_command(ward: Ward) -> None:
    words = french_caption_of("upper right", "bar")
    done = ward.cbir("search", "--text", words, "--limit", "3", "--json")
    assert done.returncode == 0, done.stderr
    told = [match["study_instance_uid"] for match in json.loads(done.stdout)["matches"]]
    assert told == [match["study_instance_uid"] for match in ward.found(text=words, limit=3)]


def _by_a_report_beside_an_image(ward: Ward) -> None:
    """Sent by dcmtk's storescu: the same image with two reports is two questions, and CBIR reads neither."""
    shown, image = _unknown(ward, "beside")
    others = [kind for kind in sorted({one.kind for one in ward.studies}) if kind != shown][:2]
    first: dict[str, set[tuple[str, str]]] = {}
    for called, kind in (("CBIR", others[0]), ("CBIR_WORDS", others[0]), ("CBIR_WORDS", others[1])):
        paths = _saved(ward, image, _report_of(image, caption_of(*kind)))
        sheet, answer = _asked_by_dicom(ward, paths, called)
        assert sheet.StudyInstanceUID == answer.StudyInstanceUID == image.StudyInstanceUID
        named = _studies_named(ward, answer)
        if called == "CBIR_WORDS":
            assert kind in _kinds_of(ward, named[0])
            assert named == [one["study_instance_uid"] for one in _uploaded(ward, paths)]
        first[f"{called} {kind}"] = _kinds_of(ward, named[0])
    plain = next(iter(first.values()))
    assert shown in plain, "without words it is what the image shows"


def _by_a_report_alone(ward: Ward) -> None:
    """A Basic Text SR, and an encapsulated document; one that the archive holds finds others, not itself."""
    _, image = _unknown(ward, "alone")
    kind = sorted({one.kind for one in ward.studies})[3]
    words = french_caption_of(*kind)
    encapsulated = document(image.StudyInstanceUID, f"{words} Dr {NAME}: {RARE}.".encode(), "text/plain")
    encapsulated.PatientID, encapsulated.PatientName = image.PatientID, image.PatientName
    for alone in (_report_of(image, words), encapsulated):
        sheet, answer = _asked_by_dicom(ward, _saved(ward, alone), "CBIR_WORDS")
        for filed in (sheet, answer):
            assert filed.StudyInstanceUID == image.StudyInstanceUID
            assert (filed.PatientID, filed.PatientName) == (image.PatientID, image.PatientName)
        assert sheet.pixel_array.std() > 10
        named = _studies_named(ward, answer)
        assert kind in _kinds_of(ward, named[0])
        example = str(ward.folder / "sent" / f"{alone.SOPInstanceUID}.dcm")
        by_command = ward.cbir("search", "--example", example, "--reads-reports", "--json")
        assert by_command.returncode == 0, by_command.stderr
        matches = json.loads(by_command.stdout)["matches"]
        assert [match["study_instance_uid"] for match in matches] == named
        keep = os.environ.get("CBIR_TEST_SCREENSHOTS")
        if keep:
            kept_sheet.keep(sheet, Path(keep) / f"words-of-a-report-{alone.Modality}.png")
    known = ward.studies[2]
    (path,) = (ward.folder / "sent").glob(f"{known.report_instance_uid}.dcm")
    _, answer = _asked_by_dicom(ward, [path], "CBIR_WORDS")
    named = _studies_named(ward, answer)
    assert named
    assert known.study_instance_uid not in named


def _by_a_mark_that_tells_nothing(ward: Ward) -> None:
    """Measurements alone are no words: beside an image they are its mark, alone the question is refused."""
    _, image = _unknown(ward, "marked")
    for empty in ("BirthDate", "Sex"):
        setattr(image, f"Patient{empty}", "")
    image.StudyTime = image.AccessionNumber = image.StudyID = image.ReferringPhysicianName = ""
    marking = measured_report(image)
    _, answer = _asked_by_dicom(ward, _saved(ward, image, marking), "CBIR_WORDS")
    assert _studies_named(ward, answer)
    assert "reports_not_used reports=1 reason=empty_report" in ward.walk.service.log_path.read_text()
    _, refused = _asked_by_dicom(ward, _saved(ward, marking), "CBIR_WORDS")
    assert _studies_named(ward, refused) == []
    said = [str(item.value) for item in refused.iterall() if item.keyword == "TextValue"]
    assert any("(empty_report)" in one for one in said)


def _by_what_is_typed_about_a_key_image(ward: Ward) -> None:
    """In either language, as the page asks with the same words; without the key object they are not asked."""
    _, image = _unknown(ward, "typed")
    (path,) = _saved(ward, image)
    kind = sorted({one.kind for one in ward.studies})[3]
    for words in (caption_of(*kind), french_caption_of(*kind)):
        (typed,) = _saved(ward, key_object([image], "113000", description=words))
        _, answer = _asked_by_dicom(ward, [path, typed], "CBIR_WORDS")
        named = _studies_named(ward, answer)
        assert kind in _kinds_of(ward, named[0])
        said = [str(item.value) for item in answer.iterall() if item.keyword == "TextValue"]
        plain = words.replace("\u00e0", "a")
        assert any(text.startswith("with the words") and plain in text for text in said)
        example = ("--example", str(path), "--text", words, "--text-weight", "1")
        by_command = ward.cbir("search", *example, "--json")
        assert by_command.returncode == 0, by_command.stderr
        matches = json.loads(by_command.stdout)["matches"]
        assert [match["study_instance_uid"] for match in matches] == named


def _asked_by_dicom(ward: Ward, paths: Sequence[Path], called: str) -> tuple[Dataset, Dataset]:
    """The sheet and the report that the workstation receives."""
    store(paths, ward.walk.service.dimse_port, called, "--required")
    received = [ward.walk.workstation.next_received(ANSWER_WAIT_S) for _ in range(2)]
    sheet, answer = received
    assert sheet is not None, ward.walk.service.log_path.read_text()[-3000:]
    assert answer is not None, ward.walk.service.log_path.read_text()[-3000:]
    return sheet, answer


def _studies_named(ward: Ward, answer: Dataset) -> list[str]:
    """The studies of the cases in a report, in rank order, each once."""
    studies = {one.image_uid: one.study_instance_uid for one in ward.studies}
    named = (str(item.value) for item in answer.iterall() if item.keyword == "ReferencedSOPInstanceUID")
    content = (uid for uid in named if uid in studies)
    return list(dict.fromkeys(studies[uid] for uid in content))


def _uploaded(ward: Ward, paths: Sequence[Path]) -> list[dict[str, Any]]:
    """The matches of the same question over HTTP."""
    body = RelatedBody(paths)
    answer = httpx.post(
        f"{ward.walk.service.url}/api/search/upload",
        params={"reads_reports": True, "text_weight": 1},
        content=b"".join(body),
        headers={"Content-Type": body.content_type, **ASKING},
        timeout=HTTP_WAIT_S,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["query"]["reports"] == 1
    matches: list[dict[str, Any]] = answer.json()["matches"]
    return matches


def _unknown(ward: Ward, patient: str) -> tuple[tuple[str, str], Dataset]:
    """What is shown, and an image like one of the archive's, of a patient that it does not know."""
    like = ward.studies[1]
    return like.kind, _image(like.drawing, generate_uid(), f"NEW-{patient}")


def _report_of(image: Dataset, words: str) -> Dataset:
    """What is sent along; names and a rare word stand in it that must not be kept."""
    text = report(image.StudyInstanceUID, image.PatientID, [f"{words} Dr {NAME} saw a {RARE}."])
    text.ContentSequence[0].ContentSequence[0].TextValue = f"{NAME} was told of a {RARE}."
    text.PatientName, text.StudyDate = image.PatientName, image.StudyDate
    return text


def _saved(ward: Ward, *datasets: Dataset) -> list[Path]:
    return [save(one, ward.folder / "sent" / f"{one.SOPInstanceUID}.dcm") for one in datasets]


def _reports_are_shown_nowhere(ward: Ward) -> None:
    studies = ward.get("/api/studies?limit=100")["studies"]
    assert [(one["modalities"], one["series"]) for one in studies] == [(["CR"], 1)] * len(ward.studies)
    one = ward.studies[0]
    listed = ward.get(f"/api/studies/{one.study_instance_uid}")["series"]
    assert {series["modality"]: len(series["frames"]) for series in listed} == {"CR": 1, "SR": 0}
    matches = ward.found(example={"study_instance_uid": one.study_instance_uid}, limit=100)
    assert {match["modality"] for match in matches} == {"CR"}
    refused = ward.ask(example={"series_instance_uid": one.report_series_uid})
    assert (refused.status_code, refused.json()["reason"]) == (422, "report")


def _nothing_known(ward: Ward) -> None:
    refused = ward.ask(text="\u6f22\u5b57")
    assert (refused.status_code, refused.json()["reason"]) == (422, "unknown_words")
    assert "en, fr" in refused.json()["detail"]


def _a_report_is_deleted(ward: Ward) -> None:
    gone = ward.studies[-1]
    auth, url = ward.walk.orthanc.auth, ward.walk.orthanc.http_url
    looked_up = httpx.post(f"{url}/tools/lookup", content=gone.report_series_uid, auth=auth, trust_env=False)
    (found,) = looked_up.raise_for_status().json()
    httpx.delete(f"{url}{found['Path']}", auth=auth, trust_env=False).raise_for_status()
    ward.wait("one less", lambda status: sum(status["series"].values()) == 2 * len(ward.studies) - 1)
    assert ward.reports_held() == {one.report_series_uid for one in ward.studies[:-1]}


def _nothing_is_kept(ward: Ward) -> None:
    """No word of a report, and no name in one, in any file of the service or line of its log."""
    ward.walk.service.stop()
    assert traces_in_files([ward.walk.service.folder], [RARE, NAME]) == []
    assert len(traces_in_files([ward.folder / "sent"], [RARE, NAME])) >= 2, "they were there to be found"


def _told(number: int, drawing: Drawing) -> tuple[str, str]:
    return CONTRARY if number == 0 else (drawing.place, drawing.shape)


def _send(ward: Ward, drawing: Drawing, number: int) -> None:
    """An image and its report, in English or in French, by C-STORE."""
    study = generate_uid()
    caption = french_caption_of if number % 2 else caption_of
    image = _image(drawing, study, f"P{number}")
    text = report(study, f"P{number}", [caption(*_told(number, drawing))])
    history = text.ContentSequence[0].ContentSequence[0]
    history.TextValue = f"{NAME} was told of a {RARE}."
    text.ContentSequence[1].ContentSequence[0].TextValue += f" Dr {NAME} saw a {RARE}."
    text.PatientName = image.PatientName
    text.StudyDate = image.StudyDate
    paths = [save(one, ward.folder / "sent" / f"{one.SOPInstanceUID}.dcm") for one in (image, text)]
    store(paths, ward.walk.orthanc.dicom_port, ward.walk.orthanc.ae_title)
    ward.studies.append(
        Sent(
            drawing,
            study,
            str(image.SOPInstanceUID),
            str(text.SeriesInstanceUID),
            str(text.SOPInstanceUID),
        )
    )


def _image(drawing: Drawing, study: str, patient: str) -> Dataset:
    pixels = cv2.imread(str(drawing.path), cv2.IMREAD_GRAYSCALE)
    assert pixels is not None
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = ComputedRadiographyImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, generate_uid()
    dataset.PatientID, dataset.PatientName, dataset.Modality = patient, f"{NAME}^{patient}", "CR"
    dataset.StudyDate, dataset.BodyPartExamined, dataset.InstanceNumber = "20240102", "CHEST", 1
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelRepresentation, dataset.BitsAllocated = 0, 8
    dataset.BitsStored, dataset.HighBit = 8, 7
    dataset.WindowCenter, dataset.WindowWidth = 127.5, 255
    dataset.PixelData = np.ascontiguousarray(pixels, dtype=np.uint8).tobytes()
    return dataset
