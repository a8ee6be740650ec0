"""Reports are joined by study, and read from tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.reports import Report
from training.errors import TrainingError
from training.pairs.reports import by_study, read_table


def test_several_reports_of_a_study_are_joined_and_the_same_text_counts_once() -> None:
    reports = [Report("1", "a"), Report("1", "b"), Report("1", "a"), Report("2", "c")]
    assert by_study(iter(reports)) == {"1": "a\n\nb", "2": "c"}


def test_a_table_of_reports_is_read(tmp_path: Path) -> None:
    path = tmp_path / "reports.csv"
    path.write_text('study_instance_uid,text\n1.2,"Foie normal.\nRate normale."\n1.3,\n', encoding="utf-8")
    assert read_table(path) == {"1.2": "Foie normal.\nRate normale."}


@pytest.mark.parametrize("text", ["uid,text\n1,a\n", "study_instance_uid,text\n1,\n"])
def test_a_table_without_reports_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reports.csv"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(TrainingError):
        read_table(path)
