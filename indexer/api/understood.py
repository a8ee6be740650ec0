"""The question as it was understood, said again in its answer."""

from __future__ import annotations

from datetime import date

from indexer.api.asking import ExampleBody, QuestionBody, RegionBody, UploadOptions
from indexer.api.references import FrameBody, Wire, key_frame
from indexer.domain import Answer, SeriesEmbedding
from indexer.vocabulary import FiltersBody


class ExampleSeriesBody(Wire):
    """A series of the example."""

    series_instance_uid: str
    modality: str
    body_part_examined: str
    sequence: str
    plane: str
    study_date: date | None
    frames: int
    key_frame: FrameBody

    @classmethod
    def of(cls, embedding: SeriesEmbedding) -> ExampleSeriesBody:
        """One series of the example."""
        return cls(
            series_instance_uid=embedding.reference.series_instance_uid,
            modality=embedding.attributes.modality,
            body_part_examined=embedding.attributes.body_part_examined,
            sequence=embedding.attributes.sequence,
            plane=embedding.attributes.plane,
            study_date=embedding.attributes.study_date,
            frames=len(embedding.frames),
            key_frame=key_frame(embedding),
        )


class QueryBody(Wire):
    """The question as it was understood.

    `study_instance_uid` is None where nothing of an example could be embedded, or only a text was asked.
    `example` is as it was named, None for an upload; `uploaded` and `ignored` count its files, `reports`
    those whose words are asked with or, where `unused_reports` is a word for why none is, all that were
    looked at; 0 where the example was refused before them. `more` and `less` are the Series Instance UIDs of
    the chosen cases that were compared, `series_compared` how many of the example's `series` were: of very
    many, some of each kind. `picture` is a data URL, when one was asked for.
    """

    study_instance_uid: str | None
    series: list[ExampleSeriesBody]
    series_compared: int
    example: ExampleBody | None
    uploaded: int
    ignored: int
    reports: int
    unused_reports: str | None
    limit: int
    filters: FiltersBody
    same_patient: bool
    region: RegionBody | str | None
    text: str
    text_weight: float
    more: list[str]
    less: list[str]
    diversity: float
    picture: str | None = None

    @classmethod
    def of(
        cls,
        answer: Answer,
        asked: QuestionBody | UploadOptions,
        *,
        uploaded: int = 0,
        ignored: int = 0,
        reports: int = 0,
        picture: str | None = None,
    ) -> QueryBody:
        """What was asked, and what of the example could be compared."""
        return cls(
            study_instance_uid=answer.example[0].reference.study_instance_uid if answer.example else None,
            series=[ExampleSeriesBody.of(embedding) for embedding in answer.example],
            series_compared=answer.compared,
            example=asked.example if isinstance(asked, QuestionBody) else None,
            uploaded=uploaded,
            ignored=ignored,
            reports=reports if answer.unused_reports else answer.read_reports,
            unused_reports=answer.unused_reports or None,
            limit=asked.limit,
            filters=asked.filters,
            same_patient=asked.same_patient,
            region=asked.region or None,
            text=asked.text,
            text_weight=asked.text_weight,
            more=[reference.series_instance_uid for reference in answer.more],
            less=[reference.series_instance_uid for reference in answer.less],
            diversity=asked.diversity,
            picture=picture,
        )
