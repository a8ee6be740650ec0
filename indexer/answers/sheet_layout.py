"""Where everything stands on the contact sheet: what was asked about above, the cases below in rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from indexer.answers.canvas import (
    ACCENT,
    ALARM,
    COOL,
    INK,
    PANEL,
    QUIET,
    STRONG,
    WARM,
    Box,
    Canvas,
)
from indexer.answers.chronology import Dates, when
from indexer.answers.illustrations import Asked, Illustrated, Pixels, Shown
from indexer.answers.sheet_words import SheetWords, acquisition, counted, words_in
from indexer.answers.words import Language, in_words, likeness_of, more_alike_than, share_of_bar
from indexer.domain import Answer, SequenceMatch, SeriesAttributes
from indexer.search.question import RegionOfInterest

WIDTH: Final = 2048
MARGIN: Final = 48
GUTTER: Final = 28
MOST_MATCHES: Final = 10
MOST_OF_SAME_PATIENT: Final = 5
_WITHIN: Final = WIDTH - 2 * MARGIN

_HEADER: Final = 132
_LABEL: Final = 58
_ASKED_SIDES: Final = (640, 640, 560, 480)
_ASKED_CAPTION: Final = 64
_CAPTION_HEAD: Final = 84
_LINE: Final = 34
_FOOT: Final = 40
_SIZE: Final = 26


@dataclass(frozen=True, slots=True)
class SheetStyle:
    """In which language, and how dates are told."""

    language: Language = "en"
    dates: Dates = "relative"


def draw_sheet(
    answer: Answer,
    illustrated: Illustrated,
    *,
    created: datetime,
    style: SheetStyle,
    region: RegionOfInterest | None = None,
) -> Pixels:
    """The whole sheet, uint8 RGB (rows, 2048, 3); as high as what there is to show."""
    return _Sheet(answer, illustrated, created, style, region).drawn()


@dataclass(frozen=True, slots=True)
class _Grid:
    """So many columns of square pictures, each with a caption below it."""

    columns: int
    count: int
    caption: int

    @property
    def side(self) -> int:
        return (_WITHIN - (self.columns - 1) * GUTTER) // self.columns

    @property
    def height(self) -> int:
        rows = -(-self.count // self.columns)
        return rows * (self.side + self.caption)

    def boxes(self, top: int) -> Iterator[Box]:
        for number in range(self.count):
            row, column = divmod(number, self.columns)
            yield Box(
                MARGIN + column * (self.side + GUTTER),
                top + row * (self.side + self.caption),
                self.side,
                self.side,
            )


class _Sheet:
    def __init__(
        self,
        answer: Answer,
        illustrated: Illustrated,
        created: datetime,
        style: SheetStyle,
        region: RegionOfInterest | None,
    ) -> None:
        self.answer, self.illustrated = answer, illustrated
        self.created, self.style, self.region = created, style, region
        self.words: SheetWords = words_in(style.language)
        self.matches = illustrated.matches[:MOST_MATCHES]
        self.own = illustrated.same_patient[:MOST_OF_SAME_PATIENT]
        self.attributes = {e.reference: e.attributes for e in answer.example}
        self.letters = {
            asked.series: "ABC"[number] for number, asked in enumerate(illustrated.asked) if asked.series
        }
        self.asked_side = _ASKED_SIDES[min(len(illustrated.asked), 3)]
        self.canvas = Canvas(WIDTH, self._height())

    def drawn(self) -> Pixels:
        self._header()
        top = _HEADER
        self._label(top, self.words.asked_region if self.region else self.words.asked_about)
        self._band(top + _LABEL)
        top += _LABEL + self.asked_side + _ASKED_CAPTION
        for label, shown in self._lanes():
            self._label(top, label)
            for box, one in zip(self._grid(shown).boxes(top + _LABEL), shown, strict=True):
                self._case(box, one)
            top += _LABEL + self._grid(shown).height
        return self.canvas.pixels

    def _height(self) -> int:
        lanes = sum(_LABEL + self._grid(shown).height for _, shown in self._lanes())
        return _HEADER + _LABEL + self.asked_side + _ASKED_CAPTION + lanes + _FOOT

    def _lanes(self) -> list[tuple[str, tuple[Shown, ...]]]:
        lanes = [(self.words.most_alike, self.matches), (self.words.same_patient, self.own)]
        return [(label, shown) for label, shown in lanes if shown]

    def _grid(self, shown: Sequence[Shown]) -> _Grid:
        """Fewer and larger where there are few; the own patient's are smaller."""
        few = shown is self.matches and len(shown) <= 4
        lines = max(len(list(self._lines(one))) for one in shown)
        return _Grid(4 if few else 5, len(shown), _CAPTION_HEAD + (lines + 1) * _LINE)

    def _header(self) -> None:
        draw, words = self.canvas, self.words
        draw.text(MARGIN, 72, words.title, 54, weight=STRONG)
        draw.text(MARGIN, 112, self._asked_in_words(), _SIZE, colour=QUIET, width=_WITHIN // 2)
        for baseline, text, size, colour, weight in (
            (68, words.not_for_diagnosis, 38, WARM, STRONG),
            (112, words.by_likeness_alone, _SIZE, QUIET, 400),
        ):
            left = WIDTH - MARGIN - draw.width_of(text, size, weight)
            draw.text(left, baseline, text, size, colour=colour, weight=weight)

    def _asked_in_words(self) -> str:
        example = self.answer.example
        parts = list(dict.fromkeys(_body(e.attributes) for e in example if _body(e.attributes)))[:2]
        if example:
            parts.append(counted(len(example), self.words.series))
            parts.append(counted(sum(len(e.frames) for e in example), self.words.frames))
        return " · ".join(parts)

    def _label(self, top: int, text: str) -> None:
        left = self.canvas.text(MARGIN, top + 36, text, 28, colour=ACCENT, weight=STRONG)
        self.canvas.fill(Box(left + 20, top + 26, WIDTH - MARGIN - left - 20, 2), PANEL)

    def _band(self, top: int) -> None:
        """The example's frames, and beside them what there is to say."""
        left = MARGIN
        for asked in self.illustrated.asked:
            self._asked(Box(left, top, self.asked_side, self.asked_side), asked)
            left += self.asked_side + GUTTER
        self._beside(left + (GUTTER if left > MARGIN else 0), top)

    def _asked(self, box: Box, asked: Asked) -> None:
        if asked.picture is None:
            self._blank(box, self.words.no_picture)
        else:
            placed = self.canvas.picture(box, asked.picture.pixels)
            if asked.alike is not None:
                self.canvas.contour(placed, asked.alike)
            region = self.region
            if (
                region is not None
                and region.sop_instance_uid == asked.frame.sop_instance_uid
                and region.frame_number == asked.frame.frame_number
            ):
                self.canvas.outline(placed.part(region.region), COOL)
        attributes = self.attributes.get(asked.series) if asked.series else None
        caption = acquisition(attributes, self.style.language) if attributes else ""
        if len(self.letters) > 1 and asked.series in self.letters:
            caption = f"{self.letters[asked.series]}  {caption}"
        self.canvas.text(box.left, box.bottom + 36, caption, _SIZE, colour=INK, width=box.width)

    def _beside(self, left: int, top: int) -> None:
        """The outcome where there is nothing to show, and how to read the rest."""
        draw, words, width = self.canvas, self.words, WIDTH - MARGIN - left
        baseline = top + 30
        if self.answer.refused is not None:
            baseline = draw.paragraph(
                left, baseline + 20, words.refused, 50, width=width, weight=STRONG, lines=3
            )
            draw.paragraph(left, baseline + 6, self.answer.refused.message, 32, width=width, colour=INK)
        elif not self.matches:
            draw.paragraph(left, baseline + 20, words.none_found, 50, width=width, weight=STRONG)
        else:
            self._legend(left, baseline, width)
        compared = [self._compared_by()] if self.answer.encoder else []
        baseline = top + self.asked_side - 8 - 36 * (len(compared) - 1)
        for line in compared:
            draw.paragraph(left, baseline, line, 24, width=width, colour=QUIET, lines=2)

    def _legend(self, left: int, baseline: int, width: int) -> None:
        draw, words = self.canvas, self.words
        lines = []
        if any(shown.alike is not None for shown in (*self.matches, *self.own)):
            lines.append((WARM, words.legend_map))
        if self.region is not None:
            lines.append((COOL, words.legend_region))
        for colour, text in lines:
            draw.outline(Box(left + 4, baseline - 22, 34, 26), colour)
            baseline = draw.paragraph(left + 58, baseline, text, _SIZE, width=width - 58, lines=3) + 14
        known = any(shown.match.percent is not None for shown in self.matches)
        told = words.legend_percent if known else words.legend_score
        baseline = draw.paragraph(left, baseline + 6, told, _SIZE, width=width, colour=QUIET, lines=5)
        left_out = len(self.illustrated.matches) - len(self.matches)
        if left_out:
            draw.paragraph(
                left,
                baseline + 14,
                words.more_in_report.format(left_out),
                _SIZE,
                width=width,
                colour=QUIET,
                lines=2,
            )

    def _compared_by(self) -> str:
        encoder = self.answer.encoder
        return self.words.compared_by.format(encoder) if encoder else ""

    def _case(self, box: Box, shown: Shown) -> None:
        draw, match = self.canvas, shown.match
        if shown.picture is None:
            self._blank(box, self.words.withheld if shown.is_withheld else self.words.no_picture)
        else:
            placed = draw.picture(box, shown.picture.pixels)
            if shown.alike is not None:
                draw.contour(placed, shown.alike)
            if match.place is not None:
                draw.outline(placed.part(match.place), COOL)
        if match.possible_same_person:
            draw.chip(box.left, box.bottom, self.words.possible_same_person, 24, ALARM, box.width)
        self._caption(box, shown)

    def _caption(self, box: Box, shown: Shown) -> None:
        draw, match, language = self.canvas, shown.match, self.style.language
        baseline = box.bottom + 46
        left = draw.text(box.left, baseline, str(match.rank), 38, colour=ACCENT, weight=STRONG)
        likeness = in_words(likeness_of(match), language) or self.words.score.format(f"{match.score:.2f}")
        draw.text(left + 16, baseline, likeness, 32, weight=STRONG, width=box.right - left - 16)
        bar = Box(box.left, baseline + 18, box.width, 8)
        share = max(match.score, 0.0) if match.percent is None else share_of_bar(match.percent)
        draw.bar(bar, share, QUIET if match.percent is None else ACCENT)
        baseline += 62
        for text, colour in self._lines(shown):
            draw.text(box.left, baseline, text, _SIZE, colour=colour, width=box.width)
            baseline += _LINE

    def _lines(self, shown: Shown) -> Iterator[tuple[str, tuple[int, int, int]]]:
        match, language = shown.match, self.style.language
        if match.percent is not None:
            yield more_alike_than(match.percent, language, match.percent_of), INK
        what = [_body(match.attributes), acquisition(match.attributes, language)]
        yield " · ".join(part for part in what if part), QUIET
        told = when(match.attributes.study_date, self._example_date(), self.style.dates, language)
        if told:
            yield told, QUIET
        carried = self._carried(shown)
        if carried:
            yield carried, QUIET
        if match.carried_by_report:
            yield self.words.by_report, QUIET

    def _carried(self, shown: Shown) -> str:
        """Which series of the example carried the match, and which others have their like in it."""
        sequences = shown.match.sequences
        if len(self.answer.example) < 2 or not sequences:
            return ""
        first, *others = [self._name(one) for one in sequences]
        carried = self.words.carried_by.format(first)
        return f"{carried}, {self.words.also.format(', '.join(others))}" if others else carried

    def _name(self, one: SequenceMatch) -> str:
        """The letter of a series whose frame is shown, and its sequence."""
        attributes = one.example_attributes
        letter = self.letters.get(one.example, "") if len(self.letters) > 1 else ""
        named = attributes.sequence or (acquisition(attributes, self.style.language) if not letter else "")
        return " ".join(part for part in (letter, named) if part) or attributes.modality

    def _example_date(self) -> date | None:
        return next((e.attributes.study_date for e in self.answer.example), None)

    def _blank(self, box: Box, text: str) -> None:
        draw = self.canvas
        draw.fill(box, (0, 0, 0))
        draw.outline(Box(box.left + 2, box.top + 2, box.width - 4, box.height - 4), PANEL, 2)
        draw.paragraph(
            box.left + 28, box.top + box.height // 2, text, _SIZE, width=box.width - 56, colour=QUIET, lines=4
        )


def _body(attributes: SeriesAttributes) -> str:
    return " ".join(part for part in (attributes.modality, attributes.body_part_examined) if part)
