from __future__ import annotations

from pathlib import Path

from cbir.configuration import markdown_table

PAGE = Path(__file__).parent.parent.parent / "docs" / "configuration.md"


def test_the_page_of_options_is_what_the_command_prints() -> None:
    assert PAGE.read_text().endswith(f"\n\n{markdown_table()}\n"), "copy what `cbir configuration` prints"
