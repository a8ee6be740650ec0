"""What was asked about, on the contact sheet: the frames, or the words; beside them how to read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from indexer.answers.canvas import ACCENT, COOL, INK, PANEL, QUIET, STRONG, WARM, Box, Canvas, Colour
from indexer.answers.illustrations import Asked
from indexer.answers.refusals import refusal_in_words
from indexer.answers.sheet_content import LONGEST_TEXT, SheetContent
from indexer.answers.sheet_frame import (
    COLUMN,
    COLUMNS,
    GUTTER,
    HEADING,
    MARGIN,
    SIZE,
    WIDTH,
    blank,
    heading,
)

MOST_OF_EXAMPLE: Final = 6
OUTCOME_SIDE: Final = 640
OUTCOME_SIZE: Final = 50
REFUSAL_SIZE: Final = 32
WORDS_SIZE: Final = 40
_BESIDE_SIZES: Final = (32, 32, 28, 24)
_CAPTION: Final = 64
_PADDING: Final = 36
_BETWEEN_PHRASES: Final = 16


@dataclass(frozen=True, slots=True)
class ExampleBand:
    """The frames of the example, where there is none the words, and beside them what there is to say."""

    content: SheetContent

    @property
    def height(self) -> int:
        """In pixels, with the heading."""
        return HEADING + self._body + _CAPTION

    @property
    def _body(self) -> int:
        """Without heading and captions: as high as the frames, or as the text where there is none."""
        if self.content.illustrated.asked:
            return self._side
        nowhere = Canvas(1, 1)
        words = self._phrases(nowhere, 0) if self.content.is_without_example else 0
        return max(words, self._draw_beside(nowhere, 0))

    def draw(self, canvas: Canvas, top: int) -> None:
        """Draw it from this row on."""
        words, content = self.content.words, self.content
        whole = words.asked_alone if content.is_without_example else words.asked_about
        heading(canvas, top, words.asked_region if content.region else whole, note=content.note)
        top += HEADING
        if content.is_without_example:
            panel = Box(MARGIN, top, self._beside - GUTTER - MARGIN, self._body)
            canvas.fill(panel, PANEL)
            canvas.fill(Box(panel.left, panel.top, 6, panel.height), ACCENT)
            self._phrases(canvas, top)
        for number, asked in enumerate(content.illustrated.asked):
            left = MARGIN + number * (self._side + GUTTER)
            self._frame(canvas, Box(left, top, self._side, self._side), asked)
        self._draw_beside(canvas, top)

    @property
    def _side(self) -> int:
        return _side_of(len(self.content.illustrated.asked), bool(self.content.matches))

    @property
    def _beside(self) -> int:
        """The left edge of what stands beside the frames or the words."""
        if self.content.is_without_example:
            return MARGIN + 3 * (COLUMN + GUTTER)
        return MARGIN + len(self.content.illustrated.asked) * (self._side + GUTTER)

    def _phrases(self, canvas: Canvas, top: int) -> int:
        """How it was asked, phrase by phrase. Returns the row below, with as much room as above."""
        baseline = top + _PADDING + WORDS_SIZE
        for phrase in self.content.asked(LONGEST_TEXT):
            baseline = _BETWEEN_PHRASES + canvas.paragraph(
                MARGIN + _PADDING,
                baseline,
                f"{phrase[:1].upper()}{phrase[1:]}",
                WORDS_SIZE,
                width=self._beside - GUTTER - MARGIN - 2 * _PADDING,
            )
        return baseline - _BETWEEN_PHRASES - round(1.1 * WORDS_SIZE) + _PADDING

    def _frame(self, canvas: Canvas, box: Box, asked: Asked) -> None:
        if asked.picture is None:
            blank(canvas, box, self.content.words.no_picture)
        else:
            placed = canvas.picture(box, asked.picture.pixels)
            if asked.alike is not None:
                canvas.contour(placed, asked.alike)
            region = self.content.region
            if (
                region is not None
                and region.sop_instance_uid == asked.frame.sop_instance_uid
                and region.frame_number == asked.frame.frame_number
            ):
                canvas.outline(placed.part(region.region), COOL)
        caption = self.content.captions.of_asked(asked)
        canvas.text(box.left, box.bottom + 36, caption, SIZE, colour=INK, width=box.width)

    def _draw_beside(self, canvas: Canvas, top: int) -> int:
        """The outcome where there is nothing to show, and how to read the rest. Returns the row below."""
        words, left, refused = self.content.words, self._beside, self.content.answer.refused
        width, baseline = WIDTH - MARGIN - left, top + OUTCOME_SIZE
        if refused is not None:
            baseline = canvas.paragraph(
                left, baseline, words.refused, OUTCOME_SIZE, width=width, weight=STRONG, lines=3
            )
            why = refusal_in_words(refused, self.content.language)
            return canvas.paragraph(left, baseline + 6, why, REFUSAL_SIZE, width=width, colour=INK)
        if not self.content.matches:
            return canvas.paragraph(
                left, baseline, words.none_found, OUTCOME_SIZE, width=width, weight=STRONG
            )
        return self._legend(canvas, left, top, width)

    def _legend(self, canvas: Canvas, left: int, top: int, width: int) -> int:
        """As large as there is room beside the pictures."""
        pictures = len(self.content.illustrated.asked)
        size = _BESIDE_SIZES[min(pictures, 3)]
        baseline = top + size
        for colour, text in self._to_read():
            inset = 0 if colour is None else size * 2
            if colour is not None:
                canvas.outline(Box(left + 4, baseline - round(size * 0.85), round(size * 1.3), size), colour)
            baseline = size // 2 + canvas.paragraph(
                left + inset,
                baseline,
                text,
                size,
                width=width - inset,
                colour=QUIET if colour is None else INK,
            )
        if pictures == 1 and len(self.content.answer.example) > 1:
            listed = self.content.captions.of_example(MOST_OF_EXAMPLE)
            for text in (self.content.words.series_asked, *listed):
                canvas.text(left, baseline + size // 2, text, size, colour=QUIET, width=width)
                baseline += round(size * 1.4)
        return baseline

    def _to_read(self) -> Iterator[tuple[Colour | None, str]]:
        """What the colours and the numbers mean, as far as they are there."""
        words, content = self.content.words, self.content
        shown = (*content.matches, *content.illustrated.same_patient)
        if any(one.alike is not None for one in shown):
            yield WARM, words.legend_map
        if content.region is not None:
            yield COOL, words.legend_region
        known = any(one.match.percent is not None for one in content.matches)
        unknown = words.legend_of_words if content.is_without_example else words.legend_score
        yield None, words.legend_percent if known else unknown
        if known and len(content.answer.example) > 1:
            yield None, words.legend_rank
        left_out = len(content.illustrated.matches) - len(content.matches)
        if left_out:
            yield None, words.more_in_report.format(left_out)


def _side_of(pictures: int, has_matches: bool) -> int:
    """How large the example's frames are: they end where a column of the cases does."""
    if not has_matches:
        return OUTCOME_SIDE
    columns = min(pictures + 1, COLUMNS - 1)
    return (columns * (COLUMN + GUTTER) - GUTTER - (pictures - 1) * GUTTER) // max(pictures, 1)
