# SPDX-License-Identifier: AGPL-3.0-or-later
"""The thread that brings the outbox to the indexer, each hint at least once."""

from __future__ import annotations

import contextlib
import json
import logging
import random
import socket
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass

from cbir_indexer import Indexer, IndexerUnavailable
from cbir_outbox import Event, Outbox

logger = logging.getLogger(__name__)

REFUSED_FOR_GOOD = (400, 413, 422)
WRONG_SECRET = (401, 403)


@dataclass(frozen=True)
class Pace:
    """How fast it is delivered, and how patiently it is tried again."""

    batch: int = 200
    gather_s: float = 0.25
    timeout_s: float = 10.0
    first_wait_s: float = 0.5
    longest_wait_s: float = 60.0
    wrong_secret_wait_s: float = 60.0


class _Refused(Exception):
    """The indexer will never take this batch."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _WrongSecret(Exception):
    """The indexer does not know us."""


class Delivery:
    """Delivers until stopped; one daemon thread."""

    def __init__(self, outbox: Outbox, indexer: Indexer, pace: Pace | None = None) -> None:
        """Prepare; `start` begins."""
        self._outbox = outbox
        self._indexer = indexer
        self._pace = pace or Pace()
        self._something = threading.Event()
        self._stopping = threading.Event()
        self._failures = 0
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name="cbir-delivery", daemon=True)

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._something.set()
        self._thread.start()

    def wake(self) -> None:
        """Something was recorded."""
        self._something.set()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Stop soon, an exchange under way included; what waits, waits in the file.

        Returns:
            Whether the thread has ended. Python must not be taken down around one that runs.
        """
        self._stopping.set()
        self._something.set()
        self._break_off()
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _break_off(self) -> None:
        under_way = self._socket
        if under_way is not None:
            with contextlib.suppress(OSError):
                under_way.shutdown(socket.SHUT_RDWR)

    def _connected(self, under_way: socket.socket) -> None:
        self._socket = under_way
        if self._stopping.is_set():
            self._break_off()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._something.wait()
            self._stopping.wait(self._pace.gather_s)
            self._something.clear()
            self._deliver_all()

    def _deliver_all(self) -> None:
        while not self._stopping.is_set():
            try:
                events = self._outbox.batch(self._pace.batch)
                if not events:
                    return
                self._deliver(events)
            except _WrongSecret:
                self._wait_for_the_secret()
            except (IndexerUnavailable, sqlite3.Error, OSError) as error:
                self._wait_before_again(error)
            except Exception:  # the edge of a loop that must not die
                logger.exception("delivery_failed")
                self._stopping.wait(self._pace.longest_wait_s)
            else:
                self._came_through()

    def _deliver(self, events: Sequence[Event]) -> None:
        """Deliver; what is refused for good is halved until the culprit is alone."""
        try:
            self._send(events)
        except _Refused as refusal:
            if len(events) == 1:
                self._outbox.bury(events[0], refusal.status)
                return
            middle = len(events) // 2
            self._deliver(events[:middle])
            self._deliver(events[middle:])
        else:
            self._outbox.acknowledge(events)

    def _send(self, events: Sequence[Event]) -> None:
        body = json.dumps({"events": [event.as_json() for event in events]}).encode()
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        answer = self._indexer.ask(
            "POST", "/internal/events", headers, body, self._pace.timeout_s, self._connected
        )
        if answer.status in WRONG_SECRET:
            raise _WrongSecret
        if answer.status in REFUSED_FOR_GOOD:
            raise _Refused(answer.status)
        if answer.status != 200 or not _says_accepted(answer.body):
            raise IndexerUnavailable(f"status {answer.status} from something that does not accept events")

    def _came_through(self) -> None:
        if self._failures:
            logger.warning("delivery_resumed after_failures=%d", self._failures)
        self._failures = 0

    def _wait_before_again(self, error: Exception) -> None:
        """Full jitter under a doubling ceiling, so that restarted Orthancs do not knock in step."""
        ceiling = min(self._pace.longest_wait_s, self._pace.first_wait_s * 2 ** min(self._failures, 20))
        wait_s = random.uniform(ceiling / 2, ceiling)  # noqa: S311 - jitter, not a secret
        self._failures += 1
        if self._failures & (self._failures - 1) == 0:
            logger.warning(
                "delivery_delayed failures=%d waiting=%d again_in_s=%.1f error=%s",
                self._failures,
                self._outbox.waiting(),
                wait_s,
                error,
            )
        self._stopping.wait(wait_s)

    def _wait_for_the_secret(self) -> None:
        self._failures += 1
        logger.error(
            "delivery_refused waiting=%d again_in_s=%.0f advice=CBIR.Secret_in_orthanc.json_"
            "must_equal_CBIR_PLUGIN_SECRET_of_the_indexer",
            self._outbox.waiting(),
            self._pace.wrong_secret_wait_s,
        )
        self._stopping.wait(self._pace.wrong_secret_wait_s)


def _says_accepted(body: bytes) -> bool:
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and isinstance(answer.get("accepted"), int)
