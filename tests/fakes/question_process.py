"""A process to be killed: the application entity whose search waits until a file is there.

Usage: python -m tests.fakes.question_process SPOOL PORT CALLER GATE
"""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

from indexer.ae.answering import Answering
from indexer.ae.delivery import deliver
from indexer.ae.entity import ApplicationEntity
from indexer.ae.patience import Patience
from indexer.ae.questions import Questions
from indexer.ae.spool import Spool
from indexer.destinations import Destination
from indexer.domain import Answer
from tests.fakes.answers import answer_about
from tests.fakes.searcher import FakeSearcher


def main(spool: str, port: str, caller: str, gate: str) -> None:
    """Run until killed."""

    def reply(paths: tuple[Path, ...]) -> Answer:
        while not Path(gate).exists():
            time.sleep(0.01)
        return answer_about(paths)

    callers = (Destination.parse(caller),)
    questions = Questions(
        spool=Spool(Path(spool)),
        answering=Answering(FakeSearcher(reply)),
        deliver=lambda destination, path: deliver(destination, path, ae_title="CBIR"),
        callers=callers,
        patience=Patience(quiet_s=0.2, retry_first_s=0.1, retry_longest_s=0.3),
    )
    questions.start()
    ApplicationEntity(
        ae_title="CBIR", host="127.0.0.1", port=int(port), callers=callers, questions=questions
    ).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(*sys.argv[1:])
