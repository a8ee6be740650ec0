"""From a question to its answer: clues, candidates, visible studies, matches, and the judgement over them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace

from indexer.domain import (
    Answer,
    EncoderVersion,
    Filters,
    Match,
    Refusal,
    Scope,
    SeriesEmbedding,
    SeriesReference,
)
from indexer.errors import Rejected
from indexer.ledger import Ledger
from indexer.line_up import LineUps
from indexer.ports import Access, Archive, Caller, Encoder, VectorIndex
from indexer.search.chosen import ChosenCases
from indexer.search.clues import MOST_SERIES, Clue, clues_of, most_telling
from indexer.search.diversity import MOST_BESIDES, diversified
from indexer.search.examples import Examples
from indexer.search.judging import Judge
from indexer.search.matches import Matches
from indexer.search.question import Question
from indexer.search.ranking import RankedStudy, Ranking
from indexer.search.regions import AskedRegion, Regions, breadth
from indexer.search.seen_frames import SeenFrames
from indexer.search.visible_studies import VisibleStudies
from indexer.search.words import Words, words_of


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question as it was understood.

    `compared` are those series of the example that its clues are made of, `region` what is asked about in
    the place of the whole.
    """

    example: tuple[SeriesEmbedding, ...]
    compared: tuple[SeriesEmbedding, ...]
    more: tuple[SeriesEmbedding, ...]
    less: tuple[SeriesEmbedding, ...]
    words: Words
    region: AskedRegion | None
    clues: tuple[Clue, ...]


class Search:
    """Query by example: each clue among the vectors of the encoder that made its own."""

    def __init__(
        self,
        *,
        line_ups: Callable[[], LineUps],
        ledger: Ledger,
        archive: Archive,
        encoder: Encoder,
        index: VectorIndex,
        access: Access,
        judge: Judge | None = None,
    ) -> None:
        """Take the world as ports.

        Args:
            line_ups: tells whose vectors are searched, anew for each question.
            ledger: the state of what is not indexed.
            archive: where an example is fetched from whose frames were not sampled.
            encoder: embeds new examples, regions and texts.
            index: the vectors.
            access: who may see what.
            judge: percentages and refusals; None judges nothing.
        """
        self._line_ups = line_ups
        self._encoder = encoder
        self._index = index
        self._access = access
        self._judge = judge or Judge()
        self._examples = Examples(ledger, archive, encoder, index, access)
        self._matches = Matches(index, self._judge)
        self._regions = Regions(SeenFrames(archive, encoder), access)

    def embedding_with(self, encoder: Encoder) -> Search:
        """The same search, whose new examples this encoder embeds."""
        other = copy(self)
        other._examples = replace(self._examples, encoder=encoder)
        return other

    def similar(self, question: Question, caller: Caller) -> Answer:
        """Find the prior studies that look most like what is asked with.

        A refusal says that nothing is known of other patients' studies: those of the example's own patient
        need no likeness to be listed.

        Returns:
            Up to `question.limit` matches, a study each; fewer when the caller may not see more or
            the index holds no more; none, with the reason, where the question is refused.

        Raises:
            NotFound: the example, or a chosen case that is not left out, is unknown, or not for the caller.
            NotIndexed: that is known but has no vectors (yet).
            NotConfigured: words are asked with, and no encoder reads text.
            Rejected: the DICOM given is not understood, or the words.
            Unavailable: a neighbour did not answer.
        """
        started = time.perf_counter()
        line_ups = self._line_ups()
        chosen = ChosenCases.of(question, self._examples, caller, line_ups)
        question = chosen.question
        try:
            example = self._example(question, caller, line_ups)
        except Rejected as error:
            refusal = self._judge.refusal_of(error)
            if refusal is None:
                raise
            refused = Answer((), None, (), took_ms=_since_ms(started), refused=refusal)
            return replace(refused, more=_references(chosen.more), less=_references(chosen.less))
        words = words_of(question, self._encoder)
        if words.unused_reports:
            question = replace(question, reports=())
        embed_ms = _since_ms(started)
        asked = self._asked(question, example, chosen, words, caller)
        answer = self._answer(question, asked, caller, line_ups)
        return replace(answer, took_ms=_since_ms(started), embed_ms=embed_ms)

    def _asked(
        self,
        question: Question,
        example: tuple[SeriesEmbedding, ...],
        chosen: ChosenCases,
        words: Words,
        caller: Caller,
    ) -> _Asked:
        """Whose vectors are compared: those of the region or the example, of chosen cases, of the words."""
        region = self._region(question, example, caller)
        if region is not None:
            example = (region.example,)
        compared = most_telling(example, MOST_SERIES)
        clues = [*clues_of(compared, "example")]
        clues += [*clues_of(chosen.more, "more"), *clues_of(chosen.less, "less"), *words.clues()]
        return _Asked(example, compared, chosen.more, chosen.less, words, region, tuple(clues))

    def _answer(self, question: Question, asked: _Asked, caller: Caller, line_ups: LineUps) -> Answer:
        """Rank, judge and show; the times are for `similar` to tell."""
        ranking = Ranking(self._index, question.text_weight, line_ups.serving.versions)
        studies = VisibleStudies(ranking, self._access, caller)
        ranked = studies.nearest(asked.clues, _scope(question, asked), _breadth(question))
        refusal = self._refusal(question, asked, ranked, studies)
        matches = () if refusal is not None else self._matches_of(ranked, question, asked.region)
        return Answer(
            example=asked.example,
            encoder=_encoder_of(matches, asked.example),
            matches=matches,
            took_ms=0.0,
            same_patient=self._same_patient(question, asked.compared, studies),
            refused=refusal,
            more=_references(asked.more),
            less=_references(asked.less),
            compared=len(asked.compared),
            read_reports=asked.words.read,
            unused_reports=asked.words.unused_reports,
        )

    def _matches_of(
        self, ranked: Sequence[RankedStudy], question: Question, region: AskedRegion | None
    ) -> tuple[Match, ...]:
        """As many of the ranked studies as are wanted; a region is looked for in all of them first."""
        if region is not None:
            found = self._matches.of_region(ranked, self._matches.stored(ranked), region.whole)
            return self._regions.placed(found, region, question.limit, alone=_is_region_alone(question))
        if question.diversity == 0:
            ranked = ranked[: question.limit]
        stored = self._matches.stored(ranked)
        chosen = diversified(ranked, stored, question.diversity, question.limit)
        return self._matches.of(chosen, stored, other_people=True)

    def _same_patient(
        self, question: Question, example: Sequence[SeriesEmbedding], studies: VisibleStudies
    ) -> tuple[Match, ...]:
        """The lane of the example's own patient; empty where nobody asked for it, or knows who that is."""
        patient = example[0].attributes.patient if example else None
        if not question.same_patient or patient is None:
            return ()
        own = Scope(
            filters=question.filters,
            not_study=example[0].reference.study_instance_uid,
            only_patient=patient,
        )
        ranked = studies.of_one_patient(clues_of(example, "example"), own, question.limit)
        return self._matches.of(ranked, self._matches.stored(ranked), other_people=False)

    def _refusal(
        self, question: Question, asked: _Asked, ranked: Sequence[RankedStudy], studies: VisibleStudies
    ) -> Refusal | None:
        """Why the example is not answered.

        Judged is an example that is whole and asked with alone: a part of a frame is like no whole frame,
        and with a text or chosen cases the person says herself what is meant. That the cases which a filter
        leaves are far away says nothing of the example: then it is held against all that the filter left out.
        """
        if question.region is not None or question.has_words or question.more or question.less:
            return None
        refusal = self._judged(asked, ranked)
        if refusal is None or question.filters == Filters():
            return refusal
        everywhere = replace(_scope(question, asked), filters=Filters())
        return self._judged(asked, studies.nearest(asked.clues, everywhere, _breadth(question)))

    def _judged(self, asked: _Asked, ranked: Sequence[RankedStudy]) -> Refusal | None:
        return self._judge.of_ranked(asked.compared, ranked, frames_of=self._matches.frames_of)

    def _example(self, question: Question, caller: Caller, line_ups: LineUps) -> tuple[SeriesEmbedding, ...]:
        if question.example is None:
            return ()
        return self._examples.read(question.example, caller, line_ups)

    def _region(
        self, question: Question, example: Sequence[SeriesEmbedding], caller: Caller
    ) -> AskedRegion | None:
        if question.region is None or question.example is None:
            return None
        return self._regions.read(question.region, question.example, example, caller)


