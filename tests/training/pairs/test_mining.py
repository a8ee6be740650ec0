"""From an archive of ultrasound examinations with reports to image-sentence pairs, end to end."""

from __future__ import annotations

import csv
import logging
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from evaluation.benchmark import Benchmark
from evaluation.lexicon import default_lexicon
from indexer.adapters.folder import FolderArchive
from indexer.patients import Pseudonyms
from inference.decoders import Decoders
from inference.limits import Limits
from tests.training.pairs.studies import ORGANS, SENTENCES, write_archive
from training.errors import TrainingError
from training.fit import FitSettings
from training.methods.clusters import ClusterSettings
from training.pairs.examinations import Examinations
from training.pairs.mining import MinedPairs, mine_pairs
from training.pairs.tagging import LexiconTagger

SETTINGS = ClusterSettings(
    clusters=len(ORGANS), side=32, views=3, steps=200, batch_size=64, hidden=32, neighbours=5,
    fit=FitSettings(threads=1, bfloat16=False),
)  # fmt: skip
TAGGER = LexiconTagger(default_lexicon())
RIGHT = 0.8


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    with Decoders(Limits(), 1) as started:
        yield started


def examinations(archive: Path, decoders: Decoders, folder: Path) -> Examinations:
    return Examinations(FolderArchive(archive), decoders, Pseudonyms(b"k" * 32).of, folder, max_frames=16)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    folder = tmp_path_factory.mktemp("archive")
    return folder, write_archive(folder)


@pytest.fixture(scope="module")
def taken(
    archive: tuple[Path, dict[str, str]], decoders: Decoders, tmp_path_factory: pytest.TempPathFactory
) -> Benchmark:
    return examinations(archive[0], decoders, tmp_path_factory.mktemp("out") / "examinations").take()


@pytest.fixture(scope="module")
def mined(taken: Benchmark, tmp_path_factory: pytest.TempPathFactory) -> MinedPairs:
    return mine_pairs(taken, TAGGER, SETTINGS, tmp_path_factory.mktemp("pairs") / "out")


def organ_of(image: str, truth: dict[str, str]) -> str:
    return truth[Path(image).stem.rpartition("-")[0]]


def test_every_image_of_a_study_with_a_report_is_taken(
    taken: Benchmark, archive: tuple[Path, dict[str, str]]
) -> None:
    assert sorted(Path(i.image).stem.rpartition("-")[0] for i in taken.images) == sorted(archive[1])
    assert all("Findings:" in image.report for image in taken.images)
    assert not any("SYN" in image.subject for image in taken.images)


def test_what_was_taken_is_opened_again_only_for_the_same_request(
    taken: Benchmark, archive: tuple[Path, dict[str, str]], decoders: Decoders
) -> None:
    again = examinations(archive[0], decoders, taken.folder)
    assert again.take() == taken
    with pytest.raises(TrainingError, match="other modalities, frames or reports"):
        again.take({"1.2.3": "The liver is normal."})
    for changes in ({"modalities": ["US"]}, {"max_frames": 3}):
        with pytest.raises(TrainingError, match="other modalities, frames or reports"):
            replace(again, **changes).take()


def test_images_go_with_the_sentences_of_their_organ(
    mined: MinedPairs, archive: tuple[Path, dict[str, str]]
) -> None:
    right = [
        pair.organ == organ_of(pair.image, archive[1]) and pair.sentence in SENTENCES[pair.organ]
        for pair in mined.pairs
    ]
    assert sum(right) / len(right) >= RIGHT
    assert len({pair.image for pair in mined.pairs}) >= RIGHT * len(archive[1])


def test_the_pairs_are_a_benchmark_that_only_their_user_can_read(mined: MinedPairs) -> None:
    folder = mined.folder.folder
    again = Benchmark.open(folder)
    assert all(image.caption and image.report for image in again.images)
    assert again.pixels(0).shape == (64, 64)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "pairs.csv").stat().st_mode) == 0o600
    with (folder / "pairs.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(mined.pairs)
    assert set(rows[0]) == {"image", "sentence", "organ", "study", "patient"}
    assert (folder / "clusters" / "cluster-00.png").exists()


def test_an_assignment_by_hand_is_obeyed(taken: Benchmark, mined: MinedPairs, tmp_path: Path) -> None:
    by_hand = tmp_path / "by_hand.csv"
    by_hand.write_text("cluster,organ\n0,liver\n", encoding="utf-8")
    again = mine_pairs(taken, TAGGER, SETTINGS, mined.folder.folder, by_hand=by_hand)
    assert {pair.organ for pair in again.pairs} == {"liver"}
    assert set(again.clusters.tolist()) == set(mined.clusters.tolist())


def test_nothing_of_a_report_is_logged(
    archive: tuple[Path, dict[str, str]],
    decoders: Decoders,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with caplog.at_level(logging.DEBUG):
        taken = examinations(archive[0], decoders, tmp_path / "examinations").take()
        mine_pairs(taken, TAGGER, SETTINGS.model_copy(update={"steps": 200}), tmp_path / "out")
    out, err = capfd.readouterr()
    written = caplog.text + out + err
    assert not any(sentence in written for both in SENTENCES.values() for sentence in both)
    assert "SYN-" not in written


def test_an_archive_without_reports_is_refused(decoders: Decoders, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", studies=2)
    for path in (tmp_path / "archive").glob("report-*"):
        path.unlink()
    with pytest.raises(TrainingError, match="no report"):
        examinations(tmp_path / "archive", decoders, tmp_path / "out").take()


def test_reports_from_a_table_stand_in_for_those_of_the_archive(decoders: Decoders, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", studies=2)
    study = next(FolderArchive(tmp_path / "archive").list_series()).reference.study_instance_uid
    taken = examinations(tmp_path / "archive", decoders, tmp_path / "out").take({study: "Foie normal."})
    assert {image.report for image in taken.images} == {"Foie normal."}
    with pytest.raises(TrainingError, match="No image"):
        examinations(tmp_path / "archive", decoders, tmp_path / "other").take({"1.2.3": "Foie normal."})


def test_reports_that_speak_of_no_organ_are_refused(decoders: Decoders, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", studies=2)
    found = {
        s.reference.study_instance_uid: "Bonjour." for s in FolderArchive(tmp_path / "archive").list_series()
    }
    taken = examinations(tmp_path / "archive", decoders, tmp_path / "out").take(found)
    with pytest.raises(TrainingError, match="speaks of an organ"):
        mine_pairs(taken, TAGGER, SETTINGS, tmp_path / "pairs")


def test_too_few_images_are_refused(decoders: Decoders, tmp_path: Path) -> None:
    write_archive(tmp_path / "archive", studies=2)
    taken = examinations(tmp_path / "archive", decoders, tmp_path / "out").take()
    with pytest.raises(TrainingError, match="too few"):
        mine_pairs(taken, TAGGER, SETTINGS, tmp_path / "pairs")
