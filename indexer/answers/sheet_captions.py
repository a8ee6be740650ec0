"""What stands below the pictures of the contact sheet, line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from indexer.answers.chronology import Dates, when
from indexer.answers.illustrations import Asked, Illustrated, Shown
from indexer.answers.sheet_words import acquisition, counted, sequence, words_in
from indexer.answers.words import Language, more_alike_than
from indexer.domain import Answer, SequenceMatch, SeriesAttributes, SeriesReference


@dataclass(frozen=True, slots=True)
class Captions:
    """The lines of one sheet.

    Series of the example are named by a letter where frames of several are shown, by what they are as far
    as that is known, and by their number in the example where nothing else tells them apart. `about` is when
    what was sent was acquired, where that alone is known of it.
    """

    answer: Answer
    illustrated: Illustrated
    language: Language
    dates: Dates
    about: date | None = None

    def of_asked(self, asked: Asked) -> str:
        """What a frame of the example is of; empty where there is nothing to tell it from."""
        if asked.series is None:
            return ""
        letter, named = self._letter(asked.series), self._named(asked.series)
        if not letter:
            return named if len(self.answer.example) > 1 else self._acquisition(asked.series)
        return f"{letter}  {named}"

    def of_example(self, most: int) -> Iterator[str]:
        """The series of the example and how many frames of each are compared; the rest counted."""
        words, example = words_in(self.language), self.answer.example
        listed = example if len(example) <= most else example[: most - 1]
        for one in listed:
            yield f"{self._named(one.reference)} · {counted(len(one.frames), words.frames)}"
        if len(listed) < len(example):
            yield words.more_series.format(len(example) - len(listed))

    def of_match(self, shown: Shown) -> Iterator[str]:
        """All but the rank and the likeness in words; the percentage first, where it is known."""
        match = shown.match
        if match.percent is not None:
            yield more_alike_than(match.percent, self.language, match.percent_of)
        what = [body(match.attributes), acquisition(match.attributes, self.language)]
        yield " · ".join(part for part in what if part)
        told = when(match.attributes.study_date, self._example_date(), self.dates, self.language)
        if told:
            yield told
        carried = self._carried(shown)
        if carried:
            yield carried
        if match.carried_by_report:
            yield words_in(self.language).by_report

    def _carried(self, shown: Shown) -> str:
        """Which series of the example carried the match, and which others have their like in it."""
        sequences, words = shown.match.sequences, words_in(self.language)
        if len(self.answer.example) < 2 or not sequences:
            return ""
        first, *others = [self._name(one) for one in sequences]
        carried = words.carried_by.format(first)
        return f"{carried}, {words.also.format(', '.join(others))}" if others else carried

    def _name(self, one: SequenceMatch) -> str:
        """Short, as several stand on one line: the letter and the sequence, or what else is known."""
        letter, attributes = self._letter(one.example), one.example_attributes
        named = sequence(attributes, self.language)
        if letter:
            return " ".join(part for part in (letter, named) if part)
        known = named or acquisition(attributes, self.language)
        return known or str(self._number(one.example) or attributes.modality)

    def _named(self, series: SeriesReference) -> str:
        """Sequence and plane; the number too where another series of the example has the same."""
        named = self._acquisition(series)
        alike = [e for e in self.answer.example if self._acquisition(e.reference) == named]
        if named and len(alike) < 2:
            return named
        attributes, number = self._attributes(series), self._number(series)
        numbered = words_in(self.language).numbered_series.format(number) if number else ""
        return ", ".join(part for part in (named or attributes.modality, numbered) if part)

    def _letter(self, series: SeriesReference) -> str:
        shown = [asked.series for asked in self.illustrated.asked if asked.series]
        return "ABC"[shown.index(series)] if len(shown) > 1 and series in shown else ""

    def _number(self, series: SeriesReference) -> int:
        """The place of a series in the example, from 1; 0 where it is no part of it."""
        places = {e.reference: place for place, e in enumerate(self.answer.example, start=1)}
        return places.get(series, 0)

    def _acquisition(self, series: SeriesReference) -> str:
        return acquisition(self._attributes(series), self.language)

    def _attributes(self, series: SeriesReference) -> SeriesAttributes:
        found = (e.attributes for e in self.answer.example if e.reference == series)
        return next(found, SeriesAttributes())

    def _example_date(self) -> date | None:
        return next((e.attributes.study_date for e in self.answer.example), self.about)


def body(attributes: SeriesAttributes) -> str:
    """Modality and body part, as far as they are known."""
    return " ".join(part for part in (attributes.modality, attributes.body_part_examined) if part)
