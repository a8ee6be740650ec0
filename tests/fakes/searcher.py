"""A search that answers from memory, and writes down what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from indexer.domain import Answer
from indexer.ports import Caller
from indexer.search import Question
from tests.fakes.answers import answer_about


def three_priors(paths: tuple[Path, ...]) -> Answer:
    """Three matches, whatever is asked."""
    return answer_about(paths)


class FakeSearcher:
    """Answers with `reply(paths)`, which may raise; `asked` holds (caller, file names) in order."""

    def __init__(self, reply: Callable[[tuple[Path, ...]], Answer] = three_priors) -> None:
        self.reply = reply
        self.asked: list[tuple[str, tuple[str, ...]]] = []
        self.contents: list[tuple[bytes, ...]] = []
        self._lock = threading.Lock()

    def similar(self, question: Question, caller: Caller) -> Answer:
        """See `Searcher`."""
        assert isinstance(question.example, tuple)
        with self._lock:
            self.asked.append((caller.name, tuple(sorted(path.stem for path in question.example))))
            self.contents.append(tuple(path.read_bytes() for path in question.example))
        return self.reply(question.example)
