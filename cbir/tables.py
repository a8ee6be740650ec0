"""What the command prints for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

from rich.console import Console

from indexer.answers.identity import NOT_FOR_DIAGNOSIS
from indexer.domain import Answer
from indexer.following import Filling
from indexer.ledger import Ledger, SeriesRow, State
from indexer.line_up import LineUps

PAGE = 500


def print_matches(console: Console, answer: Answer) -> None:
    """The matches of one question, each with its DICOM references on lines of their own, to be copied."""
    if answer.refused is not None:
        console.print(f"Not answered ({answer.refused.reason}): {answer.refused.message}", highlight=False)
        return
    if not answer.matches:
        console.print("No similar prior case is indexed.")
        return
    encoder = answer.matches[0].encoder
    console.print(f"Similar prior cases ({encoder.name}, {answer.took_ms:.0f} ms)", style="bold")
    for match in answer.matches:
        about = match.attributes
        date = about.study_date.isoformat() if about.study_date else ""
        words = " ".join(word for word in (about.modality, about.body_part_examined, date) if word)
        console.print(f"{match.rank:3d}  {match.score:6.3f}  {words}", highlight=False)
        console.print(f"     study    {match.reference.study_instance_uid}", style="dim", highlight=False)
        console.print(f"     series   {match.reference.series_instance_uid}", style="dim", highlight=False)
        frame = f"{match.frame.sop_instance_uid} frame {match.frame.frame_number}"
        console.print(f"     instance {frame}", style="dim", highlight=False, soft_wrap=True)
    console.print(NOT_FOR_DIAGNOSIS)


def print_status(
    console: Console, counts: Mapping[State, int], reasons: Mapping[str, int], lag_s: float | None
) -> None:
    """How many series are in each state, and why some are not indexed."""
    console.print("  ".join(f"{state} {count}" for state, count in counts.items()))
    for reason, count in reasons.items():
        console.print(f"  {count} x {reason}")
    if lag_s:
        console.print(f"The series that waits longest has waited {lag_s:.0f} s.")


def print_encoders(console: Console, line_ups: LineUps | None, filled: Filling | None) -> None:
    """Which encoders are searched, and how far those beside them are filled."""
    if line_ups is None:
        return
    console.print(f"encoder {line_ups.serving}", highlight=False)
    if filled is not None:
        then = ", then it takes over" if line_ups.switch_when_filled else ""
        told = f"beside {line_ups.beside}: {filled.filled} of {filled.total} series{then}"
        console.print(told, highlight=False)


def encoders_as_json(line_ups: LineUps | None, filled: Filling | None) -> dict[str, object]:
    """The same for machines."""
    if line_ups is None:
        return {"serving": [], "beside": None}
    beside = {
        "encoders": [str(version) for version in line_ups.beside.versions],
        "filled": filled.filled,
        "total": filled.total,
        "switch_when_filled": line_ups.switch_when_filled,
    } if line_ups.beside and filled else None  # fmt: skip
    return {"serving": [str(version) for version in line_ups.serving.versions], "beside": beside}


def print_series(console: Console, ledger: Ledger, *, as_json: bool) -> None:
    """A line for each series: tab-separated, or a JSON object."""
    for row in _every_row(ledger):
        if as_json:
            console.out(json.dumps(series_as_json(row)), highlight=False)
        else:
            shown = (
                row.series_instance_uid or row.archive_id,
                row.modality,
                row.state,
                row.reason,
                row.detail,
            )
            console.out("\t".join(shown), highlight=False)


def series_as_json(row: SeriesRow) -> dict[str, object]:
    """One series as `GET /api/series` shows it."""
    return {
        "series_instance_uid": row.series_instance_uid,
        "study_instance_uid": row.study_instance_uid,
        "orthanc_id": row.orthanc_id,
        "modality": row.modality,
        "state": row.state,
        "reason": row.reason,
        "attempts": row.attempts,
        "encoder": row.encoder,
    }


def _every_row(ledger: Ledger) -> Iterator[SeriesRow]:
    cursor: str | None = None
    while True:
        page = ledger.rows(limit=PAGE, cursor=cursor)
        yield from page.rows
        cursor = page.next_cursor
        if cursor is None:
            return
