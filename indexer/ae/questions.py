"""Questions that were sent: gathered, asked when their study is quiet, answered, forgotten."""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor

from indexer.ae.answering import Answering
from indexer.ae.patience import OpenQuestion, Patience
from indexer.ae.preset import Preset
from indexer.ae.register import Register
from indexer.ae.spool import Spool
from indexer.ae.steps import Deliver, Steps, Took
from indexer.ae.turns import ASKERS, DELIVERERS, PUSHERS, due
from indexer.answers.example import ExampleInstance
from indexer.collecting import Keeping
from indexer.destinations import Destination


class Questions:
    """Everything between the acknowledgement of an instance and the delivery of its answer."""

    def __init__(
        self,
        *,
        spool: Spool,
        answering: Answering,
        deliver: Deliver,
        callers: Sequence[Destination],
        presets: Sequence[Preset] = (),
        patience: Patience | None = None,
        keeping: Keeping | None = None,
        took: Took = lambda _step, _took_s: None,
    ) -> None:
        """Take the spool, how to answer, how to deliver (raises Unavailable), and where answers are kept.

        `presets` are of the AE titles that ask in a way of their own; any other asks as `Preset` does.
        `took` is told how long each step of an answer took: those of the line `question_answered`, and
        deliver.
        """
        self._patience = patience or Patience()
        self._register = Register(spool, self._patience)
        self._steps = Steps(
            self._register,
            answering=answering,
            deliver=deliver,
            callers=callers,
            presets=presets,
            keeping=keeping,
            took=took,
            is_stopping=lambda: self._stopping,
        )
        self._stopping = False
        self._thread: threading.Thread | None = None
        self._askers: ThreadPoolExecutor | None = None
        self._deliverers: ThreadPoolExecutor | None = None
        self._pushers: ThreadPoolExecutor | None = None

    def start(self) -> None:
        """Take up what an earlier process left, and begin to ask."""
        self._register.load()
        self._stopping = False
        self._askers = ThreadPoolExecutor(ASKERS, thread_name_prefix="asking")
        self._deliverers = ThreadPoolExecutor(DELIVERERS, thread_name_prefix="delivering")
        self._pushers = ThreadPoolExecutor(PUSHERS, thread_name_prefix="pushing")
        self._thread = threading.Thread(target=self._run, name="questions", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End what is under way; the rest stays in the spool for the next start.

        Cases that are being pushed are called off after the instance that is on its way.
        """
        with self._register.changed:
            self._stopping = True
            self._register.changed.notify_all()
        if self._thread is not None:
            self._thread.join()
        for pool in (self._askers, self._deliverers, self._pushers):
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=True)
        self._register.clear()

    def __len__(self) -> int:
        """How many questions are not forgotten yet."""
        return len(self._register)

    def receive(
        self,
        association: Hashable,
        caller: Destination,
        instance: ExampleInstance,
        content: bytes,
        called: str = "",
    ) -> None:
        """Keep one instance; on return it survives a crash until its question is answered or refused.

        Args:
            association: who holds the question open, until `let_go`.
            caller: who asks.
            instance: what the DICOM file says of itself.
            content: the DICOM file as it came.
            called: our AE title that the caller called; empty for the first.

        Raises:
            SpoolFull: there is no room; nothing was kept.
        """
        self._register.add(association, caller, instance, content, called)

    def let_go(self, association: Hashable) -> None:
        """The association ended, in whatever way."""
        self._register.let_go(association)

    def _run(self) -> None:
        changed = self._register.changed
        while True:
            with changed:
                if self._stopping:
                    return
                for opened in due(self._register, self._patience, time.monotonic()):
                    self._submit(opened)
                changed.wait(timeout=min(0.25, self._patience.quiet_s / 4) if len(self._register) else None)

    def _submit(self, opened: OpenQuestion) -> None:
        pool = self._askers if opened.waits else self._pushers if opened.pushes else self._deliverers
        if pool is not None:
            opened.busy = True
            pool.submit(self._steps.take, opened, self._steps.next(opened))
