"""The head of the contact sheet: how many cases, what they are no use for, and how they were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from indexer.answers.asked_words import is_by_likeness_alone
from indexer.answers.canvas import INK, QUIET, STRONG, WARM, Canvas
from indexer.answers.kinds import is_hardly_alike
from indexer.answers.sheet_captions import body
from indexer.answers.sheet_content import LONGEST_TEXT, SheetContent
from indexer.answers.sheet_frame import MARGIN, SIZE, WIDTH, WITHIN
from indexer.answers.sheet_words import counted
from indexer.answers.words import Likeness, likeness_of

ASKED_SIZE: Final = 30
MOST_ASKED_LINES: Final = 3
QUOTED: Final = (LONGEST_TEXT, 160, 120, 90, 60, 40, 24, 12)
"""Characters of a text, as many as there is room for."""
_TITLE: Final = 132
_ASKED_LINE: Final = 42
_BELOW_ASKED: Final = 10
BETWEEN: Final = " · "


@dataclass(frozen=True, slots=True)
class Header:
    """The title, the notice and, where there is something to say, how it was asked and what was left out."""

    content: SheetContent

    @property
    def height(self) -> int:
        """In pixels."""
        lines = len(self._asked()) + bool(self.content.unused_reports)
        return _TITLE + (lines * _ASKED_LINE + _BELOW_ASKED if lines else 0)

    def draw(self, canvas: Canvas) -> None:
        """Draw it at the top."""
        words = self.content.words
        canvas.text(MARGIN, 72, self._title(), 54, weight=STRONG)
        canvas.text(MARGIN, 112, self._example(), SIZE, colour=QUIET, width=WITHIN // 2)
        is_alone = is_by_likeness_alone(self.content.question, self.content.answer)
        ranked = words.by_likeness_alone if is_alone else words.by_what_was_asked
        for baseline, text, size, colour, weight in (
            (68, words.not_for_diagnosis, 38, WARM, STRONG),
            (112, ranked, SIZE, QUIET, 400),
        ):
            left = WIDTH - MARGIN - canvas.width_of(text, size, weight)
            canvas.text(left, baseline, text, size, colour=colour, weight=weight)
        self._draw_asked(canvas)

    def _draw_asked(self, canvas: Canvas) -> None:
        """What was asked beside the example, below the label of its first line; then what was left out."""
        lines, baseline = self._asked(), 158
        if lines:
            canvas.text(MARGIN, baseline, self.content.words.asked, ASKED_SIZE, colour=WARM, weight=STRONG)
        for line in lines:
            canvas.text(MARGIN + self._label(), baseline, line, ASKED_SIZE, width=self._room(), colour=INK)
            baseline += _ASKED_LINE
        canvas.text(MARGIN, baseline, self.content.unused_reports, ASKED_SIZE, width=WITHIN, colour=INK)

    def _asked(self) -> list[str]:
        """On which lines it stands how it was asked; none where that stands in the place of the example.

        A text is quoted only as far as there is room for the rest.
        """
        lines: list[str] = []
        if not self.content.is_without_example:
            for longest in QUOTED:
                lines = flowed(self.content.asked(longest), ASKED_SIZE, self._room())
                if len(lines) <= MOST_ASKED_LINES:
                    break
        return lines

    def _label(self) -> int:
        return Canvas(1, 1).width_of(self.content.words.asked, ASKED_SIZE, STRONG) + 16

    def _room(self) -> int:
        return WITHIN - self._label()

    def _title(self) -> str:
        """How many cases are similar, those left to the report too; no number where nothing tells.

        Nothing does where words or chosen cases decide: a case may answer to these and be hardly alike.
        """
        words, answer, question = self.content.words, self.content.answer, self.content.question
        if self.content.is_refined:
            return words.title
        matches = [shown.match for shown in self.content.illustrated.matches]
        others = [match for match in matches if not is_hardly_alike(match, answer, question)]
        similar = sum(likeness_of(match) is not Likeness.UNKNOWN for match in others)
        if similar:
            return counted(similar, words.titles)
        return words.title if others or not matches else words.no_similar_title

    def _example(self) -> str:
        words, example = self.content.words, self.content.answer.example
        parts = list(dict.fromkeys(body(e.attributes) for e in example if body(e.attributes)))[:2]
        if example:
            parts.append(counted(len(example), words.series))
            parts.append(counted(sum(len(e.frames) for e in example), words.frames))
        return BETWEEN.join(parts)


def flowed(phrases: tuple[str, ...], size: int, width: int) -> list[str]:
    """The lines that phrases take, with a dot between them; one is broken only where it is too long."""
    ruler, lines = Canvas(1, 1), list[str]()
    for phrase in phrases:
        longer = f"{lines[-1]}{BETWEEN}{phrase}" if lines else phrase
        if lines and ruler.width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines += ruler.wrapped(phrase, size, width)
    return lines
