"""Where everything stands on the contact sheet: what was asked about above, the cases below in rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from indexer.answers.canvas import (
    ACCENT,
    ALARM,
    COOL,
    INK,
    PANEL,
    QUIET,
    SMALLEST,
    STRONG,
    WARM,
    Box,
    Canvas,
    Colour,
)
from indexer.answers.chronology import Dates
from indexer.answers.illustrations import Asked, Illustrated, Pixels, Shown
from indexer.answers.kinds import is_hardly_alike, is_other_kind
from indexer.answers.refusals import refusal_in_words
from indexer.answers.sheet_captions import Captions, body
from indexer.answers.sheet_words import SheetWords, counted, words_in
from indexer.answers.words import (
    Language,
    Likeness,
    in_words,
    likeness_of,
    share_of_bar,
)
from indexer.domain import Answer
from indexer.search.question import RegionOfInterest

WIDTH: Final = 2048
MARGIN: Final = 48
GUTTER: Final = 28
MOST_MATCHES: Final = 10
MOST_OF_SAME_PATIENT: Final = 5
MOST_OF_EXAMPLE: Final = 6
_WITHIN: Final = WIDTH - 2 * MARGIN

_HEADER: Final = 132
_LABEL: Final = 58
_COLUMNS: Final = 5
_COLUMN: Final = (_WITHIN - (_COLUMNS - 1) * GUTTER) // _COLUMNS
OUTCOME_SIDE: Final = 640
_BESIDE_SIZES: Final = (32, 32, 28, 24)
_ASKED_CAPTION: Final = 64
_CAPTION_HEAD: Final = 84
_LINE: Final = 34
_FOOT: Final = 64
_SIZE: Final = 26
REFUSAL_SIZE: Final = 32


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
    note: str = "",
) -> Pixels:
    """The whole sheet, uint8 RGB (rows, 2048, 3); as high as what there is to show.

    `note` is a sentence on what was asked about.
    """
    return _Sheet(answer, illustrated, created, style, region, note).drawn()


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


@dataclass(frozen=True, slots=True)
class _Lane:
    """Cases that belong together, below a heading."""

    label: str
    shown: tuple[Shown, ...]
    columns: int = _COLUMNS
    is_dim: bool = False


class _Sheet:
    def __init__(
        self,
        answer: Answer,
        illustrated: Illustrated,
        created: datetime,
        style: SheetStyle,
        region: RegionOfInterest | None,
        note: str,
    ) -> None:
        self.answer, self.illustrated = answer, illustrated
        self.created, self.style, self.region, self.note = created, style, region, note
        self.words: SheetWords = words_in(style.language)
        self.matches = illustrated.matches[:MOST_MATCHES]
        self.captions = Captions(answer, illustrated, style.language, style.dates)
        self.asked_side = _asked_side(len(illustrated.asked), bool(self.matches))
        self.lanes = self._lanes()
        self.canvas = Canvas(WIDTH, self._height())

    def drawn(self) -> Pixels:
        self._header()
        top = _HEADER
        self._label(top, self.words.asked_region if self.region else self.words.asked_about, note=self.note)
        self._band(top + _LABEL)
        top += _LABEL + self.asked_side + _ASKED_CAPTION
        for lane in self.lanes:
            self._label(top, lane.label, colour=QUIET if lane.is_dim else ACCENT)
            for box, one in zip(self._grid(lane).boxes(top + _LABEL), lane.shown, strict=True):
                self._case(box, one, is_dim=lane.is_dim)
            top += _LABEL + self._grid(lane).height
        if self.answer.encoder:
            said = self.words.compared_by.format(self.answer.encoder)
            self.canvas.text(MARGIN, self.canvas.height - 36, said, 24, colour=QUIET, width=_WITHIN)
        return self.canvas.pixels

    def _height(self) -> int:
        lanes = sum(_LABEL + self._grid(lane).height for lane in self.lanes)
        return _HEADER + _LABEL + self.asked_side + _ASKED_CAPTION + lanes + _FOOT

    def _lanes(self) -> list[_Lane]:
        """The cases that are alike, larger where they are few; below them those that hardly are."""
        alike = tuple(one for one in self.matches if not is_hardly_alike(one.match, self.answer))
        hardly = tuple(one for one in self.matches if is_hardly_alike(one.match, self.answer))
        own = self.illustrated.same_patient[:MOST_OF_SAME_PATIENT]
        lanes = [
            _Lane(self.words.most_alike, alike, columns=4 if len(alike) <= 4 else _COLUMNS),
            _Lane(self.words.hardly_alike, hardly, is_dim=True),
            _Lane(self.words.same_patient, own),
        ]
        return [lane for lane in lanes if lane.shown]

    def _grid(self, lane: _Lane) -> _Grid:
        grid = _Grid(lane.columns, len(lane.shown), 0)
        lines = max(len(self._lines(one, grid.side)) for one in lane.shown)
        return replace(grid, caption=_CAPTION_HEAD + (lines + 1) * _LINE)

    def _lines(self, shown: Shown, width: int) -> list[tuple[str, bool]]:
        """What stands below the likeness, broken where it has no room; and whether it is a percentage."""
        ruler, known = Canvas(1, 1), shown.match.percent is not None
        return [
            (part, known and number == 0)
            for number, line in enumerate(self.captions.of_match(shown))
            for part in ruler.wrapped(line, SMALLEST, width)
        ]

    def _header(self) -> None:
        draw, words = self.canvas, self.words
        draw.text(MARGIN, 72, self._title(), 54, weight=STRONG)
        draw.text(MARGIN, 112, self._asked_in_words(), _SIZE, colour=QUIET, width=_WITHIN // 2)
        for baseline, text, size, colour, weight in (
            (68, words.not_for_diagnosis, 38, WARM, STRONG),
            (112, words.by_likeness_alone, _SIZE, QUIET, 400),
        ):
            left = WIDTH - MARGIN - draw.width_of(text, size, weight)
            draw.text(left, baseline, text, size, colour=colour, weight=weight)

    def _title(self) -> str:
        """How many cases are similar, those left to the report too; no number where nothing tells."""
        matches = [shown.match for shown in self.illustrated.matches]
        others = [match for match in matches if not is_hardly_alike(match, self.answer)]
        similar = sum(likeness_of(match) is not Likeness.UNKNOWN for match in others)
        if similar:
            return counted(similar, self.words.titles)
        return self.words.title if others or not matches else self.words.no_similar_title

    def _asked_in_words(self) -> str:
        example = self.answer.example
        parts = list(dict.fromkeys(body(e.attributes) for e in example if body(e.attributes)))[:2]
        if example:
            parts.append(counted(len(example), self.words.series))
            parts.append(counted(sum(len(e.frames) for e in example), self.words.frames))
        return " · ".join(parts)

    def _label(self, top: int, text: str, colour: Colour = ACCENT, note: str = "") -> None:
        left = self.canvas.text(MARGIN, top + 36, text, 28, colour=colour, weight=STRONG)
        if note:
            left = self.canvas.text(left + 20, top + 36, note, _SIZE, colour=WARM)
        self.canvas.fill(Box(left + 20, top + 26, WIDTH - MARGIN - left - 20, 2), PANEL)

    def _band(self, top: int) -> None:
        """The example's frames, and beside them what there is to say."""
        left = MARGIN
        for asked in self.illustrated.asked:
            self._asked(Box(left, top, self.asked_side, self.asked_side), asked)
            left += self.asked_side + GUTTER
        self._beside(left, top)

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
        caption = self.captions.of_asked(asked)
        self.canvas.text(box.left, box.bottom + 36, caption, _SIZE, colour=INK, width=box.width)

    def _beside(self, left: int, top: int) -> None:
        """The outcome where there is nothing to show, and how to read the rest."""
        draw, words, width = self.canvas, self.words, WIDTH - MARGIN - left
        baseline = top + 50
        if self.answer.refused is not None:
            why = refusal_in_words(self.answer.refused, self.style.language)
            baseline = draw.paragraph(left, baseline, words.refused, 50, width=width, weight=STRONG, lines=3)
            draw.paragraph(left, baseline + 6, why, REFUSAL_SIZE, width=width, colour=INK)
        elif not self.matches:
            draw.paragraph(left, baseline, words.none_found, 50, width=width, weight=STRONG)
        else:
            self._legend(left, top, width)

    def _legend(self, left: int, top: int, width: int) -> None:
        """As large as there is room beside the pictures."""
        draw, size = self.canvas, _BESIDE_SIZES[min(len(self.illustrated.asked), 3)]
        baseline = top + size
        for colour, text in self._to_read():
            inset = 0 if colour is None else size * 2
            if colour is not None:
                draw.outline(Box(left + 4, baseline - round(size * 0.85), round(size * 1.3), size), colour)
            baseline = size // 2 + draw.paragraph(
                left + inset,
                baseline,
                text,
                size,
                width=width - inset,
                colour=QUIET if colour is None else INK,
            )
        if len(self.illustrated.asked) == 1 and len(self.answer.example) > 1:
            for text in (self.words.series_asked, *self.captions.of_example(MOST_OF_EXAMPLE)):
                draw.text(left, baseline + size // 2, text, size, colour=QUIET, width=width)
                baseline += round(size * 1.4)

    def _to_read(self) -> Iterator[tuple[Colour | None, str]]:
        """What the colours and the numbers mean, as far as they are there."""
        words = self.words
        if any(shown.alike is not None for lane in self.lanes for shown in lane.shown):
            yield WARM, words.legend_map
        if self.region is not None:
            yield COOL, words.legend_region
        known = any(shown.match.percent is not None for shown in self.matches)
        yield None, words.legend_percent if known else words.legend_score
        if known and len(self.answer.example) > 1:
            yield None, words.legend_rank
        left_out = len(self.illustrated.matches) - len(self.matches)
        if left_out:
            yield None, words.more_in_report.format(left_out)

    def _case(self, box: Box, shown: Shown, *, is_dim: bool) -> None:
        draw, match = self.canvas, shown.match
        if shown.picture is None:
            self._blank(box, self.words.withheld if shown.is_withheld else self.words.no_picture)
        else:
            placed = draw.picture(box, shown.picture.pixels)
            if shown.alike is not None:
                draw.contour(placed, shown.alike)
            if match.place is not None:
                draw.outline(placed.part(match.place), COOL)
            if is_dim:
                draw.dim(box)
        if match.possible_same_person:
            draw.chip(box.left, box.bottom, self.words.possible_same_person, 24, ALARM, box.width)
        self._caption(box, shown, is_dim=is_dim)

    def _caption(self, box: Box, shown: Shown, *, is_dim: bool) -> None:
        draw, match = self.canvas, shown.match
        accent, ink = (QUIET, QUIET) if is_dim else (ACCENT, INK)
        baseline = box.bottom + 46
        left = draw.text(box.left, baseline, str(match.rank), 38, colour=accent, weight=STRONG)
        likeness = in_words(likeness_of(match), self.style.language)
        is_measured = match.percent is not None and bool(likeness)
        if is_other_kind(match, self.answer):
            likeness = self.words.other_kind
        likeness = likeness or self.words.score.format(f"{match.score:.2f}")
        draw.text(left + 16, baseline, likeness, 32, colour=ink, weight=STRONG, width=box.right - left - 16)
        bar = Box(box.left, baseline + 18, box.width, 8)
        share = share_of_bar(match.percent or 0.0) if is_measured else max(match.score, 0.0)
        draw.bar(bar, share, accent if is_measured else QUIET)
        baseline += 62
        for text, is_percentage in self._lines(shown, box.width):
            colour = ink if is_percentage else QUIET
            draw.text(box.left, baseline, text, _SIZE, colour=colour, width=box.width)
            baseline += _LINE

    def _blank(self, box: Box, text: str) -> None:
        draw = self.canvas
        draw.fill(box, (0, 0, 0))
        draw.outline(Box(box.left + 2, box.top + 2, box.width - 4, box.height - 4), PANEL, 2)
        draw.paragraph(
            box.left + 28, box.top + box.height // 2, text, _SIZE, width=box.width - 56, colour=QUIET, lines=4
        )


def _asked_side(pictures: int, has_matches: bool) -> int:
    """How large the example's frames are: they end where a column of the cases does."""
    if not has_matches:
        return OUTCOME_SIDE
    columns = min(pictures + 1, _COLUMNS - 1)
    return (columns * (_COLUMN + GUTTER) - GUTTER - (pictures - 1) * GUTTER) // max(pictures, 1)
