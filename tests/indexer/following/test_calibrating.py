"""Backgrounds are measured from the vectors that are indexed, and again when the archive has changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import VectorIndexUnavailable
from indexer.following import Calibration, Calibrator
from indexer.following.calibrating import FEWEST_PAIRS, MAX_PAIRS, pair_scores
from indexer.ledger import Indexed, Ledger, Notice, Priority
from indexer.line_up import LineUps
from indexer.ports import VectorIndex
from indexer.search import Judge, RememberedBackgrounds
from tests.fakes.vector_index import FakeVectorIndex, max_sim
from tests.fakes.workstation import wait_until

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
DIMENSION = 8
ENCODER = EncoderVersion("small", "a" * 64, DIMENSION)
NEXT = EncoderVersion("large", "b" * 64, DIMENSION)
BRAIN, KNEE, CHEST = (
    SeriesAttributes("MR", "BRAIN"),
    SeriesAttributes("MR", "KNEE"),
    SeriesAttributes("CR", "CHEST"),
)


def rows(rng: np.random.Generator, count: int) -> Vector:
    drawn = rng.normal(size=(count, DIMENSION))
    return np.asarray(drawn / np.linalg.norm(drawn, axis=1, keepdims=True), dtype=np.float32)


def series(
    number: int,
    attributes: SeriesAttributes = BRAIN,
    *,
    patient: str | None = "",
    encoder: EncoderVersion = ENCODER,
) -> SeriesEmbedding:
    """One series of a study of its own; of a patient of its own unless another is named."""
    frames = rows(np.random.default_rng(number), 3)
    study = f"1.{attributes.body_part_examined}.{number}"
    return SeriesEmbedding(
        reference=SeriesReference(study, f"{study}.1", f"orthanc-{study}"),
        attributes=replace(attributes, patient=f"key:{study}" if patient == "" else patient),
        encoder=encoder,
        frames=tuple(FrameReference("1.2", f"{study}.1.{n}", 1) for n in range(3)),
        vector=pooled(frames),
        frame_vectors=frames,
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(f"sqlite:///{tmp_path}/ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def index() -> FakeVectorIndex:
    made = FakeVectorIndex()
    made.prepare(ENCODER)
    made.prepare(NEXT)
    return made


def stored(ledger: Ledger, index: VectorIndex, embeddings: list[SeriesEmbedding]) -> None:
    """As a worker leaves them."""
    index.upsert(embeddings)
    ledger.notice([Notice(e.reference.archive_id, "orthanc", Priority.CHANGED) for e in embeddings], NOW)
    leases = {
        lease.archive_id: lease
        for lease in ledger.lease("worker", len(embeddings), 60, NOW + timedelta(seconds=1))
    }
    for e in embeddings:
        outcome = Indexed(e.reference, e.attributes, "r", "f", str(e.encoder))
        assert ledger.finish(leases[e.reference.archive_id], "worker", outcome, NOW)


def calibrator(ledger: Ledger, index: VectorIndex, encoder: EncoderVersion = ENCODER) -> Calibrator:
    return Calibrator(ledger, index, lambda: LineUps.alone(encoder), wait=lambda _: None)


def test_pairs_are_scored_as_candidates_are() -> None:
    drawn = [series(n) for n in range(12)]
    scores = pair_scores(drawn, 0)
    expected = [max_sim(a.frame_vectors, b.frame_vectors) for a in drawn for b in drawn if a is not b]
    assert sorted(scores) == pytest.approx(sorted(expected), abs=1e-6)


def test_pairs_are_of_different_patients_and_studies() -> None:
    one_patient = [series(n, patient="key:same") for n in range(12)]
    assert len(pair_scores(one_patient, 0)) == 0
    twice = [series(n) for n in range(12)] * 2
    assert len(pair_scores(twice, 0)) == 24 * 22
    nobody = [series(n, patient=None) for n in range(12)]
    assert len(pair_scores(nobody, 0)) == 12 * 11


def test_no_more_pairs_are_compared_than_are_needed() -> None:
    drawn = [series(n) for n in range(200)]
    assert len(pair_scores(drawn, 0)) == MAX_PAIRS


def test_each_group_that_is_large_enough_has_its_background(ledger: Ledger, index: FakeVectorIndex) -> None:
    brains, knees = [series(n) for n in range(40)], [series(n, KNEE) for n in range(20)]
    stored(ledger, index, [*brains, *knees, *(series(n, CHEST) for n in range(4))])
    kept = calibrator(ledger, index).calibrate(ENCODER, NOW)
    assert [(b.modality, b.body_part_examined, b.series) for b in kept] == [
        ("", "", 64),
        ("MR", "", 60),
        ("MR", "BRAIN", 40),
        ("MR", "KNEE", 20),
    ]
    assert [b.pairs for b in kept] == [64 * 63, 60 * 59, 40 * 39, 20 * 19]
    found = ledger.backgrounds(str(ENCODER))
    assert [b.pairs for b in found] == [b.pairs for b in kept]
    assert all((np.diff(b.quantiles) >= 0).all() and (np.diff(b.nearest) >= 0).all() for b in found)
    assert found[0].nearest[0] > found[0].quantiles[0]
    assert found[-1].nearest.tolist() == found[1].nearest.tolist()  # a body part's are its modality's
    scores = [max_sim(a.frame_vectors, b.frame_vectors) for a, b in combinations(knees, 2)]
    assert found[-1].quantiles[0] <= min(scores) + 1e-5


def test_too_few_pairs_are_no_background_and_no_percentage(ledger: Ledger, index: FakeVectorIndex) -> None:
    stored(ledger, index, [series(n) for n in range(9)])
    kept = calibrator(ledger, index).calibrate(ENCODER, NOW)
    assert [b.pairs for b in kept] == [0]
    assert FEWEST_PAIRS > 9 * 8
    judge = Judge(background=RememberedBackgrounds(ledger))
    assert judge.percent(ENCODER, BRAIN, 0.9) is None


def test_a_percentage_is_told_by_the_narrowest_background(ledger: Ledger, index: FakeVectorIndex) -> None:
    alike = [replace(one, frame_vectors=one.frame_vectors) for one in (series(n) for n in range(20))]
    for number, one in enumerate(alike):
        near = np.eye(3, DIMENSION, dtype=np.float32) + 0.01 * rows(np.random.default_rng(number), 3)
        near = np.asarray(near / np.linalg.norm(near, axis=1, keepdims=True), dtype=np.float32)
        alike[number] = replace(one, frame_vectors=near, vector=pooled(near))
    stored(ledger, index, [*alike, *(series(n, KNEE) for n in range(40))])
    calibrator(ledger, index).calibrate(ENCODER, NOW)
    judge = Judge(background=RememberedBackgrounds(ledger))
    brain, knee, other = (
        judge.percent(ENCODER, attributes, 0.9)
        for attributes in (BRAIN, KNEE, SeriesAttributes("MR", "FOOT"))
    )
    assert brain == 0.0  # all brains are more alike
    assert knee is not None
    assert other is not None
    assert 0 < other < knee


def test_it_is_due_at_first_and_when_the_archive_has_changed_by_a_tenth(
    ledger: Ledger, index: FakeVectorIndex
) -> None:
    measuring = calibrator(ledger, index)
    assert measuring.due() == (ENCODER,)
    stored(ledger, index, [series(n) for n in range(40)])
    measuring.calibrate(ENCODER, NOW)
    assert measuring.due() == ()
    stored(ledger, index, [series(n) for n in range(40, 44)])
    assert measuring.due() == ()
    stored(ledger, index, [series(44)])
    assert measuring.due() == (ENCODER,)


def test_an_encoder_that_takes_over_is_measured_and_a_retired_one_forgotten(
    ledger: Ledger, index: FakeVectorIndex
) -> None:
    stored(ledger, index, [series(n) for n in range(20)])
    calibrator(ledger, index).calibrate(ENCODER, NOW)
    assert calibrator(ledger, index, NEXT).due() == (NEXT,)
    ledger.disown(str(ENCODER))
    assert ledger.backgrounds(str(ENCODER)) == []


def test_an_encoder_that_is_retired_while_it_is_measured_leaves_nothing(
    ledger: Ledger, index: FakeVectorIndex
) -> None:
    stored(ledger, index, [series(n) for n in range(20)])
    serving = [ENCODER]

    def retire(_: float) -> None:
        serving[0] = NEXT
        ledger.disown(str(ENCODER))

    measuring = Calibrator(ledger, index, lambda: LineUps.alone(serving[0]), wait=retire)
    assert measuring.calibrate(ENCODER, NOW) == ()
    assert ledger.backgrounds(str(ENCODER)) == []


def test_what_was_kept_stays_while_the_vector_index_is_down(ledger: Ledger, index: FakeVectorIndex) -> None:
    stored(ledger, index, [series(n) for n in range(20)])
    calibrator(ledger, index).calibrate(ENCODER, NOW)
    before = [b.pairs for b in ledger.backgrounds(str(ENCODER))]
    index.unavailable = True
    with pytest.raises(VectorIndexUnavailable):
        calibrator(ledger, index).calibrate(ENCODER, NOW)
    assert [b.pairs for b in ledger.backgrounds(str(ENCODER))] == before


def test_who_is_told_to_stop_keeps_nothing(ledger: Ledger, index: FakeVectorIndex) -> None:
    stored(ledger, index, [series(n) for n in range(20)])
    stop = threading.Event()
    stop.set()
    assert calibrator(ledger, index).calibrate(ENCODER, NOW, stop) == ()
    assert ledger.backgrounds(str(ENCODER)) == []


def test_between_two_samples_questions_come_first(ledger: Ledger, index: FakeVectorIndex) -> None:
    stored(ledger, index, [*(series(n) for n in range(20)), *(series(n, KNEE) for n in range(20))])
    waited: list[float] = []
    Calibrator(ledger, index, lambda: LineUps.alone(ENCODER), waited.append).calibrate(ENCODER, NOW)
    assert len(waited) == 3
    assert all(pause_s > 0 for pause_s in waited)


def test_the_thread_measures_as_the_archive_grows(ledger: Ledger, index: FakeVectorIndex) -> None:
    def made(wait: object) -> Calibrator:
        return calibrator(ledger, index)

    def measured() -> int:
        return max((b.series for b in ledger.backgrounds(str(ENCODER))), default=0)

    stored(ledger, index, [series(n) for n in range(20)])
    with Calibration(made, every_s=0.05):
        wait_until(lambda: measured() >= 20)
        stored(ledger, index, [series(n) for n in range(20, 40)])
        # What comes while it measures may be a tenth that it need not see.
        wait_until(lambda: measured() >= 37)
