"""How far indexing is, and which encoders are searched."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter

from indexer.answers.identity import NOT_FOR_DIAGNOSIS
from indexer.api.house import TheHouse, TheSettings
from indexer.api.references import EncoderBody, Wire
from indexer.following import Filling, filling
from indexer.line_up import LineUps, RoutedEncoder

router = APIRouter(prefix="/api", tags=["browse"])


class BesideBody(Wire):
    """The line-up that is filled beside the one that is searched: `filled` of `total` series are done."""

    encoders: list[EncoderBody]
    filled: int
    total: int
    switch_when_filled: bool

    @classmethod
    def of(cls, line_ups: LineUps, filled: Filling) -> BesideBody:
        """How far it is."""
        beside = line_ups.beside.versions if line_ups.beside else ()
        return cls(
            encoders=[EncoderBody.of(version) for version in beside],
            filled=filled.filled,
            total=filled.total,
            switch_when_filled=line_ups.switch_when_filled,
        )


class TextEncoderBody(Wire):
    """The encoder that words are asked with, and the languages (ISO 639-1) that it reads."""

    name: str
    languages: list[str]

    @classmethod
    def of(cls, encoder: RoutedEncoder) -> TextEncoderBody:
        """One that reads."""
        return cls(name=encoder.version.name, languages=list(encoder.languages))


class StatusBody(Wire):
    """How far indexing is; `lag_s` is how long the series that waits longest is overdue.

    `text_encoder` is null where no encoder that is searched reads text.
    """

    series: dict[str, int]
    reasons: dict[str, int]
    lag_s: float
    encoder: EncoderBody
    encoders: list[EncoderBody]
    beside: BesideBody | None
    text_encoder: TextEncoderBody | None
    max_upload_bytes: int
    notice: str


@router.get("/status")
def status(house: TheHouse, settings: TheSettings) -> StatusBody:
    """How many series are waiting, indexed, skipped and failed, and why; which encoders are searched."""
    line_ups = house.line_ups()
    versions, reading = line_ups.serving.versions, line_ups.serving.text_encoder
    filled = filling(house.ledger.holders(), line_ups)
    return StatusBody(
        series={state.value: count for state, count in house.ledger.counts().items()},
        reasons=house.ledger.reasons(),
        lag_s=round(house.ledger.lag_s(datetime.now(UTC)), 3),
        encoder=EncoderBody.of(versions[0]),
        encoders=[EncoderBody.of(version) for version in versions],
        beside=BesideBody.of(line_ups, filled) if filled else None,
        text_encoder=TextEncoderBody.of(reading) if reading else None,
        max_upload_bytes=settings.max_upload_bytes,
        notice=NOT_FOR_DIAGNOSIS,
    )