def _scope(question: Question, asked: _Asked) -> Scope:
    """Where matches may come from: not from the example's study and patient, nor from chosen studies.

    Nor from the studies and the patients of the reports whose words are asked with.
    Where there is no example, the patients of the cases that a match shall be like take its patient's place.
    """
    first = asked.example[0] if asked.example else None
    studies = {embedding.reference.study_instance_uid for embedding in (*asked.more, *asked.less)}
    patients = {embedding.attributes.patient for embedding in asked.more} if first is None else set()
    return Scope(
        filters=question.filters,
        not_study=first.reference.study_instance_uid if first else None,
        not_patient=first.attributes.patient if first else None,
        not_studies=tuple(sorted(studies.union(asked.words.studies))),
        not_patients=tuple(sorted({one for one in patients if one}.union(asked.words.patients))),
    )


def _references(embeddings: Sequence[SeriesEmbedding]) -> tuple[SeriesReference, ...]:
    return tuple(embedding.reference for embedding in embeddings)


def _is_region_alone(question: Question) -> bool:
    return not (question.has_words or question.more or question.less)


def _breadth(question: Question) -> int:
    """How many studies are ranked for a question."""
    if question.region is not None:
        return breadth(question.limit, alone=_is_region_alone(question))
    return question.limit + (min(3 * question.limit, MOST_BESIDES) if question.diversity else 0)


def _encoder_of(matches: Sequence[Match], example: Sequence[SeriesEmbedding]) -> EncoderVersion | None:
    """What compared the best match, or would have."""
    if matches:
        return matches[0].encoder
    return example[0].encoder if example else None


def _since_ms(started: float) -> float:
    return (time.perf_counter() - started) * 1000
