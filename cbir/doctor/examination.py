"""All checks in the order of the walk, and what they found as text and as JSON."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from rich.console import Console

from cbir.doctor.associations import examine_callers, examine_destinations, examine_own_entity
from cbir.doctor.encoding import examine_encoding
from cbir.doctor.finding import Finding, Level, ok, problem
from cbir.doctor.orthanc import examine_orthanc
from cbir.doctor.presets import examine_presets
from cbir.doctor.service import examine_service, is_serving
from cbir.doctor.storage import (
    DiskLimits,
    examine_data_directory,
    examine_ledger,
    examine_line_ups,
    examine_vectors,
)
from cbir.settings import Settings

logger = logging.getLogger(__name__)

STYLES = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "bold red"}


def examine(settings: Settings, limits: DiskLimits | None = None) -> Iterator[Finding]:
    """Look at the whole deployment; each finding as soon as it is there.

    It changes nothing but what looking changes: a line in the logs of those who were greeted, and, where
    the embedded engine does not run, its start and stop.
    """
    yield ok("settings", "The settings are right in themselves.")
    serving = is_serving(settings)
    checks: tuple[tuple[str, Callable[[], Iterable[Finding]]], ...] = (
        ("service", lambda: examine_service(settings, serving=serving)),
        ("orthanc", lambda: _archive(settings, serving=serving)),
        ("own_entity", lambda: [examine_own_entity(settings, serving=serving)]),
        ("presets", lambda: examine_presets(settings, serving=serving)),
        ("callers", lambda: examine_callers(settings)),
        ("destinations", lambda: examine_destinations(settings)),
        ("encoder", lambda: examine_encoding(settings)),
        ("data_directory", lambda: examine_data_directory(settings, limits or DiskLimits())),
        ("ledger", lambda: [examine_ledger(settings)]),
        ("line_up", lambda: examine_line_ups(settings)),
        ("vector_index", lambda: examine_vectors(settings)),
    )
    for name, check in checks:
        yield from _carefully(name, check)


def worst(findings: Sequence[Finding]) -> Level:
    """The level of the worst finding."""
    levels = {finding.level for finding in findings}
    return next((level for level in (Level.PROBLEM, Level.WARNING) if level in levels), Level.OK)


def print_finding(console: Console, finding: Finding) -> None:
    """One finding for a person."""
    style = STYLES[finding.level]
    console.print(f"[{style}]{finding.level.value:8}[/{style}]", end=" ")
    console.print(f"{finding.check}: {finding.found}", markup=False, highlight=False, soft_wrap=True)
    if finding.advice:
        console.print(
            f"         {finding.advice}", markup=False, highlight=False, style="dim", soft_wrap=True
        )


def as_json(findings: Sequence[Finding]) -> str:
    """All findings for a program."""
    listed = [
        {"check": f.check, "level": f.level.value, "found": f.found, "advice": f.advice} for f in findings
    ]
    return json.dumps({"level": worst(findings).value, "findings": listed}, indent=2)


def _archive(settings: Settings, *, serving: bool) -> Iterator[Finding]:
    if settings.folder is None:
        yield from examine_orthanc(settings, serving=serving)
    elif settings.folder.is_dir():
        yield ok("folder", "The folder that is followed in Orthanc's place is there.")
    else:
        yield problem(
            "folder", "The folder that is followed is not there.", "Correct CBIR_FOLDER, or mount it."
        )


def _carefully(name: str, check: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """A check that fails is a finding, and the others go on."""
    try:
        yield from check()
    except Exception as error:  # the edge: whatever one check meets, the others are wanted
        logger.exception("check_failed check=%s", name)
        yield problem(
            name, f"This could not be looked at ({type(error).__name__}).", "See the lines of the log."
        )
