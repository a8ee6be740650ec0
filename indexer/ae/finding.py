"""C-FIND: a caller looks through the cases that its own recent questions were answered with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Final

from pydicom.datadict import dictionary_VR
from pydicom.dataset import Dataset

from indexer.ae.identifiers import BadIdentifier, Query, answer_to, read_query
from indexer.ae.matching import matches
from indexer.ae.rows import Row, Values, known_of, rows
from indexer.answers.refusals import refusal_in_words
from indexer.collecting import Case, Cases
from indexer.domain import Refusal
from indexer.errors import CbirError
from indexer.ledger import KeptAnswer

logger = logging.getLogger(__name__)

PENDING: Final = 0xFF00
PENDING_WITHOUT_SOME_KEYS: Final = 0xFF01
CANCELLED: Final = 0xFE00
IDENTIFIER_DOES_NOT_MATCH: Final = 0xA900
UNABLE_TO_PROCESS: Final = 0xC001
QUESTION_REFUSED: Final = 0xC002
LONGEST_COMMENT: Final = 64

Response = tuple[int | Dataset, Dataset | None]


@dataclass(frozen=True, slots=True)
class Finding:
    """Answers C-FIND requests.

    Attributes:
        cases: what is looked through.
        presets: our further AE titles: without keys the last question to that title is listed; at the first
            title the last one to whichever.
    """

    cases: Cases
    presets: frozenset[str] = frozenset()

    def responses(
        self,
        caller: str,
        called: str,
        identifier: BytesIO | None,
        transfer_syntax_uid: str,
        *,
        study_root: bool,
        is_cancelled: Callable[[], bool],
    ) -> Iterator[Response]:
        """The statuses and Identifiers that answer one request.

        Args:
            caller: the calling AE title: nothing but its own cases is looked through.
            called: our AE title that it called, by which it knows us: the cases can be retrieved from it.
            identifier: the request's, as it came.
            transfer_syntax_uid: how it is encoded.
            study_root: the information model.
            is_cancelled: whether the caller has had enough.
        """
        try:
            query = read_query(identifier, transfer_syntax_uid, study_root=study_root)
            cases, refusal = self._asked_for(caller, called, query, is_cancelled)
            pending = PENDING_WITHOUT_SOME_KEYS if query.unsupported else PENDING
            for row in selected(self.cases, cases, query):
                if is_cancelled():
                    yield CANCELLED, None
                    return
                yield pending, answer_to(query, row, ae_title=called)
            if is_cancelled():
                yield CANCELLED, None
                return
        except BadIdentifier as error:
            yield status(IDENTIFIER_DOES_NOT_MATCH, str(error)), None
        except CbirError as error:
            logger.warning("find_failed caller=%s reason=%s", caller, type(error).__name__)
            yield status(UNABLE_TO_PROCESS, str(error)), None
        else:
            if refusal is not None:
                why = refusal_in_words(Refusal(refusal.refused, refusal.message), "en")
                comment = f"Refused ({refusal.refused}): {why}"
                yield status(QUESTION_REFUSED, comment), None

    def _asked_for(
        self, caller: str, called: str, query: Query, is_cancelled: Callable[[], bool]
    ) -> tuple[Iterable[Case], KeptAnswer | None]:
        """Without keys the last question's; that one too where it was refused."""
        if query.constrains:
            found = self.cases.recent(
                caller,
                query.constraints.get("StudyInstanceUID", ()),
                may_match=lambda kept: _are_met(query.constraints, known_of(kept)),
                called_off=is_cancelled,
            )
            return found, None
        answer = self.cases.last_answer(caller, called if called in self.presets else "")
        if answer is None:
            return (), None
        return self.cases.of_answer(answer), answer if answer.refused else None


def selected(cases: Cases, found: Iterable[Case], query: Query) -> Iterator[Row]:
    """The lines, at the query's level, that match every key."""
    keys = query.constraints
    for row in rows(cases, found, query.level, keys):
        if _are_met(keys, {keyword: row.values.get(keyword, ()) for keyword in keys}):
            yield row


def _are_met(keys: Mapping[str, Values], values: Mapping[str, Values]) -> bool:
    """Whether every key that there are values for is met."""
    return all(
        matches(dictionary_VR(keyword), wanted, values[keyword])
        for keyword, wanted in keys.items()
        if keyword in values
    )


def status(code: int, comment: str) -> Dataset:
    """A status with what a person should know, in (0000,0902) Error Comment: 64 characters of ASCII."""
    said = Dataset()
    said.Status = code
    said.ErrorComment = " ".join(comment.encode("ascii", "replace").decode("ascii").split())[:LONGEST_COMMENT]
    return said
