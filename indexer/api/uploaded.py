"""What of an upload is looked at, and which reports in it are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.answers.example import ExampleInstance, read_instance
from indexer.answers.typed_words import typed_words
from indexer.errors import Rejected
from indexer.ports import MOST_REPORTS


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The files of an upload; `example` is None where all of them are reports, or what goes with reports.

    `typed` is what was typed about its images, as the description of a key object selection.
    """

    example: tuple[Path, ...] | None
    reports: tuple[Path, ...] = ()
    typed: str = field(default="", repr=False)


def told_apart(paths: Sequence[Path]) -> Uploaded:
    """Tell the words among DICOM files from the example; what cannot be read is left to the encoder.

    Of very many reports the first are asked with.
    """
    known = [(path, _instance(path)) for path in paths]
    reports = tuple(path for path, one in known if one is not None and one.may_tell)
    rest = tuple(path for path, one in known if one is None or not one.may_tell)
    nothing_to_see = not any(one is None or one.is_image for _, one in known)
    typed = typed_words([(path, one) for path, one in known if one is not None])
    return Uploaded(None if reports and nothing_to_see else rest, reports[:MOST_REPORTS], typed)


def _instance(path: Path) -> ExampleInstance | None:
    try:
        with path.open("rb") as file:
            return read_instance(file)
    except Rejected:
        return None
