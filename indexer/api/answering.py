"""Answers as JSON: matches by their DICOM references, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

from indexer.answers.identity import NOT_FOR_DIAGNOSIS
from indexer.answers.links import Links
from indexer.answers.words import likeness_of
from indexer.api.references import EncoderBody, Wire
from indexer.api.understood import QueryBody
from indexer.domain import Answer, Match, MatchMap, Pairs, Refusal, Region, SequenceMatch


class RegionOfMatch(Wire):
    """Where in a frame, in fractions of it from its top left corner."""

    left: float
    top: float
    width: float
    height: float

    @classmethod
    def of(cls, region: Region) -> RegionOfMatch:
        """One rectangle."""
        return cls(left=region.left, top=region.top, width=region.width, height=region.height)


class MapBody(Wire):
    """Where a frame looks like another: `values` in [0, 1], row by row over `area` of the frame.

    `area` reaches beyond the frame where that was letterboxed, and leaves margins out where it was cropped.
    """

    rows: int
    columns: int
    values: list[list[float]]
    area: RegionOfMatch

    @classmethod
    def of(cls, found: MatchMap) -> MapBody:
        """One map."""
        rows, columns = found.values.shape
        values = [[round(float(value), 3) for value in row] for row in found.values]
        return cls(rows=rows, columns=columns, values=values, area=RegionOfMatch.of(found.area))


class MapsBody(Wire):
    """Where the example's frame and the match's look like each other."""

    example: MapBody
    match: MapBody

    @classmethod
    def of(cls, pair: tuple[MatchMap, MatchMap]) -> MapsBody:
        """The maps of the example's frame and of the match's."""
        return cls(example=MapBody.of(pair[0]), match=MapBody.of(pair[1]))


class SequenceBody(Wire):
    """A series of the example and the series of the match that answers it; `score` is in [-1, 1]."""

    example_series_instance_uid: str
    example_sequence: str
    example_plane: str
    series_instance_uid: str
    sequence: str
    plane: str
    score: float
    is_like: bool

    @classmethod
    def of(cls, found: SequenceMatch) -> SequenceBody:
        """One pair of series."""
        return cls(
            example_series_instance_uid=found.example.series_instance_uid,
            example_sequence=found.example_attributes.sequence,
            example_plane=found.example_attributes.plane,
            series_instance_uid=found.reference.series_instance_uid,
            sequence=found.attributes.sequence,
            plane=found.attributes.plane,
            score=round(found.score, 6),
            is_like=found.is_like,
        )


class MatchBody(Wire):
    """A prior study that looks like the example: its best series, instance and frame.

    `score` is in [-1, 1], larger is nearer; `percent` of the pairs that `percent_of` names (of this modality
    and body part, of this modality, of all the archive) are less alike, and `likeness` says so in a word of
    `indexer.answers.words`.
    `answers_series_instance_uid` and `example_…` name what of the example it is nearest to, `encoder` what
    compared the two, `place` where the region that was asked about was found. `links` has a URL a viewer,
    `maps` where the two frames look like each other, where that was asked for.
    """

    rank: int
    score: float
    percent: float | None
    percent_of: Pairs
    likeness: str
    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    frame_number: int
    modality: str
    body_part_examined: str
    sequence: str
    plane: str
    study_date: date | None
    retrieve_url: str | None
    retrieve_ae_title: str | None
    answers_series_instance_uid: str | None
    example_sop_instance_uid: str | None
    example_frame_number: int | None
    sequences: list[SequenceBody]
    place: RegionOfMatch | None
    possible_same_person: bool
    carried_by_report: bool
    encoder: EncoderBody
    links: dict[str, str]
    maps: MapsBody | None = None

    @classmethod
    def of(cls, match: Match, links: Links, maps: tuple[MatchMap, MatchMap] | None = None) -> MatchBody:
        """One match."""
        return cls(
            rank=match.rank,
            score=round(match.score, 6),
            percent=None if match.percent is None else round(match.percent, 3),
            percent_of=match.percent_of,
            likeness=likeness_of(match).value,
            study_instance_uid=match.reference.study_instance_uid,
            series_instance_uid=match.reference.series_instance_uid,
            sop_instance_uid=match.frame.sop_instance_uid,
            frame_number=match.frame.frame_number,
            modality=match.attributes.modality,
            body_part_examined=match.attributes.body_part_examined,
            sequence=match.attributes.sequence,
            plane=match.attributes.plane,
            study_date=match.attributes.study_date,
            retrieve_url=links.retrieve_url(match),
            retrieve_ae_title=links.ae_title(match),
            answers_series_instance_uid=match.answers.series_instance_uid if match.answers else None,
            example_sop_instance_uid=match.example_frame.sop_instance_uid if match.example_frame else None,
            example_frame_number=match.example_frame.frame_number if match.example_frame else None,
            sequences=[SequenceBody.of(found) for found in match.sequences],
            place=RegionOfMatch.of(match.place) if match.place else None,
            possible_same_person=match.possible_same_person,
            carried_by_report=match.carried_by_report,
            encoder=EncoderBody.of(match.encoder),
            links=dict(links.viewers(match)),
            maps=None if maps is None else MapsBody.of(maps),
        )


class RefusalBody(Wire):
    """Why no case is shown: one word in snake case, and a sentence for a person."""

    reason: str
    message: str

    @classmethod
    def of(cls, refusal: Refusal) -> RefusalBody:
        """One refusal."""
        return cls(reason=refusal.reason, message=refusal.message)


class AnswerBody(Wire):
    """The answer to a question; `encoder` compared its best match.

    `matches` are other patients' studies. `same_patient` are the studies of the example's own patient,
    newest first, where they were asked for. `refused` says why nothing is shown.
    """

    query: QueryBody
    encoder: EncoderBody | None
    matches: list[MatchBody]
    same_patient: list[MatchBody]
    refused: RefusalBody | None
    took_ms: float
    notice: str

    @classmethod
    def of(
        cls,
        answer: Answer,
        query: QueryBody,
        links: Links,
        maps: Mapping[int, tuple[MatchMap, MatchMap]] | None = None,
    ) -> AnswerBody:
        """Write down one answer, with the match maps that were made, by rank."""
        made = maps or {}
        return cls(
            query=query,
            encoder=EncoderBody.of(answer.encoder) if answer.encoder else None,
            matches=[MatchBody.of(match, links, made.get(match.rank)) for match in answer.matches],
            same_patient=[MatchBody.of(match, links) for match in answer.same_patient],
            refused=RefusalBody.of(answer.refused) if answer.refused else None,
            took_ms=round(answer.took_ms, 3),
            notice=NOT_FOR_DIAGNOSIS,
        )
