from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.uid import ComprehensiveSRStorage

from indexer.domain import SeriesReference, pooled
from indexer.errors import NotFound, Rejected, Unsupported
from indexer.ports import FetchedInstance, StoredInstance
from inference.decoders import Decoders
from inference.embedding import SeriesEmbedder
from inference.encoder import OnnxEncoder
from inference.limits import Limits
from inference.preprocess import preprocess
from inference.rendering import render_frame
from inference.sampling import SampledFrame, sample_frames
from tests.fakes.decoder_calls import DeadlyPath
from tests.fakes.encoders import write_encoder
from tests.fakes.instance_file import SERIES, STUDY, instance, write
from tests.inference.conftest import GREY32, PYDICOM_FILES, pseudonym, stored

REFERENCE = SeriesReference(study_instance_uid=STUDY, series_instance_uid=SERIES, archive_id="an-orthanc-id")


def picture(seed: int) -> NDArray[np.uint16]:
    return np.random.default_rng(seed).integers(0, 4000, (40, 40)).astype("u2")


def fetched(path: Path, number: int, frames: int = 1) -> FetchedInstance:
    return FetchedInstance(
        instance=StoredInstance(
            archive_id=path.name,
            sop_instance_uid=f"1.2.3.{number}",
            instance_number=number,
            number_of_frames=frames,
            size_bytes=1000,
        ),
        path=path,
    )


def series(folder: Path, count: int = 3) -> list[FetchedInstance]:
    made = []
    for number in range(count):
        dataset = instance(picture(number), SOPInstanceUID=f"1.2.3.{number}", InstanceNumber=number)
        made.append(fetched(write(dataset, folder / f"{number}.dcm"), number))
    return made


def sampled(instances: list[FetchedInstance]) -> list[SampledFrame]:
    return sample_frames([f.instance for f in instances], 16)


def test_a_series_becomes_the_vectors_of_its_frames_in_order(
    embedder: SeriesEmbedder, encoder: OnnxEncoder, tmp_path: Path
) -> None:
    made = series(tmp_path, 9)
    found = embedder.embed_series(REFERENCE, sampled(made), reversed(made))
    wanted = encoder.card.input.preprocessing
    inputs = np.stack([preprocess(render_frame(stored(f.path)), wanted) for f in made])
    np.testing.assert_allclose(found.embedding.frame_vectors, encoder.encode(inputs), atol=1e-6)
    np.testing.assert_allclose(found.embedding.vector, pooled(found.embedding.frame_vectors))
    assert [frame.sop_instance_uid for frame in found.embedding.frames] == [f"1.2.3.{n}" for n in range(9)]
    assert found.embedding.reference == REFERENCE
    assert found.embedding.encoder == embedder.version
    assert found.skipped == ()


def test_attributes_come_from_the_first_instance_and_the_patient_is_a_pseudonym(
    embedder: SeriesEmbedder, tmp_path: Path
) -> None:
    first = instance(
        picture(1), SOPInstanceUID="1.2.3.0", Modality="MR", BodyPartExamined="KNEE ", StudyDate="20240131",
        PatientID="4711", IssuerOfPatientID="HOSPITAL", PatientName="DOE^JANE",
    )  # fmt: skip
    second = instance(picture(2), SOPInstanceUID="1.2.3.1", Modality="CT")
    made = [fetched(write(d, tmp_path / f"{n}.dcm"), n) for n, d in enumerate((first, second))]
    attributes = embedder.embed_series(REFERENCE, sampled(made), reversed(made)).embedding.attributes
    assert (attributes.modality, attributes.body_part_examined) == ("MR", "KNEE")
    assert attributes.study_date == date(2024, 1, 31)
    assert attributes.patient == "hash of HOSPITAL/4711"


def test_frames_of_a_multi_frame_instance_are_named_by_their_number(
    embedder: SeriesEmbedder, tmp_path: Path
) -> None:
    frames = np.stack([picture(n) for n in range(40)])
    made = [fetched(write(instance(frames), tmp_path / "cine.dcm"), 0, frames=40)]
    found = embedder.embed_series(REFERENCE, sampled(made), made).embedding
    assert [frame.frame_number for frame in found.frames] == [f.frame_index + 1 for f in sampled(made)]
    assert len(found.frames) == 16


