"""Backgrounds are kept for each encoder, replaced as a whole, and go with their encoder."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread

import numpy as np
import pytest

from indexer.domain import SeriesAttributes, SeriesReference
from indexer.ledger import Background, Group, Indexed, Ledger, Notice, Priority

NOW = datetime(2026, 5, 17, 12, tzinfo=UTC)
LABEL, OTHER = "small@0123456789ab", "large@ba9876543210"


def background(modality: str = "", body_part: str = "", *, pairs: int = 500) -> Background:
    steps = np.asarray(np.linspace(-0.25, 0.75, 11), dtype=np.float32)
    return Background(modality, body_part, pairs, steps, np.asarray(steps / 2, dtype=np.float32), series=40)


def indexed(ledger: Ledger, archive_id: str, attributes: SeriesAttributes, encoder: str) -> None:
    ledger.notice([Notice(archive_id, "orthanc", Priority.CHANGED)], NOW)
    (lease,) = ledger.lease("worker", 1, 60, NOW + timedelta(seconds=1))
    reference = SeriesReference("1", f"1.{archive_id}", archive_id)
    ledger.finish(lease, "worker", Indexed(reference, attributes, "r", "f", encoder), NOW)


def test_backgrounds_come_back_as_they_were_kept(ledger: Ledger) -> None:
    kept = [background(), background("MR"), background("MR", "BRAIN", pairs=20_000)]
    ledger.keep_backgrounds(LABEL, kept, NOW)
    found = ledger.backgrounds(LABEL)
    assert [(b.modality, b.body_part_examined, b.pairs, b.series) for b in found] == [
        ("", "", 500, 40),
        ("MR", "", 500, 40),
        ("MR", "BRAIN", 20_000, 40),
    ]
    assert found[0].quantiles == pytest.approx(kept[0].quantiles, abs=1e-6)
    assert found[0].nearest == pytest.approx(kept[0].nearest, abs=1e-6)
    assert ledger.backgrounds(OTHER) == []


def test_what_is_measured_again_replaces_everything_of_that_encoder_and_nothing_of_others(
    ledger: Ledger,
) -> None:
    ledger.keep_backgrounds(OTHER, [background("CT")], NOW)
    ledger.keep_backgrounds(LABEL, [background(), background("MR")], NOW)
    ledger.keep_backgrounds(LABEL, [replace(background(), pairs=600)], NOW)
    assert [(b.modality, b.pairs) for b in ledger.backgrounds(LABEL)] == [("", 600)]
    assert [b.modality for b in ledger.backgrounds(OTHER)] == ["CT"]
    ledger.keep_backgrounds(LABEL, [], NOW)
    assert ledger.backgrounds(LABEL) == []


def test_two_who_keep_them_at_once_leave_those_of_one(ledger: Ledger) -> None:
    together, failed = Barrier(4), list[BaseException]()

    def keep(pairs: int) -> None:
        try:
            together.wait(timeout=60)
            for _ in range(5):
                ledger.keep_backgrounds(LABEL, [background("MR", pairs=pairs)], NOW)
        except BaseException as error:  # noqa: BLE001 - it would be lost with its thread
            failed.append(error)

    threads = [Thread(target=keep, args=(pairs,)) for pairs in (1, 2, 3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert failed == []
    (left,) = ledger.backgrounds(LABEL)
    assert left.pairs in (1, 2, 3, 4)


def test_the_backgrounds_of_a_retired_encoder_are_forgotten(ledger: Ledger) -> None:
    ledger.keep_backgrounds(LABEL, [background()], NOW)
    ledger.keep_backgrounds(OTHER, [background()], NOW)
    ledger.disown(LABEL)
    assert ledger.backgrounds(LABEL) == []
    assert len(ledger.backgrounds(OTHER)) == 1


def test_groups_are_the_series_that_an_encoder_holds(ledger: Ledger) -> None:
    brain, chest = SeriesAttributes("MR", "BRAIN"), SeriesAttributes("CR", "CHEST")
    indexed(ledger, "a", brain, LABEL)
    indexed(ledger, "b", brain, f"{LABEL}+{OTHER}")
    indexed(ledger, "c", chest, f"!{OTHER}+{LABEL}")
    indexed(ledger, "d", chest, OTHER)
    ledger.notice([Notice("e", "orthanc", Priority.CHANGED)], NOW)
    assert ledger.groups(LABEL) == [Group("MR", "BRAIN", 2), Group("CR", "CHEST", 1)]
    assert ledger.groups(OTHER) == [Group("CR", "CHEST", 1), Group("MR", "BRAIN", 1)]
    assert ledger.groups("nobody@000000000000") == []
