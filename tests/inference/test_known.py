"""What an encoder knows is read from its folder, checked, and tells radiology from what is none."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cbir.encoders.checking import check_encoder
from cbir.encoders.pictures import DRAWINGS
from cbir.settings import Settings
from evaluation.benchmark import Benchmark
from evaluation.embedding import FrameEmbedding, embed_images
from evaluation.known_split import is_held_out, is_radiology
from evaluation.outsiders import NOISES, noise, photograph_crops
from indexer.domain import EncoderVersion, Vector
from indexer.search.knowing import Known
from inference.card import CARD_NAME, KNOWN_NAME, EncoderError, load_card, sha256_of
from inference.encoder import OnnxEncoder
from inference.known import KnownImages, load_known
from inference.registry import Registry
from tests.fakes.encoders import write_encoder

RADIOLOGY_SMALL = Path(__file__).parents[2] / "models" / "radiology-small"
MEGABYTE = 10**6


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_encoder(tmp_path / "encoders", "knowing", side=4)


def tell(folder: Path, rows: Vector, outside: int = 1) -> None:
    """Write known.npy and name it in the card."""
    np.save(folder / KNOWN_NAME, rows.astype(np.float16))
    path = folder / "card.json"
    card = json.loads(path.read_text())
    card["known"] = {
        "sha256": sha256_of(folder / KNOWN_NAME),
        "least": 0.5,
        "close": 0.25,
        "outside": outside,
    }
    path.write_text(json.dumps(card))


def test_directions_come_back_with_their_limits(folder: Path) -> None:
    before = load_card(folder).encoder_version
    tell(folder, np.eye(5, 16, dtype=np.float32))
    card = load_card(folder)
    known = load_known(folder, card)
    assert known is not None
    assert (known.prototypes.shape, known.outside.shape) == ((4, 16), (1, 16))
    assert (known.least, known.close) == (0.5, 0.25)
    assert card.encoder_version == before  # vectors are called as before


def test_an_encoder_need_not_say_what_it_knows(folder: Path) -> None:
    assert load_known(folder, load_card(folder)) is None
    assert KnownImages(lambda _: folder)(load_card(folder).encoder_version) is None


def _cut(folder: Path) -> None:
    (folder / KNOWN_NAME).write_bytes((folder / KNOWN_NAME).read_bytes()[:100])


def _longer(folder: Path) -> None:
    tell(folder, 2 * np.eye(5, 16, dtype=np.float32))


def _wider(folder: Path) -> None:
    tell(folder, np.eye(5, 17, dtype=np.float32))


def _all_outside(folder: Path) -> None:
    tell(folder, np.eye(5, 16, dtype=np.float32), outside=5)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda folder: (folder / KNOWN_NAME).unlink(), "missing"),
        (_cut, "SHA-256"),
        (_longer, "unit length"),
        (_wider, "16 numbers"),
        (_all_outside, "stand outside"),
    ],
)
def test_what_is_wrong_is_named_and_refuses_nobody(
    folder: Path, spoil: Callable[[Path], None], named: str
) -> None:
    tell(folder, np.eye(5, 16, dtype=np.float32))
    spoil(folder)
    card = load_card(folder)
    with pytest.raises(EncoderError, match=named):
        load_known(folder, card)
    assert KnownImages(lambda _: folder)(card.encoder_version) is None
    found = {
        f.check: f for f in check_encoder(Registry(folder.parent), folder, DRAWINGS, Settings(threads=1))
    }
    assert found["known"].level.value == "problem"


def test_it_is_read_once(folder: Path) -> None:
    tell(folder, np.eye(5, 16, dtype=np.float32))
    asked: list[EncoderVersion] = []

    def folder_of(version: EncoderVersion) -> Path:
        asked.append(version)
        return folder

    known, version = KnownImages(folder_of), load_card(folder).encoder_version
    assert known(version) is known(version)
    assert asked == [version]


@pytest.mark.parametrize("name", [KNOWN_NAME, CARD_NAME])
def test_what_could_not_be_read_is_tried_again_after_a_minute(
    folder: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    tell(folder, np.eye(5, 16, dtype=np.float32))
    version = load_card(folder).encoder_version
    file, kept = folder / name, folder / "kept"
    file.rename(kept)
    file.mkdir()  # whoever reads it gets an OSError that says neither missing nor damaged
    now_s = [0.0]
    known = KnownImages(lambda _: folder, clock=lambda: now_s[0])
    assert known(version) is None
    assert known(version) is None
    assert caplog.text.count("known_not_read") == 1
    file.rmdir()
    kept.rename(file)
    now_s[0] = 59.0
    assert known(version) is None
    now_s[0] = 60.0
    assert known(version) is not None


def test_an_encoder_that_is_not_at_hand_knows_nothing(folder: Path) -> None:
    version = replace(load_card(folder).encoder_version, sha256="0" * 64)
    assert KnownImages(Registry(folder.parent).folder_of)(version) is None


@pytest.fixture(scope="module")
def shipped() -> tuple[FrameEmbedding, Known]:
    encoder = OnnxEncoder(RADIOLOGY_SMALL, threads=1)
    known = load_known(RADIOLOGY_SMALL, encoder.card)
    assert known is not None
    return FrameEmbedding(encoder), known


def test_what_ships_is_small_and_says_what_it_was_made_from() -> None:
    card = load_card(RADIOLOGY_SMALL)
    assert card.known is not None
    assert "permissive" in card.known.made_from
    assert (RADIOLOGY_SMALL / KNOWN_NAME).stat().st_size < MEGABYTE


def test_photographs_and_noise_are_outside_of_what_the_default_encoder_knows(
    shipped: tuple[FrameEmbedding, Known],
) -> None:
    embed, known = shipped
    frames = [*photograph_crops(6, 77), *noise(tuple(NOISES), 2, 77)]
    told = known.known_by(embed([frame for _, frame in frames]))
    assert [name for (name, _), value in zip(frames, told, strict=True) if value >= known.least] == []


@pytest.mark.shared_data
def test_radiology_of_other_subjects_is_inside_and_photographs_of_the_eye_outside(
    shipped: tuple[FrameEmbedding, Known],
) -> None:
    embed, known = shipped
    benchmark = Benchmark.open(Path(os.environ["CBIR_TEST_DATA"]) / "bench")
    radiology = benchmark.where(lambda i: i.is_permissive and is_radiology(i) and is_held_out(i))
    some = radiology.at(np.random.default_rng(0).permutation(len(radiology))[:100].tolist())
    inside = known.known_by(embed_images(some, embed).vector) >= known.least
    assert inside.mean() >= 0.95
    eyes = benchmark.where(lambda image: image.modality == "OP")
    assert (known.known_by(embed_images(eyes, embed).vector) < known.least).all()
