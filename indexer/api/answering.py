"""Answers as JSON: matches by their DICOM references, and what they answer."""

from __future__ import annotations

from datetime import date

from pydantic import BaseModel, ConfigDict

from indexer.answers.identity import NOT_FOR_DIAGNOSIS
from indexer.answers.links import Links
from indexer.api.asking import ExampleBody, FiltersBody, QuestionBody, UploadOptions
from indexer.domain import Answer, EncoderVersion, FrameReference, IndexedSeries, Match, SeriesEmbedding


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


class ExampleSeriesBody(Wire):
    """A series of the example."""

    series_instance_uid: str
    modality: str
    body_part_examined: str
    frames: int
    key_frame: FrameBody

    @classmethod
    def of(cls, embedding: SeriesEmbedding) -> ExampleSeriesBody:
        """One series of the example."""
        return cls(
            series_instance_uid=embedding.reference.series_instance_uid,
            modality=embedding.attributes.modality,
            body_part_examined=embedding.attributes.body_part_examined,
            frames=len(embedding.frames),
            key_frame=key_frame(embedding),
        )


class QueryBody(Wire):
    """The question as it was understood.

    `example` is as it was named, None for an upload; `uploaded` and `ignored` count its files;
    `picture` is a data URL, when one was asked for.
    """

    study_instance_uid: str
    series: list[ExampleSeriesBody]
    example: ExampleBody | None
    uploaded: int
    ignored: int
    limit: int
    filters: FiltersBody
    exclude_same_patient: bool
    picture: str | None = None

    @classmethod
    def of(
        cls,
        answer: Answer,
        asked: QuestionBody | UploadOptions,
        *,
        uploaded: int = 0,
        ignored: int = 0,
        picture: str | None = None,
    ) -> QueryBody:
        """What was asked, and what of the example could be compared."""
        return cls(
            study_instance_uid=answer.example[0].reference.study_instance_uid,
            series=[ExampleSeriesBody.of(embedding) for embedding in answer.example],
            example=asked.example if isinstance(asked, QuestionBody) else None,
            uploaded=uploaded,
            ignored=ignored,
            limit=asked.limit,
            filters=asked.filters,
            exclude_same_patient=asked.exclude_same_patient,
            picture=picture,
        )


class LinksBody(Wire):
    """Where a person opens the match."""

    viewer: str | None


class MatchBody(Wire):
    """A prior study that looks like the example: its best series, instance and frame.

    `score` is in [-1, 1], larger is nearer. `answers_series_instance_uid` and `example_…` name what of
    the example it is nearest to, `encoder` what compared the two.
    """

    rank: int
    score: float
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    frame_number: int
    modality: str
    body_part_examined: str
    study_date: date | None
    retrieve_url: str | None
    retrieve_ae_title: str | None
    answers_series_instance_uid: str
    example_sop_instance_uid: str
    example_frame_number: int
    encoder: EncoderBody
    links: LinksBody

    @classmethod
    def of(cls, match: Match, links: Links) -> MatchBody:
        """One match."""
        return cls(
            rank=match.rank,
            score=round(match.score, 6),
            study_instance_uid=match.reference.study_instance_uid,
            series_instance_uid=match.reference.series_instance_uid,
            sop_instance_uid=match.frame.sop_instance_uid,
            frame_number=match.frame.frame_number,
            modality=match.attributes.modality,
            body_part_examined=match.attributes.body_part_examined,
            study_date=match.attributes.study_date,
            retrieve_url=links.retrieve_url(match),
            retrieve_ae_title=links.ae_title(match),
            answers_series_instance_uid=match.answers.series_instance_uid,
            example_sop_instance_uid=match.example_frame.sop_instance_uid,
            example_frame_number=match.example_frame.frame_number,
            encoder=EncoderBody.of(match.encoder),
            links=LinksBody(viewer=links.viewer_url(match)),
        )


class AnswerBody(Wire):
    """The answer to a question; `encoder` compared its best match."""

    query: QueryBody
    encoder: EncoderBody
    matches: list[MatchBody]
    took_ms: float
    notice: str

    @classmethod
    def of(cls, answer: Answer, query: QueryBody, links: Links) -> AnswerBody:
        """Write down one answer."""
        return cls(
            query=query,
            encoder=EncoderBody.of(answer.encoder),
            matches=[MatchBody.of(match, links) for match in answer.matches],
            took_ms=round(answer.took_ms, 3),
            notice=NOT_FOR_DIAGNOSIS,
        )
