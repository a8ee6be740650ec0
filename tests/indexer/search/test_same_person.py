"""The same pictures under another patient's id are flagged; a case that is merely alike is not."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from indexer.domain import EncoderVersion, FrameReference, SeriesAttributes, SeriesEmbedding, SeriesReference
from indexer.line_up import LineUps
from indexer.search.same_person import LEAST_FRAME, LEAST_PAIR, hold_same_pictures, may_be_same_person
from inference.encoder import OnnxEncoder
from inference.preprocess import preprocess
from tests.indexer.search.world import TRUSTED, World, about


def flagged(world: World, study: str = "1") -> dict[str, bool]:
    answer = world.search().similar(about(study), TRUSTED)
    return {match.reference.study_instance_uid: match.possible_same_person for match in answer.matches}


def test_near_identical_frames_under_another_id_are_flagged(world: World) -> None:
    world.add("1", (1, 0, 0), patient="key:a")
    world.add("copy", (1, 0.05, 0), patient="key:b")
    world.add("copy of nobody", (1, 0, 0.05))
    world.add("alike", (1, 0.3, 0), patient="key:c")
    assert flagged(world) == {"copy": True, "copy of nobody": True, "alike": False}


def test_one_frame_in_common_is_no_person(world: World) -> None:
    world.add("1", (1, 0, 0), (0, 1, 0), (0, 0, 1), patient="key:a")
    world.add("2", (1, 0, 0), (-1, 0.1, 0), patient="key:b")
    world.add("3", (1, 0, 0), (0, 1, 0.01), (0, 0, 1), patient="key:c")
    assert flagged(world) == {"2": False, "3": True}


def test_both_likenesses_are_needed() -> None:
    assert may_be_same_person(LEAST_FRAME, LEAST_PAIR)
    assert not may_be_same_person(LEAST_FRAME - 0.001, 1.0)
    assert not may_be_same_person(1.0, LEAST_PAIR - 0.001)


def test_two_series_are_compared_by_all_of_their_frames() -> None:
    whole = embedding("1", (1, 0), (0, 1))
    assert hold_same_pictures(whole, embedding("2", (0, 1), (1, 0), (-1, 0)))
    assert not hold_same_pictures(whole, embedding("3", (1, 0)))
    other = replace(embedding("4", (1, 0), (0, 1)), encoder=EncoderVersion("other", "b" * 64, 2))
    assert not hold_same_pictures(whole, other)


def embedding(study: str, *frames: tuple[float, float]) -> SeriesEmbedding:
    rows = np.array(frames, dtype=np.float32)
    return SeriesEmbedding(
        SeriesReference(study, f"{study}.1", study),
        SeriesAttributes("MR"),
        EncoderVersion("plane", "a" * 64, 2),
        tuple(FrameReference("1.2", f"{study}.{n}", 1) for n in range(len(frames))),
        rows[0],
        rows,
    )


BENCH = Path(os.environ.get("CBIR_TEST_DATA", "")) / "bench"
MODEL = Path(__file__).parents[3] / "models" / "radiology-small"


@pytest.mark.shared_data
def test_in_a_real_set_of_chest_images_only_the_person_who_is_there_twice_is_flagged(world: World) -> None:
    """Two subjects of the set share four images; no other image is so near another subject's."""
    cv2.setNumThreads(1)
    encoder = OnnxEncoder(MODEL, threads=1)
    with (BENCH / "labels.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == "covid_chest"]
    subjects = {}
    for number, row in enumerate(rows):
        grey = np.asarray(Image.open(BENCH / row["image"]).convert("L"), dtype=np.float32) / np.float32(255)
        vector = encoder.encode(preprocess(grey, encoder.card.input.preprocessing)[None])
        subjects[f"1.{number}"] = row["subject"]
        world.index.prepare(encoder.version)
        world.index.upsert([_study(f"1.{number}", row["subject"], vector, encoder)])
    world.line_ups = LineUps.alone(encoder.version)
    pairs = [
        frozenset((subjects[study], subjects[match]))
        for study in subjects
        for match, is_flagged in flagged(world, study).items()
        if is_flagged
    ]
    assert len(pairs) == 8
    assert set(pairs) == {frozenset(("p97", "p178"))}


def _study(uid: str, subject: str, vector: np.ndarray, encoder: OnnxEncoder) -> SeriesEmbedding:
    return SeriesEmbedding(
        reference=SeriesReference(uid, f"{uid}.1", f"archived-{uid}"),
        attributes=SeriesAttributes("CR", "CHEST", patient=f"key:{subject}"),
        encoder=encoder.version,
        frames=(FrameReference("1.2", f"{uid}.1.1", 1),),
        vector=vector[0],
        frame_vectors=vector,
    )
