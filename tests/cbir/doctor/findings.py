"""Findings by the name of their check."""

from __future__ import annotations

from collections.abc import Iterable

from cbir.doctor.finding import Finding, Level


def by_check(findings: Iterable[Finding]) -> dict[str, Finding]:
    found = list(findings)
    named = {finding.check: finding for finding in found}
    assert len(named) == len(found), found
    assert all(finding.advice for finding in found if finding.level is not Level.OK), found
    return named


def levels(findings: Iterable[Finding]) -> dict[str, str]:
    return {check: finding.level.value for check, finding in by_check(findings).items()}
