"""Which encoder takes a series, which encoders are searched, and which are filled beside them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from indexer.domain import EncoderVersion
from indexer.errors import Rejected

ANY: Final = "*"
REFUSED: Final = "!"
JOINT: Final = "+"
DOCUMENTS: Final = frozenset({"SR", "DOC"})
"""Modalities whose series are read as text, or not at all: never as images, whatever an encoder takes."""


@dataclass(frozen=True, slots=True)
class RoutedEncoder:
    """One encoder of a line-up and the DICOM modalities whose images it takes; "*" is any.

    `languages` (ISO 639-1) are those that it reads; empty for an encoder of images alone.
    """

    version: EncoderVersion
    modalities: tuple[str, ...] = (ANY,)
    languages: tuple[str, ...] = ()

    def serves(self, modality: str) -> bool:
        """Whether it takes images of this modality (0008,0060)."""
        return ANY in self.modalities or modality in self.modalities


@dataclass(frozen=True, slots=True)
class LineUp:
    """Encoders in order: the first that serves a modality takes it; the first that reads takes reports."""

    encoders: tuple[RoutedEncoder, ...]

    def route(self, modality: str) -> EncoderVersion | None:
        """The encoder of series of this modality, reports among them; None when there is none."""
        return self.reads(modality) if modality in DOCUMENTS else self.looks_at(modality)

    def looks_at(self, modality: str) -> EncoderVersion | None:
        """The encoder of images of this modality; None when there is none."""
        return next((one.version for one in self.encoders if one.serves(modality)), None)

    def reads(self, modality: str) -> EncoderVersion | None:
        """The encoder of reports, if series of this modality are such; None when there is none."""
        text_encoder = self.text_encoder
        return text_encoder.version if text_encoder is not None and modality in DOCUMENTS else None

    @property
    def text_encoder(self) -> RoutedEncoder | None:
        """The first encoder that reads texts: it embeds what is asked in words, and reports."""
        return next((one for one in self.encoders if one.languages), None)

    @property
    def versions(self) -> tuple[EncoderVersion, ...]:
        """Its encoders, in order."""
        return tuple(one.version for one in self.encoders)

    def __str__(self) -> str:
        """`name@12 hex digits` of each, comma separated."""
        return ",".join(map(str, self.versions))


@dataclass(frozen=True, slots=True)
class LineUps:
    """The two line-ups of an installation.

    Attributes:
        serving: the one whose vectors are searched.
        beside: the one that is filled meanwhile: the next one, or the one before.
        switch_when_filled: whether `beside` takes over as soon as it holds what `serving` holds.
        configured: what CBIR_ENCODER named when it was last read: only a change of it is a wish.
        beside_served: whether `beside` was searched before, so that there is a way back to it.
        retiring: encoders that are filled no longer, and whose vectors are being deleted.
    """

    serving: LineUp
    beside: LineUp | None = None
    switch_when_filled: bool = False
    configured: LineUp | None = None
    beside_served: bool = False
    retiring: tuple[EncoderVersion, ...] = ()

    @classmethod
    def alone(cls, *versions: EncoderVersion) -> LineUps:
        """One line-up of encoders that take any modality."""
        return cls(LineUp(tuple(RoutedEncoder(version) for version in versions)))

    @property
    def versions(self) -> tuple[EncoderVersion, ...]:
        """Every encoder that is filled, those that are searched first."""
        beside = self.beside.versions if self.beside else ()
        return tuple(dict.fromkeys((*self.serving.versions, *beside)))

    @property
    def only_beside(self) -> tuple[EncoderVersion, ...]:
        """The encoders that are filled and not searched."""
        return tuple(version for version in self.versions if version not in self.serving.versions)

    def wanted(self, modality: str) -> tuple[EncoderVersion, ...]:
        """The encoders that a series of this modality is embedded by: at most one of each line-up."""
        routes = [line_up.route(modality) for line_up in (self.serving, self.beside) if line_up]
        return tuple(dict.fromkeys(version for version in routes if version is not None))

    def activated(self, line_up: LineUp, *, switch_when_filled: bool) -> LineUps:
        """The same with `line_up` beside.

        Raises:
            Rejected: it is searched already, another one is beside, or its vectors are being deleted.
        """
        if line_up == self.serving:
            raise Rejected(f"{line_up} is searched already.")
        if self.beside not in (None, line_up):
            raise Rejected(
                f"{self.beside} is filled beside {self.serving}: `cbir encoders retire` first, "
                "which deletes its vectors."
            )
        going = [str(version) for version in line_up.versions if version in self.retiring]
        if going:
            raise Rejected(
                f"The vectors of {', '.join(going)} are being deleted: repeat it in a few seconds. If that "
                "was interrupted, `cbir encoders retire` ends it."
            )
        served = self.beside_served and self.beside == line_up
        return replace(self, beside=line_up, switch_when_filled=switch_when_filled, beside_served=served)

    def switched(self) -> LineUps:
        """The same with the two exchanged. Raises Rejected when there is only one."""
        if self.beside is None:
            raise Rejected(
                "There is no line-up beside the one that is searched: `cbir encoders activate NAME` first."
            )
        return replace(
            self, serving=self.beside, beside=self.serving, switch_when_filled=False, beside_served=True
        )

    def retired(self) -> LineUps:
        """The same without the one beside, its encoders retiring. Raises Rejected when there is none."""
        if self.beside is None:
            raise Rejected("There is no line-up beside the one that is searched.")
        retiring = tuple(dict.fromkeys((*self.retiring, *self.only_beside)))
        return replace(self, beside=None, switch_when_filled=False, beside_served=False, retiring=retiring)

    def without_retiring(self, version: EncoderVersion) -> LineUps:
        """The same after the vectors of this encoder were deleted."""
        return replace(self, retiring=tuple(one for one in self.retiring if one != version))

    def to_json(self) -> str:
        """As the ledger keeps it."""
        return json.dumps(
            {
                "serving": _written(self.serving),
                "beside": _written(self.beside),
                "switch_when_filled": self.switch_when_filled,
                "configured": _written(self.configured),
                "beside_served": self.beside_served,
                "retiring": [_version_written(version) for version in self.retiring],
            }
        )

    @classmethod
    def from_json(cls, text: str) -> LineUps:
        """Read back what `to_json` wrote, here or in another release: what it does not tell is not so."""
        kept = json.loads(text)
        beside, configured = kept.get("beside"), kept.get("configured")
        return cls(
            serving=_read(kept["serving"]),
            beside=None if beside is None else _read(beside),
            switch_when_filled=kept.get("switch_when_filled", False),
            configured=None if configured is None else _read(configured),
            beside_served=kept.get("beside_served", False),
            retiring=tuple(_version_read(one) for one in kept.get("retiring", ())),
        )


@dataclass(frozen=True, slots=True)
class Holdings:
    """The encoders that hold the vectors of a series as it is, and those that looked at it in vain.

    The ledger keeps them as one text, `a@…+b@…+!c@…`: c found nothing to embed.
    """

    made: frozenset[str] = frozenset()
    refused: frozenset[str] = frozenset()

    @classmethod
    def of(cls, text: str | None) -> Holdings:
        """Read the ledger's text; None and an empty one are nobody."""
        labels = [label for label in (text or "").split(JOINT) if label]
        refused = frozenset(label[1:] for label in labels if label.startswith(REFUSED))
        return cls(frozenset(label for label in labels if not label.startswith(REFUSED)), refused)

    @property
    def looked(self) -> frozenset[str]:
        """Every encoder that looked at the series."""
        return self.made | self.refused

    def lack(self, wanted: Sequence[EncoderVersion]) -> bool:
        """Whether one of these has not looked at it."""
        return any(str(version) not in self.looked for version in wanted)

    def without(self, label: str) -> Holdings:
        """The same, had this encoder never looked."""
        return Holdings(self.made - {label}, self.refused - {label})

    def __str__(self) -> str:
        """As the ledger keeps it."""
        return JOINT.join([*sorted(self.made), *(REFUSED + label for label in sorted(self.refused))])


def _written(line_up: LineUp | None) -> list[dict[str, Any]] | None:
    if line_up is None:
        return None
    return [
        {**_version_written(one.version), "modalities": list(one.modalities)}
        | ({"languages": list(one.languages)} if one.languages else {})
        for one in line_up.encoders
    ]


def _version_written(version: EncoderVersion) -> dict[str, Any]:
    return {"name": version.name, "sha256": version.sha256, "dimension": version.dimension}


def _read(kept: list[dict[str, Any]]) -> LineUp:
    return LineUp(
        tuple(
            RoutedEncoder(_version_read(one), tuple(one["modalities"]), tuple(one.get("languages", ())))
            for one in kept
        )
    )


def _version_read(kept: dict[str, Any]) -> EncoderVersion:
    return EncoderVersion(kept["name"], kept["sha256"], kept["dimension"])