def test_one_bad_instance_does_not_lose_its_series(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    made = series(tmp_path, 4)
    made[1].path.write_bytes(made[1].path.read_bytes()[:-500])
    made[2].path.write_bytes(b"not DICOM at all")
    found = embedder.embed_series(REFERENCE, sampled(made), made)
    assert [frame.sop_instance_uid for frame in found.embedding.frames] == ["1.2.3.0", "1.2.3.3"]
    assert {(s.sop_instance_uid, s.reason) for s in found.skipped} == {
        ("1.2.3.1", "truncated_pixel_data"),
        ("1.2.3.2", "not_dicom"),
    }


@pytest.fixture
def impatient(encoder: OnnxEncoder) -> Iterator[SeriesEmbedder]:
    """An embedder whose decoders have ten seconds a call: honest files keep them on a busy machine too."""
    with Decoders(Limits(timeout_s=10.0), processes=2) as pool:
        yield SeriesEmbedder(encoder, pool, pseudonym)


def test_hanging_and_deadly_files_cost_only_themselves(impatient: SeriesEmbedder, tmp_path: Path) -> None:
    made = series(tmp_path, 4)
    os.mkfifo(tmp_path / "pipe.dcm")
    hanging = fetched(tmp_path / "pipe.dcm", 8)
    deadly = fetched(DeadlyPath(tmp_path / "deadly.dcm"), 9)
    found = impatient.embed_series(REFERENCE, sampled([*made, hanging, deadly]), [hanging, deadly, *made])
    assert len(found.embedding.frames) == 4
    reasons = {s.sop_instance_uid: s.reason for s in found.skipped}
    assert reasons["1.2.3.8"] == "decode_timeout"
    assert reasons["1.2.3.9"] in ("decoder_crashed", "decode_timeout")
    assert len(impatient.embed_series(REFERENCE, sampled(made), made).embedding.frames) == 4


def test_a_series_of_reports_is_skipped_with_its_reason(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    report = instance(SOPClassUID=ComprehensiveSRStorage)
    made = [fetched(write(report, tmp_path / "report.dcm"), 0)]
    with pytest.raises(Unsupported) as refused:
        embedder.embed_series(REFERENCE, sampled(made), made)
    assert refused.value.reason == "report"


def test_a_series_with_nothing_left_gives_its_most_frequent_reason(
    embedder: SeriesEmbedder, tmp_path: Path
) -> None:
    made = series(tmp_path, 3)
    for broken in made[:2]:
        broken.path.write_bytes(broken.path.read_bytes()[:-500])
    made[2].path.write_bytes(b"not DICOM at all")
    with pytest.raises(Rejected) as refused:
        embedder.embed_series(REFERENCE, sampled(made), made)
    assert refused.value.reason == "truncated_pixel_data"
    assert not isinstance(refused.value, Unsupported)


def test_blank_frames_are_skipped_beside_others(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    made = series(tmp_path, 2)
    blank = instance(np.full((40, 40), 7, "u2"), SOPInstanceUID="1.2.3.9")
    made.append(fetched(write(blank, tmp_path / "9.dcm"), 9))
    found = embedder.embed_series(REFERENCE, sampled(made), made)
    assert len(found.embedding.frames) == 2
    assert [(s.sop_instance_uid, s.reason, s.frame_number) for s in found.skipped] == [
        ("1.2.3.9", "blank_frame", 1)
    ]


def test_a_series_of_blank_frames_is_skipped(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    made = [fetched(write(instance(np.zeros((9, 9), "u2")), tmp_path / "0.dcm"), 0)]
    with pytest.raises(Unsupported) as refused:
        embedder.embed_series(REFERENCE, sampled(made), made)
    assert refused.value.reason == "blank_frame"


def test_a_series_of_blank_frames_is_skipped_whatever_an_encoder_answers_to_them(
    decoders: Decoders, tmp_path: Path
) -> None:
    folder = write_encoder(tmp_path / "encoders", "one-for-all", collapsed=True)
    embedder = SeriesEmbedder(OnnxEncoder(folder, threads=1), decoders, pseudonym)
    made = [fetched(write(instance(np.zeros((9, 9), "u2")), tmp_path / "0.dcm"), 0)]
    with pytest.raises(Unsupported) as refused:
        embedder.embed_series(REFERENCE, sampled(made), made)
    assert refused.value.reason == "blank_frame"


def test_an_instance_of_another_series_is_not_mixed_in(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    made = series(tmp_path, 2)
    stranger = instance(picture(5), SOPInstanceUID="1.2.3.9", StudyInstanceUID="1.2.999")
    made.append(fetched(write(stranger, tmp_path / "9.dcm"), 9))
    found = embedder.embed_series(REFERENCE, sampled(made), made)
    assert len(found.embedding.frames) == 2
    assert [s.reason for s in found.skipped] == ["other_series"]


def test_an_instance_that_never_came_is_skipped(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    made = series(tmp_path, 3)
    found = embedder.embed_series(REFERENCE, sampled(made), made[:2])
    assert [(s.sop_instance_uid, s.reason) for s in found.skipped] == [("1.2.3.2", "not_fetched")]


def test_a_series_that_is_gone_altogether_is_no_silent_success(
    embedder: SeriesEmbedder, tmp_path: Path
) -> None:
    with pytest.raises(Rejected) as refused:
        embedder.embed_series(REFERENCE, sampled(series(tmp_path, 2)), [])
    assert refused.value.reason == "not_fetched"


def test_files_are_grouped_by_the_series_they_name(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    paths = [f.path for f in series(tmp_path, 3)]
    other = instance(picture(7), SeriesInstanceUID="1.2.4")
    paths.append(write(other, tmp_path / "other.dcm"))
    found = embedder.embed_files(list(reversed(paths)))
    assert {e.reference.archive_id: len(e.frames) for e in found} == {
        f"{STUDY}/{SERIES}": 3,
        f"{STUDY}/1.2.4": 1,
    }


def test_uploaded_series_are_sampled_too(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    (found,) = embedder.embed_files([f.path for f in series(tmp_path, 20)])
    assert len(found.frames) == 8


def test_uploaded_files_that_are_no_images_are_named_with_their_reasons(
    embedder: SeriesEmbedder, tmp_path: Path
) -> None:
    paths = [f.path for f in series(tmp_path, 1)]
    (tmp_path / "text").write_text("hello")
    found = embedder.embed_groups([*paths, tmp_path / "text"])
    assert len(found.series) == 1
    assert [s.reason for s in found.skipped] == ["not_dicom"]
    with pytest.raises(Rejected) as refused:
        embedder.embed_files([tmp_path / "text"])
    assert refused.value.reason == "not_dicom"


def test_one_frame_may_be_asked_for(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    frames = np.stack([picture(n) for n in range(4)])
    path = write(instance(frames), tmp_path / "cine.dcm")
    (found,) = embedder.embed_files([path], frame_number=3)
    assert [frame.frame_number for frame in found.frames] == [3]
    with pytest.raises(NotFound):
        embedder.embed_files([path], frame_number=5)


def test_a_frame_is_rendered_as_a_png(embedder: SeriesEmbedder) -> None:
    png = embedder.render_file(PYDICOM_FILES / "examples_ybr_color.dcm", 15, 160)
    shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert shown is not None
    assert shown.shape == (120, 160, 3)
    with pytest.raises(NotFound):
        embedder.render_file(PYDICOM_FILES / "examples_ybr_color.dcm", 31, 160)


def test_a_frame_without_uids_can_still_be_looked_at(embedder: SeriesEmbedder, tmp_path: Path) -> None:
    path = write(instance(StudyInstanceUID=None), tmp_path / "nameless.dcm")
    assert embedder.render_file(path, 1, 64).startswith(b"\x89PNG")
    with pytest.raises(Rejected) as refused:
        embedder.embed_files([path])
    assert refused.value.reason == "missing_uid"


def test_an_embedder_is_opened_from_a_folder(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(GREY32, tmp_path / "encoder"))
    paths = [f.path for f in series(tmp_path, 1)]
    with SeriesEmbedder.open(folder, pseudonym=pseudonym, limits=Limits(), decoders=1) as opened:
        assert opened.providers == ("CPUExecutionProvider",)
        assert len(opened.embed_files(paths)) == 1
