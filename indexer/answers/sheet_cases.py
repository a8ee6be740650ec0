"""The cases of the contact sheet: lanes of pictures in rows, each with its rank and likeness below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from indexer.answers.canvas import ACCENT, ALARM, COOL, INK, QUIET, SMALLEST, STRONG, Box, Canvas
from indexer.answers.illustrations import Shown
from indexer.answers.kinds import is_hardly_alike, is_other_kind
from indexer.answers.sheet_content import SheetContent
from indexer.answers.sheet_frame import COLUMNS, GUTTER, HEADING, MARGIN, SIZE, WITHIN, blank, heading
from indexer.answers.words import in_words, likeness_of, share_of_bar

MOST_OF_SAME_PATIENT: Final = 5
_CAPTION_HEAD: Final = 84
_LINE: Final = 34


@dataclass(frozen=True)
class Lane:
    """Cases that belong together, below a heading, in so many columns of square pictures."""

    content: SheetContent
    label: str
    shown: tuple[Shown, ...]
    columns: int = COLUMNS
    is_dim: bool = False

    @property
    def height(self) -> int:
        """In pixels, with the heading."""
        rows = -(-len(self.shown) // self.columns)
        return HEADING + rows * (self._side + self._caption_height)

    def draw(self, canvas: Canvas, top: int) -> None:
        """Draw it from this row on."""
        heading(canvas, top, self.label, colour=QUIET if self.is_dim else ACCENT)
        for box, one in zip(self._boxes(top + HEADING), self.shown, strict=True):
            self._case(canvas, box, one)

    @property
    def _side(self) -> int:
        return (WITHIN - (self.columns - 1) * GUTTER) // self.columns

    @cached_property
    def _caption_height(self) -> int:
        lines = max(len(self._lines(one)) for one in self.shown)
        return _CAPTION_HEAD + (lines + 1) * _LINE

    def _boxes(self, top: int) -> Iterator[Box]:
        side = self._side
        for number in range(len(self.shown)):
            row, column = divmod(number, self.columns)
            yield Box(
                MARGIN + column * (side + GUTTER), top + row * (side + self._caption_height), side, side
            )

    def _case(self, canvas: Canvas, box: Box, shown: Shown) -> None:
        words, match = self.content.words, shown.match
        if shown.picture is None:
            blank(canvas, box, words.withheld if shown.is_withheld else words.no_picture)
        else:
            placed = canvas.picture(box, shown.picture.pixels)
            if shown.alike is not None:
                canvas.contour(placed, shown.alike)
            if match.place is not None:
                canvas.outline(placed.part(match.place), COOL)
            if self.is_dim:
                canvas.dim(box)
        if match.possible_same_person:
            canvas.chip(box.left, box.bottom, words.possible_same_person, 24, ALARM, box.width)
        self._caption(canvas, box, shown)

    def _caption(self, canvas: Canvas, box: Box, shown: Shown) -> None:
        match, words = shown.match, self.content.words
        accent, ink = (QUIET, QUIET) if self.is_dim else (ACCENT, INK)
        baseline = box.bottom + 46
        left = canvas.text(box.left, baseline, str(match.rank), 38, colour=accent, weight=STRONG)
        likeness = in_words(likeness_of(match), self.content.language)
        is_measured = match.percent is not None and bool(likeness)
        if is_other_kind(match, self.content.answer, self.content.question):
            likeness = words.other_kind
        likeness = likeness or words.score.format(f"{match.score:.2f}")
        canvas.text(left + 16, baseline, likeness, 32, colour=ink, weight=STRONG, width=box.right - left - 16)
        bar = Box(box.left, baseline + 18, box.width, 8)
        share = share_of_bar(match.percent or 0.0) if is_measured else max(match.score, 0.0)
        canvas.bar(bar, share, accent if is_measured else QUIET)
        baseline += 62
        for text, is_percentage in self._lines(shown):
            colour = ink if is_percentage else QUIET
            canvas.text(box.left, baseline, text, SIZE, colour=colour, width=box.width)
            baseline += _LINE

    def _lines(self, shown: Shown) -> list[tuple[str, bool]]:
        """What stands below the likeness, broken where it has no room; and whether it is a percentage."""
        ruler, known = Canvas(1, 1), shown.match.percent is not None
        return [
            (part, known and number == 0)
            for number, line in enumerate(self.content.captions.of_match(shown))
            for part in ruler.wrapped(line, SMALLEST, self._side)
        ]


def lanes_of(content: SheetContent) -> list[Lane]:
    """The cases that are alike, larger where they are few; below them those that hardly are.

    Where words or chosen cases decide on the ranks, all of them in rank order.
    """
    words, asked = content.words, (content.answer, content.question)
    alike = tuple(one for one in content.matches if not is_hardly_alike(one.match, *asked))
    hardly = tuple(one for one in content.matches if is_hardly_alike(one.match, *asked))
    own = content.illustrated.same_patient[:MOST_OF_SAME_PATIENT]
    best = words.best_answers if content.is_refined else words.most_alike
    lanes = [
        Lane(content, best, alike, columns=4 if len(alike) <= 4 else COLUMNS),
        Lane(content, words.hardly_alike, hardly, is_dim=True),
        Lane(content, words.same_patient, own),
    ]
    return [lane for lane in lanes if lane.shown]
