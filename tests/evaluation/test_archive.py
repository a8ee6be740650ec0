from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.archive import measure_archive, sample_index
from evaluation.archive_report import archive_report, archive_sample
from evaluation.consistency import consistency
from evaluation.embedding import pixel_embedding
from evaluation.errors import BenchmarkError
from evaluation.hubness import hubness_of
from evaluation.measurement import Measurement
from evaluation.ranking import unit_vectors
from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
)
from tests.fakes.benchmark import shape
from tests.fakes.vector_index import FakeVectorIndex

ENCODER = EncoderVersion("pixel", "0" * 64, 1024)
KINDS = (("MR", "HEAD"), ("CT", "CHEST"))


def embedding(number: int, study: str, patient: str | None, kind: int, vector: Vector) -> SeriesEmbedding:
    series = f"1.2.{number}"
    return SeriesEmbedding(
        reference=SeriesReference(study, series, f"archive-{number:03d}"),
        attributes=SeriesAttributes(*KINDS[kind], patient=patient),
        encoder=ENCODER,
        frames=tuple(FrameReference("1.2.840", f"{series}.{n}", 1) for n in range(3)),
        vector=vector,
        frame_vectors=np.stack([vector] * 3),
    )


def filled(patients: int = 12) -> FakeVectorIndex:
    """Each patient has two studies of one kind of picture, that differ a little."""
    index = FakeVectorIndex()
    index.prepare(ENCODER)
    rng = np.random.default_rng(0)
    for patient in range(patients):
        kind = patient % 2
        picture = shape(("square", "cross")[kind], patient)
        for study in range(2):
            noisy = np.clip(picture + 0.15 * rng.random(picture.shape, dtype=np.float32), 0, 1)
            vector = pixel_embedding([noisy])[0]
            number = 2 * patient + study
            index.upsert([embedding(number, f"study-{number}", f"key.p{patient}", kind, vector)])
    return index


def by_key(measured: tuple[Measurement, ...]) -> dict[tuple[str, str], Measurement]:
    return {(m.task, m.measure): m for m in measured}


def test_agreement_and_identity_need_no_label() -> None:
    figures = measure_archive(sample_index(filled(), ENCODER))
    found = by_key(figures.measured)
    assert found["archive same patient, other study", "P@1"].mean == 1
    assert found["archive same patient, other study", "P@1"].chance == pytest.approx(1 / 23)
    assert found["archive modality", "P@10"].chance == pytest.approx(10 / 22)
    assert 0 < found["archive modality and body part", "P@10"].mean <= 1
    assert not figures.spread.is_collapsed
    assert figures.twins_counted == 0


def test_the_own_patient_lends_no_agreement() -> None:
    index = FakeVectorIndex()
    index.prepare(ENCODER)
    axes = np.eye(1024, dtype=np.float32)
    for number in range(12):
        patient, kind = number // 2, (number // 2) % 2
        index.upsert([embedding(number, f"s{number}", f"key.p{patient}", kind, axes[patient])])
    found = by_key(measure_archive(sample_index(index, ENCODER)).measured)
    assert found["archive modality", "P@1"].mean < 1
    assert found["archive same patient, other study", "P@1"].mean == 1


def test_one_series_under_two_patients_is_noticed() -> None:
    index = filled()
    (copied,) = index.embeddings_by_id(ENCODER, ["archive-004"]).values()
    index.upsert([embedding(99, "study-99", "key.somebody-else", 0, copied.vector)])
    figures = measure_archive(sample_index(index, ENCODER))
    assert figures.twins_counted == 1
    (twins,) = figures.twins
    assert {twins.left.series_instance_uid, twins.right.series_instance_uid} == {"1.2.4", "1.2.99"}


def test_patients_that_are_not_known_are_not_looked_for() -> None:
    index = FakeVectorIndex()
    index.prepare(ENCODER)
    for number in range(12):
        vector = pixel_embedding([shape("cross", number)])[0]
        index.upsert([embedding(number, f"study-{number}", None, number % 2, vector)])
    found = by_key(measure_archive(sample_index(index, ENCODER)).measured)
    assert ("archive same patient, other study", "P@1") not in found
    assert ("archive modality", "P@10") in found


def test_a_sample_is_the_same_each_time_and_says_of_how_many() -> None:
    first, again = (sample_index(filled(), ENCODER, most=15) for _ in range(2))
    assert first.reference == again.reference
    assert (len(first.reference), first.total) == (15, 24)


def test_an_archive_that_is_hardly_indexed_is_refused() -> None:
    with pytest.raises(BenchmarkError, match="cbir status"):
        sample_index(filled(patients=3), ENCODER)


def test_the_report_names_series_and_no_patient() -> None:
    indexed = sample_index(filled(), ENCODER)
    frames = [shape(("square", "cross")[n // 2 % 2], n // 2) for n in range(4)]
    stability = consistency([archive_sample(indexed, range(4), frames)], pixel_embedding)
    report = archive_report(indexed, measure_archive(indexed), stability, ENCODER, {"Archive": "made"})
    page = report.as_html()
    assert "24 of 24" in page
    assert "key.p" not in page
    assert {c.family for c in report.comparisons} == {"labels", "identity", "consistency"}
    assert {p.name for p in report.pictures} == {"figures", "map-modality", "map-body-part-examined"}


def test_a_hub_is_found_by_everybody() -> None:
    rng = np.random.default_rng(0)
    around = rng.normal(size=(199, 50))
    cloud = np.concatenate([np.full((1, 50), 0.7), around + 0.7]).astype(np.float32)
    subject = np.array([str(i) for i in range(200)])
    with_hub = hubness_of(unit_vectors(cloud), subject)
    even = hubness_of(unit_vectors(rng.normal(size=(200, 3)).astype(np.float32)), subject)
    assert with_hub.most_found > 0.9
    assert even.most_found < 0.2
    assert with_hub.skewness > 2 > even.skewness


def test_reports_are_left_out_of_what_is_measured_of_images() -> None:
    index = filled(patients=6)
    report = embedding(99, "study-1", "key.p0", 0, unit_vectors(np.ones((1, 1024), np.float32))[0])
    index.upsert([replace(report, attributes=SeriesAttributes("SR", kind="report"))])
    indexed = sample_index(index, ENCODER)
    assert "SR" not in {attributes.modality for attributes in indexed.attributes}
    assert len(indexed.reference) == 12
