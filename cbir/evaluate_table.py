"""The first figures of an evaluation as a table for a person."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from evaluation.bootstrap import Interval
from evaluation.measurement import CONSISTENCY, Comparison

NONE = "-"
OVERLAP = "overlap@10"


def print_comparisons(console: Console, encoder: str, comparisons: Sequence[Comparison]) -> None:
    """A line a task, with the measure of its kind that is quoted first; gains beyond chance are bold.

    Of consistency only the neighbours that stay: the rest is in the report.
    """
    baselines = list(dict.fromkeys(name for comparison in comparisons for name in comparison.baselines))
    table = Table("task", "measure", title="95 % intervals over subjects", title_justify="left")
    for name in ("chance", *baselines, encoder, *(f"above {name}" for name in baselines)):
        table.add_column(name, justify="right")
    for comparison in comparisons:
        if comparison.is_headline and (comparison.family != CONSISTENCY or comparison.measure == OVERLAP):
            table.add_row(*_cells(comparison, baselines))
    console.print(table)


def _cells(comparison: Comparison, baselines: Sequence[str]) -> list[str]:
    others, gains = comparison.baselines, comparison.gains
    return [
        comparison.task,
        comparison.measure,
        NONE if comparison.chance is None else f"{comparison.chance:.3f}",
        *(f"{others[name].mean:.3f}" if name in others else NONE for name in baselines),
        f"{comparison.encoder.mean:.3f} ({comparison.encoder.low:.3f}-{comparison.encoder.high:.3f})",
        *(_gain(gains[name]) if name in gains else NONE for name in baselines),
    ]


def _gain(gain: Interval) -> str:
    text = f"{gain.mean:+.3f}"
    return f"[bold]{text}[/bold]" if gain.is_above_zero else text
