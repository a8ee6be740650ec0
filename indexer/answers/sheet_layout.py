"""Where everything stands on the contact sheet: what was asked about above, the cases below in rows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Final

from indexer.answers.canvas import QUIET, Canvas
from indexer.answers.chronology import Dates
from indexer.answers.illustrations import Illustrated, Pixels
from indexer.answers.sheet_cases import Lane, lanes_of
from indexer.answers.sheet_content import SheetContent
from indexer.answers.sheet_example import ExampleBand
from indexer.answers.sheet_frame import MARGIN, WIDTH, WITHIN
from indexer.answers.sheet_header import Header
from indexer.answers.words import Language
from indexer.domain import Answer
from indexer.search.question import Question

_FOOT: Final = 64


@dataclass(frozen=True, slots=True)
class SheetStyle:
    """In which language, and how dates are told."""

    language: Language = "en"
    dates: Dates = "relative"


def draw_sheet(
    answer: Answer,
    illustrated: Illustrated,
    *,
    style: SheetStyle,
    question: Question | None = None,
    about: date | None = None,
    note: str = "",
) -> Pixels:
    """The whole sheet, uint8 RGB (rows, 2048, 3); as high as what there is to show.

    Args:
        answer: its matches in rank order, or why there are none.
        illustrated: their pictures.
        style: the language, and how dates are told.
        question: what was asked; None where nothing could be.
        about: when the example was acquired.
        note: a sentence on what was asked about.
    """
    content = SheetContent(answer, illustrated, style.language, style.dates, question, about, note)
    header, parts = Header(content), list[ExampleBand | Lane]([ExampleBand(content), *lanes_of(content)])
    top = header.height
    canvas = Canvas(WIDTH, top + sum(part.height for part in parts) + _FOOT)
    header.draw(canvas)
    for part in parts:
        part.draw(canvas, top)
        top += part.height
    if answer.encoder:
        said = content.words.compared_by.format(answer.encoder)
        canvas.text(MARGIN, canvas.height - 36, said, 24, colour=QUIET, width=WITHIN)
    return canvas.pixels
