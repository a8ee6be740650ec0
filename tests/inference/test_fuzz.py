"""Real files with random damage: each is either embedded or refused with a reason."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from indexer.errors import Rejected
from inference.decoders import Decoders
from inference.encoder import OnnxEncoder
from inference.frames import prepare, render
from inference.limits import Limits
from inference.reports import describing
from tests.fakes.instance_file import instance, write
from tests.inference.conftest import PYDICOM_FILES, stored
from tests.inference.test_reports import pdf_of
from tests.training.pairs.studies import document, report, save

FILES = 300
LENGTHS = (b"\xff\xff\xff\xff", b"\0\0\0\0", b"\xff\xff\xff\x7f", b"\0\0\0\x80")


def damaged(whole: bytes, chance: random.Random) -> bytes:
    content = bytearray(whole)
    for _ in range(chance.choice([1, 3, 10, 40])):
        at = chance.randrange(min(len(content), chance.choice([4000, len(content)])))
        kind = chance.random()
        if kind < 0.6:
            content[at] = chance.randrange(256)
        elif kind < 0.8:
            content[at : at + 4] = chance.choice(LENGTHS)
        elif kind < 0.9:
            content[at:at] = chance.randbytes(chance.randrange(1, 20))
        else:
            del content[at : at + chance.randrange(1, 30)]
    return bytes(content)


def test_damaged_files_are_embedded_or_refused_and_nothing_unforeseen_happens(
    decoders: Decoders, encoder: OnnxEncoder, tmp_path: Path
) -> None:
    chance = random.Random(20)
    originals = [p for p in sorted(PYDICOM_FILES.glob("*.dcm")) if p.stat().st_size < 200_000]
    wanted = encoder.card.input.preprocessing
    calls = []
    for number in range(FILES):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(damaged(chance.choice(originals).read_bytes(), chance))
        calls.append(decoders.submit(prepare, path, (0,), wanted, decoders.limits))
    outcomes: Counter[str] = Counter()
    for call in calls:
        try:
            outcomes[decoders.result(call).frames[0].reason or "embedded"] += 1
        except Rejected as refused:
            outcomes[refused.reason] += 1
    assert outcomes.total() == FILES
    assert outcomes["embedded"] > FILES / 20
    assert outcomes["decode_timeout"] == 0
    assert outcomes["decoder_crashed"] < FILES / 50


def test_a_length_that_no_file_could_have_is_not_allocated(tmp_path: Path) -> None:
    path = write(instance(AdditionalPatientHistory="x" * 64), tmp_path / "long.dcm")
    content = path.read_bytes()
    at = content.index(b"x" * 64)
    path.write_bytes(content[: at - 4] + b"UN\0\0\xf0\xff\xff\xff" + content[at:])
    with pytest.raises(Rejected) as refused:
        stored(path)
    assert refused.value.reason in ("truncated_header", "unreadable_header")


@pytest.mark.parametrize(("rows", "columns"), [(1, 65_535), (65_535, 1), (1, 1), (3, 40_000)])
def test_the_oddest_shapes_are_rendered_and_preprocessed(
    encoder: OnnxEncoder, tmp_path: Path, rows: int, columns: int
) -> None:
    values = np.random.default_rng(1).integers(0, 4000, (rows, columns)).astype("u2")
    for number, spacing in enumerate(([1, 1], [19, 1], [1, 19])):
        path = write(instance(values, PixelSpacing=spacing), tmp_path / f"{number}.dcm")
        assert render(path, 0, 64, Limits()).startswith(b"\x89PNG")
        prepared = prepare(path, (0,), encoder.card.input.preprocessing, Limits())
        assert prepared.frames[0].pixels is not None
        assert np.isfinite(prepared.frames[0].pixels).all()


def test_damaged_reports_are_read_or_refused_and_nothing_unforeseen_happens(
    decoders: Decoders, tmp_path: Path
) -> None:
    chance = random.Random(21)
    originals = [
        save(report("1.2.3", "P", ["A cyst of the liver.", "Vésicule absente."]), tmp_path / "sr.dcm"),
        save(document("1.2.3", b"<html><p>Impression: cyst.</p></html>", "text/html"), tmp_path / "html.dcm"),
        save(document("1.2.3", pdf_of("Impression: cyst."), "application/pdf"), tmp_path / "pdf.dcm"),
    ]
    calls = []
    for number in range(FILES):
        path = tmp_path / f"damaged-{number}.dcm"
        path.write_bytes(damaged(chance.choice(originals).read_bytes(), chance))
        calls.append(decoders.submit(describing, path, decoders.limits))
    outcomes: Counter[str] = Counter()
    for call in calls:
        try:
            outcomes["read" if decoders.result(call).sentences else "empty"] += 1
        except Rejected as refused:
            outcomes[refused.reason] += 1
    assert outcomes.total() == FILES
    assert outcomes["read"] > FILES / 20
    assert outcomes["empty"] == outcomes["decode_timeout"] == outcomes["decoder_crashed"] == 0
    assert outcomes["undecodable_pixel_data"] == 0, "what is unforeseen is called so"
