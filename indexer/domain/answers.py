"""Answers and their matches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from indexer.domain.maps import Region
from indexer.domain.series import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
)

Pairs = Literal["body_part", "modality", "archive"]
"""Which pairs a percentage is of: of one modality and body part, of one modality, of all the archive."""


@dataclass(frozen=True, slots=True)
class SequenceMatch:
    """A series of the example and the series of a prior study that answers it.

    `score` is their late-interaction score in [-1, 1]. `is_like` says that both are of the same modality,
    sequence and plane, as far as these are known; otherwise the study has no such series.
    """

    example: SeriesReference
    example_attributes: SeriesAttributes
    reference: SeriesReference
    attributes: SeriesAttributes
    score: float
    is_like: bool


@dataclass(frozen=True, slots=True)
class Match:
    """A prior study that is shown: its best series, instance and frame.

    Attributes:
        rank: 1-based.
        score: in [-1, 1], larger is nearer: what the rank goes by.
        reference: the series that carried the match.
        attributes: of that series.
        frame: the frame of it that is nearest to `example_frame`.
        encoder: the one that compared these two.
        answers: the example's series that this match answers best; None where only a text was asked.
        example_frame: the frame of it that is nearest to `frame`; None where only a text was asked.
        pair_score: the late-interaction score of `answers` and `reference` alone, in [-1, 1].
        percent: how many percent of the `percent_of` pairs of different patients in this archive are less
            alike than `pair_score`, in [0, 100]; None while too few pairs are known, and where a part of a
            series was asked with: pairs are known of whole series.
        percent_of: the narrowest kind that both series are of and of which enough pairs are known.
        sequences: the example's series with the series that answer them, the one that carried first.
        place: where in `frame` the region that was asked about was found.
        possible_same_person: another patient by its id, and so alike that it may be the same person.
        carried_by_report: a text was asked, and the study's report answers it better than its images.
    """

    rank: int
    score: float
    reference: SeriesReference
    attributes: SeriesAttributes
    frame: FrameReference
    encoder: EncoderVersion
    answers: SeriesReference | None = None
    example_frame: FrameReference | None = None
    pair_score: float = 0.0
    percent: float | None = None
    percent_of: Pairs = "body_part"
    sequences: tuple[SequenceMatch, ...] = ()
    place: Region | None = None
    possible_same_person: bool = False
    carried_by_report: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a question is not answered with cases; `reason` is one word in snake case, `message` a sentence."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Answer:
    """The matches of one question, in rank order.

    Attributes:
        example: what was asked about; empty where only a text was asked, or nothing could be embedded.
        encoder: the one that compared the best match (each match names its own); None where none did.
        matches: other patients' studies. Empty where `refused` says why.
        took_ms: from the question to the answer.
        same_patient: earlier and later studies of the example's own patient, newest first, when asked for.
        refused: why nothing is shown; None where the question was answered, if only with nothing.
        more: what the question was refined with: series that a match shall be like.
        less: series that a match shall be unlike.
        embed_ms: of `took_ms`, until the vectors of the example and of the words were there.
        compared: how many series of the example were compared: of very many, those of each kind.
        read_reports: how many reports' words were asked with.
        unused_reports: why the reports that came with the question were left out, one word in snake case;
            empty where their words were asked with, or there were none.
    """

    example: tuple[SeriesEmbedding, ...]
    encoder: EncoderVersion | None
    matches: tuple[Match, ...]
    took_ms: float
    same_patient: tuple[Match, ...] = ()
    refused: Refusal | None = None
    more: tuple[SeriesReference, ...] = ()
    less: tuple[SeriesReference, ...] = ()
    embed_ms: float = 0.0
    compared: int = 0
    read_reports: int = 0
    unused_reports: str = ""
