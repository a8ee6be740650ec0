"""Documents that are sent along and read whole: how large, how many, how deep and how far they may be."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from indexer.elements import DEFLATED, TRANSFER_SYNTAX_UID, read_elements
from indexer.errors import Rejected

LARGEST_BYTES: Final = 2 * 2**20
"""Of a document that is looked into; a drawing of a person has a few kilobytes."""
MOST_BYTES: Final = 4 * 2**20
"""Of all that are looked through together: of a MiB of empty items pydicom builds for two seconds."""
MOST_DOCUMENTS: Final = 20
MOST_STEPS: Final = 50_000
"""Over all that are looked through together: annotations, shapes, references, areas, content items."""
MOST_DEPTH: Final = 32

_SOP_INSTANCE_UID: Final = 0x00080018
_INSTANCE_NUMBER: Final = 0x00200013


class Enough(Exception):
    """Enough was found, or as many steps were made as a question may cost."""


@dataclass(slots=True)
class Steps:
    """What a look through all documents may cost yet: called before each step, it raises Enough at last."""

    left: int = MOST_STEPS

    def __call__(self) -> None:
        """One step more."""
        self.left -= 1
        if self.left < 0:
            raise Enough


def documents(paths: Iterable[Path]) -> Iterator[Path]:
    """Those that are small enough to be read whole, by Instance Number; none deflated or malformed.

    Of more than `MOST_DOCUMENTS` the first that are given.
    """
    found = []
    for path in list(paths)[:MOST_DOCUMENTS]:
        with suppress(Rejected), path.open("rb") as file:
            header = read_elements(file, [TRANSFER_SYNTAX_UID, _SOP_INSTANCE_UID, _INSTANCE_NUMBER]) or {}
            if header.get(TRANSFER_SYNTAX_UID) != DEFLATED:
                found.append((_order(header), path))
    left_bytes = MOST_BYTES
    for _, path in sorted(found):
        size_bytes = path.stat().st_size
        if size_bytes <= min(LARGEST_BYTES, left_bytes):
            left_bytes -= size_bytes
            yield path


def content_items(report: Dataset, step: Callable[[], None]) -> Iterator[Dataset]:
    """The content items in the order of the document, so deep at most; `step` is called before each."""
    waiting = [(item, 1) for item in reversed(report.ContentSequence)]
    while waiting:
        step()
        item, depth = waiting.pop()
        yield item
        if depth < MOST_DEPTH:
            waiting += [(child, depth + 1) for child in reversed(item.get("ContentSequence", []))]


def _order(header: Mapping[int, bytes]) -> tuple[int, bytes]:
    number = header.get(_INSTANCE_NUMBER, b"")
    return int(number) if number.isdigit() else 2**31, header.get(_SOP_INSTANCE_UID, b"")
