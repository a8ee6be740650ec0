from __future__ import annotations

import re
from pathlib import Path

from cbir.configuration import options
from cbir.presets import parse_presets
from tests.docs.reasons import reasons

ROOT = Path(__file__).parent.parent.parent
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def _documented() -> set[str]:
    section = OPERATIONS.split("\n## Reasons\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    return {word for row in rows for word in re.findall(r"`(\w+)`", row)}


def test_every_reason_that_the_code_gives_is_explained() -> None:
    assert sorted(reasons() - _documented()) == []


def test_no_reason_is_explained_that_the_code_never_gives() -> None:
    assert sorted(_documented() - reasons()) == []


def test_every_event_that_is_explained_is_logged() -> None:
    section = OPERATIONS.split("\n## Log lines\n")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    explained = {word for row in rows for word in re.findall(r"`(\w+)`", row)}
    folders = ("cbir", "engine", "indexer", "inference", "plugin")
    code = "".join(path.read_text() for folder in folders for path in (ROOT / folder).rglob("*.py"))
    assert [event for event in sorted(explained) if f'"{event}' not in code] == []


def test_the_papers_name_only_options_and_commands_that_exist() -> None:
    presets = re.findall(r'CBIR_AE_PRESETS="([^"]+)"', OPERATIONS)
    titles = {preset.ae_title for written in presets for preset in parse_presets(written)}
    known = {name for name, _, _ in options()} | titles
    containers = set(re.findall(r"^(\w+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))
    for paper in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md"):
        named = set(re.findall(r"\bCBIR_[A-Z_]+[A-Z]\b", paper.read_text()))
        assert sorted(named - known - containers) == [], paper.name


def test_every_link_between_the_papers_leads_somewhere() -> None:
    for paper in (*(ROOT / "docs").rglob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"):
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", paper.read_text()):
            assert (paper.parent / target).exists(), f"{paper.name} links to {target}"
