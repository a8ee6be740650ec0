"""Reports by study: those of an archive, or of a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from inference.reports import Report
from training.errors import TrainingError

REPORT_COLUMNS: Final = ("study_instance_uid", "text")


def read_table(path: Path) -> dict[str, str]:
    """Reports by Study Instance UID, from a CSV file with the columns study_instance_uid and text.

    Several rows of one study are put one after the other.

    Raises:
        TrainingError: a column is missing, or there is no row with text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in REPORT_COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise TrainingError(f"{path} lacks the columns {', '.join(missing)}.")
            reports = [Report(row["study_instance_uid"].strip(), row["text"] or "") for row in table]
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as a CSV file in UTF-8.") from error
    joined = by_study(report for report in reports if report.study_instance_uid and report.text.strip())
    if not joined:
        raise TrainingError(f"{path} holds no report.")
    return joined


def by_study(reports: Iterator[Report]) -> dict[str, str]:
    """The text of each study's reports, a blank line between two, the same text once."""
    texts: dict[str, list[str]] = {}
    for report in reports:
        own = texts.setdefault(report.study_instance_uid, [])
        if report.text not in own:
            own.append(report.text)
    return {study: "\n\n".join(own) for study, own in texts.items()}
