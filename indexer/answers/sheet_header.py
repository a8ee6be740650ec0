"""The head of the contact sheet: how many cases, what they are no use for, and how they were asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from indexer.answers.asked_words import is_by_likeness_alone
from indexer.answers.canvas import INK, QUIET, STRONG, WARM, Canvas
from indexer.answers.kinds import is_hardly_alike
from indexer.answers.sheet_captions import body
from indexer.answers.sheet_content import SheetContent
from indexer.answers.sheet_frame import MARGIN, SIZE, WIDTH, WITHIN
from indexer.answers.sheet_words import counted
from indexer.answers.words import Likeness, likeness_of

ASKED_SIZE: Final = 30
MOST_ASKED_LINES: Final = 3
_TITLE: Final = 132
_ASKED_LINE: Final = 42
BETWEEN: Final = " · "


@dataclass(frozen=True, slots=True)
class Header:
    """The title, the notice and, where there is something to say, how it was asked."""

    content: SheetContent

    @property
    def height(self) -> int:
        """In pixels."""
        return _TITLE + len(self._asked()) * _ASKED_LINE

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
        """What was asked beside the example, below the label of its first line."""
        lines, baseline = self._asked(), 158
        if lines:
            canvas.text(MARGIN, baseline, self.content.words.asked, ASKED_SIZE, colour=WARM, weight=STRONG)
        for line in lines:
            canvas.text(MARGIN + self._label(), baseline, line, ASKED_SIZE, width=self._room(), colour=INK)
            baseline += _ASKED_LINE

    def _asked(self) -> list[str]:
        """On how many lines how it was asked stands; none where it stands in the place of the example."""
        if self.content.is_without_example:
            return []
        return flowed(self.content.asked, ASKED_SIZE, self._room(), MOST_ASKED_LINES)

    def _label(self) -> int:
        return Canvas(1, 1).width_of(self.content.words.asked, ASKED_SIZE, STRONG) + 16

    def _room(self) -> int:
        return WITHIN - self._label()

    def _title(self) -> str:
        """How many cases are similar, those left to the report too; no number where nothing tells."""
        words, answer = self.content.words, self.content.answer
        matches = [shown.match for shown in self.content.illustrated.matches]
        others = [match for match in matches if not is_hardly_alike(match, answer)]
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


def flowed(phrases: tuple[str, ...], size: int, width: int, most: int) -> list[str]:
    """Phrases with a dot between them, on at most so many lines, each broken only where it is too long.

    What has no room is left to the last line, which is too long then.
    """
    ruler, lines = Canvas(1, 1), list[str]()
    for phrase in phrases:
        longer = f"{lines[-1]}{BETWEEN}{phrase}" if lines else phrase
        if lines and ruler.width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines += ruler.wrapped(phrase, size, width)
    return lines if len(lines) <= most else [*lines[: most - 1], BETWEEN.join(lines[most - 1 :])]
