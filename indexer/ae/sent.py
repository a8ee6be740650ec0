"""What was sent: an example, and what came with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from indexer.ae.preset import Preset
from indexer.answers.example import Example, ExampleInstance, read_example
from indexer.answers.key_objects import KEY_OBJECT_SELECTION
from indexer.answers.typed_words import typed_words


@dataclass(frozen=True, slots=True)
class Sent:
    """What came: the example, its files in the same order, and how the AE title that was called asks.

    `typed` is what was typed about the images, where this title reads words.
    """

    example: Example
    paths: tuple[Path, ...]
    preset: Preset
    typed: str = field(default="", repr=False)

    @classmethod
    def read(cls, paths: Sequence[Path], preset: Preset) -> Self:
        """Read the headers, and what was typed. Raises Rejected where a file is no DICOM, or lacks a UID."""
        example = read_example(paths)
        typed = typed_words(tuple(zip(paths, example.instances, strict=True))) if preset.reads_reports else ""
        return cls(example, tuple(paths), preset, typed)

    @property
    def study_instance_uid(self) -> str:
        """The study of the first; all are of one."""
        return self.example.instances[0].study_instance_uid

    @property
    def images(self) -> tuple[Path, ...]:
        """Something to ask with."""
        return tuple(path for path, one in self._together() if one.is_image)

    @property
    def reports(self) -> tuple[Path, ...]:
        """Documents of others that may have words."""
        return tuple(path for path, one in self._together() if one.may_tell)

    @property
    def is_example(self) -> bool:
        """Whether there is anything to ask with: images, or reports where this title reads them."""
        return bool(self.images or (self.preset.reads_reports and self.reports))

    @property
    def is_selections(self) -> bool:
        """Whether nothing but key object selections came."""
        return all(one.sop_class_uid == KEY_OBJECT_SELECTION for one in self.example.instances)

    def _together(self) -> Iterator[tuple[Path, ExampleInstance]]:
        return zip(self.paths, self.example.instances, strict=True)
