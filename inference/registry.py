"""The encoders that are at hand: a folder each, found by its name or by the version it holds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from indexer.domain import EncoderVersion
from indexer.line_up import LineUp, RoutedEncoder
from inference.card import CARD_NAME, Card, EncoderError, load_card


@dataclass(frozen=True, slots=True)
class Registry:
    """The folders of CBIR_ENCODERS_DIR.

    Attributes:
        encoders_dir: holds a folder for each encoder.
        non_commercial: names of encoders that may be used though their licence forbids commercial use.
    """

    encoders_dir: Path
    non_commercial: tuple[str, ...] = ()

    def folders(self) -> Iterator[Path]:
        """Every folder with a card, in the order of their names."""
        if self.encoders_dir.is_dir():
            yield from sorted(path.parent for path in self.encoders_dir.glob(f"*/{CARD_NAME}"))

    def card(self, name: str) -> Card:
        """The card of a folder, its file's hash checked.

        Raises:
            EncoderError: there is no such encoder, it is broken, or its licence is not accepted.
        """
        folder = self.encoders_dir / name
        if not (folder / CARD_NAME).is_file():
            there = ", ".join(path.name for path in self.folders()) or "none"
            raise EncoderError(
                f"There is no encoder {name} in {self.encoders_dir} (there: {there}): correct the name or "
                "CBIR_ENCODERS_DIR, or put its folder there."
            )
        card = load_card(folder)
        self.accept_licence(card)
        return card

    def accept_licence(self, card: Card) -> None:
        """The licence gate. Raises EncoderError when the encoder was not switched on explicitly."""
        if card.licence.commercial_use or card.name in self.non_commercial:
            return
        switched_on = ",".join((*self.non_commercial, card.name))
        raise EncoderError(
            f"The licence of {card.name} ({card.licence.weights}) forbids commercial use. If yours is none, "
            f"switch it on: CBIR_NON_COMMERCIAL_ENCODERS={switched_on}"
        )

    def line_up(self, names: Sequence[str]) -> LineUp:
        """The line-up of these folders, in this order. Raises EncoderError as `card` does."""
        if not names:
            raise EncoderError("A line-up names one encoder at least: CBIR_ENCODER=name[,name].")
        cards = [self.card(name) for name in dict.fromkeys(names)]
        return LineUp(tuple(map(_routed, cards)))

    def folder_of(self, version: EncoderVersion) -> Path:
        """The folder that holds this version, whatever the folder is called; its file is not read.

        Raises:
            EncoderError: none holds it, or its licence is not accepted.
        """
        for folder in sorted(self.folders(), key=lambda folder: folder.name != version.name):
            card = read_card(folder)
            if card is not None and card.encoder_version == version:
                self.accept_licence(card)
                return folder
        raise EncoderError(
            f"No folder of {self.encoders_dir} holds {version}, whose vectors are in use: put it back, under "
            "any name. `cbir encoders list` shows what is there."
        )

    def is_at_hand(self, version: EncoderVersion) -> bool:
        """Whether `folder_of` finds it."""
        try:
            self.folder_of(version)
        except EncoderError:
            return False
        return True

    def labelled(self, label: str) -> LineUp | None:
        """A line-up of the one encoder that the ledger calls so; None when it is not here."""
        for folder in self.folders():
            card = read_card(folder)
            if card is not None and str(card.encoder_version) == label:
                return LineUp((_routed(card),))
        return None


def read_card(folder: Path) -> Card | None:
    """The card as it is written, nothing checked against the model; None when it is no card."""
    try:
        return Card.model_validate_json((folder / CARD_NAME).read_bytes())
    except (OSError, ValidationError):
        return None


def _routed(card: Card) -> RoutedEncoder:
    return RoutedEncoder(card.encoder_version, card.modalities, card.text.languages if card.text else ())
