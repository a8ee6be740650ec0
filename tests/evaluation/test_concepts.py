from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from evaluation.concepts import concept_overlap, concepts_in_texts, given_concepts
from tests.evaluation.test_ranking import at
from tests.fakes.benchmark import row, shape, write_benchmark


def test_overlap_with_the_neighbours_by_hand() -> None:
    concepts = [frozenset("ab"), frozenset("bc"), frozenset("ab"), frozenset("d")]
    values = concept_overlap(at(0, 10, 20, 30), concepts, np.array(list("pqrs")), cutoffs=(1, 2))
    assert values["CUI@1"][0] == pytest.approx(1 / 3)
    assert values["CUI@2"][0] == pytest.approx((1 / 3 + 1) / 2)
    assert values["chance"][0] == pytest.approx((1 / 3 + 1 + 0) / 3)


def test_the_own_subject_lends_no_concept() -> None:
    concepts = [frozenset("a"), frozenset("a"), frozenset("b")]
    values = concept_overlap(at(0, 1, 2), concepts, np.array(list("ppq")), cutoffs=(1,))
    assert values["CUI@1"].tolist() == [0, 0, 0]


def test_concepts_of_captions_and_where_there_is_none_of_reports(tmp_path: Path) -> None:
    rows = [
        row("a.png", "p", caption="one two", report="three"),
        row("b.png", "q", report="three"),
        row("c.png", "r"),
    ]
    benchmark = write_benchmark(tmp_path, rows, [shape("square", i) for i in range(3)])
    found = concepts_in_texts(benchmark, lambda text: frozenset(text.split()))
    assert found == {"a.png": {"one", "two"}, "b.png": {"three"}}


def test_identifiers_of_the_table_are_taken_where_it_has_them(tmp_path: Path) -> None:
    benchmark = write_benchmark(tmp_path, [row("a.png", "p"), row("b.png", "q")], [shape("square", 0)] * 2)
    assert given_concepts(benchmark) == {}
    with (tmp_path / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    table[0]["cui"], table[1]["cui"] = "C0040405; C0817096", ""
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(table[0]))
        writer.writeheader()
        writer.writerows(table)
    assert given_concepts(benchmark) == {"a.png": {"C0040405", "C0817096"}}
    path = tmp_path / "labels.csv"
    path.write_text(path.read_text(encoding="utf-8"), encoding="utf-8-sig")
    assert given_concepts(benchmark) == {"a.png": {"C0040405", "C0817096"}}
