"""Frames, series and encoders as answers name them in JSON."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from indexer.domain import EncoderVersion, FrameReference, IndexedSeries, SeriesEmbedding


class Wire(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(frozen=True)


class FrameBody(Wire):
    """One frame; `frame_number` counts from 1."""

    sop_instance_uid: str
    frame_number: int

    @classmethod
    def of(cls, frame: FrameReference) -> FrameBody:
        """One frame of an embedding."""
        return cls(sop_instance_uid=frame.sop_instance_uid, frame_number=frame.frame_number)


def key_frame(series: SeriesEmbedding | IndexedSeries) -> FrameBody:
    """The frame in the middle of a series stands for it."""
    return FrameBody.of(series.frames[len(series.frames) // 2])


class EncoderBody(Wire):
    """The encoder whose vectors were compared."""

    name: str
    sha256: str

    @classmethod
    def of(cls, version: EncoderVersion) -> EncoderBody:
        """One encoder."""
        return cls(name=version.name, sha256=version.sha256)
