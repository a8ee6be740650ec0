"""What `cbir encoders list` and `check` say of encoders that are right, and of those that are not."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from cbir.doctor.finding import Finding, Level
from cbir.encoders.checking import check_encoder
from cbir.encoders.listing import listed, print_listed
from cbir.encoders.pictures import DRAWINGS, Pictures
from cbir.settings import Settings
from demo.families import write_studies
from indexer.line_up import LineUps
from inference.card import CARD_NAME, ONNX_NAME, Outputs
from inference.registry import Registry
from tests.fakes.encoders import write_encoder
from tests.fakes.text_tower import add_text_tower


@pytest.fixture
def encoders_dir(tmp_path: Path) -> Path:
    return tmp_path / "models"


def found(folder: Path, pictures: Pictures = DRAWINGS) -> dict[str, Finding]:
    settings = Settings(encoders_dir=folder.parent, threads=1)
    return {f.check: f for f in check_encoder(Registry(folder.parent), folder, pictures, settings)}


def problems(findings: dict[str, Finding]) -> set[str]:
    return {check for check, finding in findings.items() if finding.level is Level.PROBLEM}


def rewrite(folder: Path, **changed: object) -> None:
    card = json.loads((folder / CARD_NAME).read_text())
    (folder / CARD_NAME).write_text(json.dumps(card | changed))


def test_an_encoder_that_is_right_has_no_problem(encoders_dir: Path) -> None:
    findings = found(write_encoder(encoders_dir, "right"))
    assert set(findings) == {"card", "licence", "model", "batches", "collapse", "speed"}
    assert {finding.level for finding in findings.values()} == {Level.OK}


def test_a_collapsed_encoder_is_a_problem(encoders_dir: Path) -> None:
    findings = found(write_encoder(encoders_dir, "flat", collapsed=True))
    assert problems(findings) == {"collapse"}
    assert "--images" in findings["collapse"].advice


def test_real_images_of_any_kind_may_be_given(encoders_dir: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    list(write_studies(images, per_family=1))
    rng = np.random.default_rng(1)
    Image.fromarray(rng.integers(0, 255, (40, 50, 3), dtype=np.uint8)).save(images / "a.png")
    Image.fromarray(rng.integers(0, 255, (40, 50), dtype=np.uint8)).save(images / "b.jpeg")
    (images / "notes.txt").write_text("no picture")
    findings = found(write_encoder(encoders_dir, "right"), Pictures(images))
    assert findings["collapse"].level is Level.OK
    assert str(images) in findings["collapse"].found


def test_a_folder_without_images_is_told(encoders_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    findings = found(write_encoder(encoders_dir, "right"), Pictures(tmp_path / "empty"))
    assert problems(findings) == {"pictures"}


def test_too_few_images_tell_nothing_of_collapse(encoders_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "few").mkdir()
    Image.fromarray(np.eye(30, dtype=np.uint8) * 255).save(tmp_path / "few" / "a.png")
    findings = found(write_encoder(encoders_dir, "flat", collapsed=True), Pictures(tmp_path / "few"))
    assert findings["collapse"].level is Level.WARNING


def test_another_file_than_the_card_says_is_a_problem(encoders_dir: Path) -> None:
    folder = write_encoder(encoders_dir, "damaged")
    (folder / ONNX_NAME).write_bytes((folder / ONNX_NAME).read_bytes() + b"\0")
    findings = found(folder)
    assert problems(findings) == {"card"}
    assert "SHA-256" in findings["card"].advice


def test_a_model_whose_input_does_not_match_its_card_is_a_problem(encoders_dir: Path) -> None:
    folder = write_encoder(encoders_dir, "mismatched")
    card = json.loads((folder / CARD_NAME).read_text())
    rewrite(folder, input=card["input"] | {"height": 99})
    assert problems(found(folder)) == {"model"}


def test_outputs_that_the_card_names_are_looked_at(encoders_dir: Path) -> None:
    right = write_encoder(
        encoders_dir, "maps", named_outputs=Outputs(embedding="embedding", feature_map="feature_map")
    )
    assert found(right)["feature_map"].level is Level.OK
    wrong = write_encoder(
        encoders_dir,
        "none",
        named_outputs=Outputs(embedding="embedding", feature_map="no_such", pooled="embedding"),
    )
    assert problems(found(wrong)) == {"feature_map", "pooled"}


def test_a_text_tower_without_a_tokenizer_is_a_problem(encoders_dir: Path) -> None:
    folder = write_encoder(encoders_dir, "speaking")
    (folder / "text.onnx").write_bytes((folder / ONNX_NAME).read_bytes())
    sha256 = json.loads((folder / CARD_NAME).read_text())["onnx_sha256"]
    tower = {
        "onnx_sha256": sha256,
        "tokenizer_sha256": "0" * 64,
        "output": "embedding",
        "max_tokens": 16,
        "languages": ["en"],
    }
    rewrite(folder, text=tower)
    findings = found(folder)
    assert problems(findings) == {"text"}
    assert "tokenizer.json" in findings["text"].advice


def test_an_encoder_that_is_not_switched_on_can_be_looked_at(encoders_dir: Path) -> None:
    findings = found(write_encoder(encoders_dir, "academic", commercial_use=False))
    assert findings["licence"].level is Level.WARNING
    assert "CBIR_NON_COMMERCIAL_ENCODERS=academic" in findings["licence"].advice


def test_the_list_shows_what_is_at_hand_what_is_wrong_and_what_is_in_use(encoders_dir: Path) -> None:
    write_encoder(encoders_dir, "academic", commercial_use=False)
    write_encoder(encoders_dir, "right")
    gone = write_encoder(encoders_dir, "was-here")
    (encoders_dir / "broken").mkdir()
    (encoders_dir / "broken" / CARD_NAME).write_text("{}")
    registry = Registry(encoders_dir)
    line_ups = LineUps(registry.line_up(["right"]), registry.line_up(["was-here"]))
    (gone / CARD_NAME).unlink()
    rows = {row.name: row for row in listed(registry, line_ups)}
    assert (rows["right"].role, rows["right"].error) == ("serving", "")
    assert "CBIR_NON_COMMERCIAL_ENCODERS" in rows["academic"].error
    assert "not a model card" in rows["broken"].error
    assert (rows["was-here"].role, rows["was-here"].folder) == ("beside", "")
    assert "put it back" in rows["was-here"].error


def test_the_languages_that_an_encoder_reads_are_listed(encoders_dir: Path) -> None:
    write_encoder(encoders_dir, "looks")
    words = dict.fromkeys(["kyste"], np.ones(256, np.float32))
    add_text_tower(write_encoder(encoders_dir, "reads"), words, languages=("en", "fr"))
    rows = listed(Registry(encoders_dir), None)
    assert {row.name: row.languages for row in rows} == {"looks": (), "reads": ("en", "fr")}
    console = Console(record=True, width=200, file=StringIO())
    print_listed(console, rows)
    assert "en fr" in console.export_text()
