"""The figures for a person: ratios first, absolute figures labelled as such."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from cbir.bench.figures import Indexing, Latency, Report, Searching, percentile


def print_report(console: Console, report: Report) -> None:
    """Print everything that was measured."""
    about = report.machine
    console.print(
        f"{about.cores} cores, {about.memory_gib} GiB; encoder {about.encoder} on "
        f"{', '.join(about.providers)}; {about.decoders} decoders, {about.lanes} lanes",
        highlight=False,
    )
    for one in report.indexing:
        _print_indexing(console, one)
    if report.searching is not None:
        _print_searching(console, report.searching)


def _print_indexing(console: Console, one: Indexing) -> None:
    title = f"Indexing: {one.kind} ({one.series} series of {one.frames_a_series:.0f} frames)"
    table = Table("stage", "times the whole worker", "series/s here", title=title, title_justify="left")
    for stage in one.stages:
        table.add_row(f"{stage.name} alone", *_rate(stage.series_per_s, one.whole_per_s))
    table.add_row("decode and render", *_rate(one.decoders_per_s, one.whole_per_s))
    table.add_row("encode, not batched", *_rate(one.encoder_one_by_one_per_s, one.whole_per_s))
    table.add_row("the whole worker", *_rate(one.whole_per_s, one.whole_per_s))
    console.print(table)
    console.print(
        f"The worker reaches {one.whole_to_slowest:.2f} of its slowest stage alone, {one.slowest.name}; "
        f"{one.whole_to_bound:.2f} where decode and render count as the one stage that they are.",
        highlight=False,
        soft_wrap=True,
    )


def _rate(series_per_s: float, whole_per_s: float) -> tuple[str, str]:
    return f"{series_per_s / whole_per_s:.2f}", f"{series_per_s:.1f}"


def _print_searching(console: Console, searching: Searching) -> None:
    title = (
        f"Search: {searching.series} series, {searching.studies} studies, "
        f"{searching.frames_a_series} frames of {searching.dimension} numbers each"
    )
    table = Table(
        *("question", "p50/scan", "p99/scan", "p50 ms", "p99 ms", "agrees"),
        title=title,
        title_justify="left",
    )
    for latency in searching.latencies:
        table.add_row(latency.question, *_latency(latency))
    console.print(table)


def _latency(latency: Latency) -> tuple[str, ...]:
    p50, p99 = percentile(latency.times_ms, 50), percentile(latency.times_ms, 99)
    here = (f"{p50:.1f}", f"{p99:.1f}")
    if not latency.scan_ms:
        return ("", "", *here, "")
    scan = percentile(latency.scan_ms, 50)
    agreement = "" if latency.agreement is None else f"{latency.agreement:.3f}"
    return f"{p50 / scan:.2f}", f"{p99 / scan:.2f}", *here, agreement
