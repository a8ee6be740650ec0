from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_every_file_of_the_plugin_says_its_licence() -> None:
    files = [path for path in (ROOT / "plugin").iterdir() if path.suffix in (".py", ".js")]
    assert len(files) > 5
    assert [
        path.name for path in files if "SPDX-License-Identifier: AGPL-3.0-or-later" not in path.read_text()
    ] == []
    assert "GNU AFFERO GENERAL PUBLIC LICENSE" in (ROOT / "plugin" / "LICENSE").read_text()


def test_nothing_else_is_under_another_licence_than_the_package_says() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    rooms = ("cbir", "demo", "engine", "indexer", "inference", "training", "docker")
    strange = [path for room in rooms for path in (ROOT / room).rglob("*.py") if "AGPL" in path.read_text()]
    assert strange == []


def test_what_is_under_the_gpl_is_installed_by_choice_only() -> None:
    for lock in ("cpu", "gpu"):
        assert "pylibjpeg-libjpeg" not in (ROOT / "requirements" / f"{lock}.lock").read_text()
    assert "pylibjpeg-libjpeg" in (ROOT / "requirements" / "jpeg12.lock").read_text()
