"""How a question to one of our AE titles is asked: who sends chooses by choosing where to send."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from indexer.domain import Filters
from indexer.ports import MOST_REPORTS
from indexer.search.question import ExampleReference, Question, RegionOfInterest


@dataclass(frozen=True, slots=True)
class Chosen:
    """Series of cases that a match shall be like as well (`more`), and that it shall be unlike (`less`)."""

    more: tuple[ExampleReference, ...] = ()
    less: tuple[ExampleReference, ...] = ()

    def __bool__(self) -> bool:
        """Whether any was chosen."""
        return bool(self.more or self.less)


@dataclass(frozen=True, slots=True)
class Preset:
    """What every question to one of our AE titles has in common.

    Attributes:
        ae_title: by which we are called.
        limit: how many matches at most; 0 for as many as answers have otherwise.
        filters: what a match must be.
        diversity: as in `Question`.
        text: words that a match shall answer to; empty for none.
        text_weight: as in `Question`; of the words of reports too.
        reads_reports: the words of the reports that come with the images, or alone, are asked with, and those
            that were typed as the description of a key object selection of the images.
    """

    ae_title: str
    limit: int = 0
    filters: Filters = field(default_factory=Filters)
    diversity: float = 0.0
    text: str = ""
    text_weight: float = 0.5
    reads_reports: bool = False

    def question(
        self,
        *,
        images: Sequence[Path],
        reports: Sequence[Path],
        typed: str,
        limit: int,
        region: RegionOfInterest | None,
        chosen: Chosen,
    ) -> Question:
        """The question about these files; `limit` where the preset has none of its own.

        What was typed about them takes the place of the preset's text. Of very many reports the first are
        asked with.
        """
        return Question(
            example=tuple(images) or None,
            limit=self.limit or limit,
            filters=self.filters,
            same_patient=bool(images),
            region=region,
            text=typed or self.text,
            text_weight=self.text_weight,
            reports=tuple(reports[:MOST_REPORTS]) if self.reads_reports else (),
            more=chosen.more,
            less=chosen.less,
            leaves_out_absent=True,
            diversity=self.diversity,
        )
