"""`cbir encoders list`: the encoders at hand, and those in use that are not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.table import Table

from indexer.domain import EncoderVersion
from indexer.line_up import LineUps
from inference.card import ONNX_NAME, EncoderError, load_card
from inference.registry import Registry, read_card

Role = Literal["serving", "beside", ""]
MIB = 2**20


@dataclass(frozen=True, slots=True)
class ListedEncoder:
    """One encoder; `error` is empty where its card and file are right and its licence is accepted.

    `folder` is empty where an encoder in use is not at hand, and then little else is known. `languages` are
    those that it reads; none where it embeds images alone.
    """

    folder: str
    name: str
    version: str
    modalities: tuple[str, ...]
    dimension: int
    licence: str
    commercial_use: bool | None
    size_bytes: int
    label: str
    role: Role
    error: str
    languages: tuple[str, ...] = ()

    def as_json(self) -> dict[str, object]:
        """All of it."""
        return asdict(self)


def listed(registry: Registry, line_ups: LineUps | None) -> list[ListedEncoder]:
    """Every folder with a card, then every encoder in use that no folder holds."""
    rows = [_at_hand(registry, folder, line_ups) for folder in registry.folders()]
    there = {row.label for row in rows}
    return [*rows, *(row for row in _missing(line_ups) if row.label not in there)]


def print_listed(console: Console, rows: list[ListedEncoder]) -> None:
    """A table; what is wrong with an encoder stands below it."""
    table = Table(
        "Name", "Version", "Modalities", "Reads", "Numbers", "Licence", "Commercial", "MiB", "SHA-256", "Role"
    )
    for row in rows:
        commercial = {True: "yes", False: "no", None: ""}[row.commercial_use]
        size = f"{row.size_bytes / MIB:.1f}" if row.size_bytes else ""
        table.add_row(
            row.folder or row.name, row.version, " ".join(row.modalities), " ".join(row.languages) or "-",
            str(row.dimension), row.licence, commercial, size, row.label.partition("@")[2], row.role or "-",
            style="red" if row.error else None,
        )  # fmt: skip
    console.print(table)
    for row in rows:
        if row.error:
            console.print(f"{row.folder or row.name}: {row.error}", highlight=False, soft_wrap=True)


def _at_hand(registry: Registry, folder: Path, line_ups: LineUps | None) -> ListedEncoder:
    card, error = read_card(folder), ""
    try:
        registry.accept_licence(load_card(folder))
    except EncoderError as wrong:
        error = str(wrong)
    size_bytes = (folder / ONNX_NAME).stat().st_size if (folder / ONNX_NAME).is_file() else 0
    if card is None:
        return ListedEncoder(folder.name, folder.name, "", (), 0, "", None, size_bytes, "", "", error)
    return ListedEncoder(
        folder=folder.name,
        name=card.name,
        version=card.version,
        modalities=card.modalities,
        dimension=card.dimension,
        licence=card.licence.weights,
        commercial_use=card.licence.commercial_use,
        size_bytes=size_bytes,
        label=str(card.encoder_version),
        role=_role(card.encoder_version, line_ups),
        error=error,
        languages=card.text.languages if card.text else (),
    )


def _missing(line_ups: LineUps | None) -> Iterator[ListedEncoder]:
    for version in line_ups.versions if line_ups else ():
        yield ListedEncoder(
            "", version.name, "", (), version.dimension, "", None, 0, str(version), _role(version, line_ups),
            "Its vectors are in use, and no folder holds it: put it back, under any name.",
        )  # fmt: skip


def _role(version: EncoderVersion, line_ups: LineUps | None) -> Role:
    if line_ups is None or version not in line_ups.versions:
        return ""
    return "serving" if version in line_ups.serving.versions else "beside"
