"""The one thread that owns the collections, behind a bounded queue."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar, cast

import qdrant_edge as edge

from engine.catalogue import Catalogue
from engine.errors import Stopping, TooMany
from engine.protocol import NewPoint

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_WAITING = 256
MAX_WAITING_BYTES = 256 * 1024 * 1024
MAX_BATCH_POINTS = 1024
FLUSH_AFTER_S = 2.0
FLUSH_AT_LEAST_EVERY_S = 30.0


@dataclass(slots=True)
class _Job:
    """Something to do with the catalogue, for somebody who waits."""

    work: Callable[[Catalogue], Any]
    weight_bytes: int
    done: Future[Any] = field(default_factory=Future)


@dataclass(slots=True)
class _Upsert(_Job):
    """Points for one collection: may be written together with its neighbours in the queue."""

    collection: str = ""
    points: list[NewPoint] = field(default_factory=list)


class EngineThread:
    """Does one job after the other, because Edge holds Python's lock in every call anyway.

    Upserts of one collection that wait beside each other become one write; each is acknowledged when
    the write-ahead log has it. A full queue refuses, so that memory is bounded and callers know.
    """

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir
        self._waiting: deque[_Job] = deque()
        self._waiting_bytes = 0
        self._changed = threading.Condition()
        self._stopping = False
        self._opened: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Open the collections; raises what went wrong."""
        self._thread.start()
        self._opened.result()

    def stop(self) -> None:
        """Refuse new jobs, do those that wait, flush, and let go of the files."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        self._thread.join()

    def submit(self, work: Callable[[Catalogue], T], weight_bytes: int = 0) -> Future[T]:
        """Queue a job. Raises TooMany when the queue is full."""
        return cast("Future[T]", self._enqueue(_Job(work, weight_bytes)))

    def upsert(self, collection: str, points: list[NewPoint], weight_bytes: int) -> Future[None]:
        """Queue points to store. Raises TooMany when the queue is full."""
        job = _Upsert(_nothing, weight_bytes, collection=collection, points=points)
        return self._enqueue(job)

    def _enqueue(self, job: _Job) -> Future[Any]:
        with self._changed:
            if self._stopping:
                raise Stopping("Service unavailable: the engine is shutting down")
            heavy = self._waiting_bytes + job.weight_bytes > MAX_WAITING_BYTES
            if len(self._waiting) >= MAX_WAITING or (heavy and self._waiting):
                raise TooMany("Too many requests wait for the engine: ask again")
            self._waiting.append(job)
            self._waiting_bytes += job.weight_bytes
            self._changed.notify()
        return job.done

    def _run(self) -> None:
        try:
            catalogue = Catalogue(self._data_dir)
        except BaseException as error:  # noqa: BLE001 - handed to `start`, which raises it
            self._opened.set_exception(error)
            return
        self._opened.set_result(None)
        flushed_at = time.monotonic()
        while (jobs := self._next(FLUSH_AFTER_S)) is not None:
            _do(jobs, catalogue)
            if not jobs or time.monotonic() - flushed_at > FLUSH_AT_LEAST_EVERY_S:
                _flush(catalogue)
                flushed_at = time.monotonic()
        catalogue.close()

    def _next(self, patience_s: float) -> list[_Job] | None:
        """The next job, or upserts that go together; none after a quiet time, and None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._stopping, patience_s)
            if not self._waiting:
                return None if self._stopping else []
            jobs = [self._take()]
            while self._waiting and _go_together(jobs, self._waiting[0]):
                jobs.append(self._take())
            return jobs

    def _take(self) -> _Job:
        job = self._waiting.popleft()
        self._waiting_bytes -= job.weight_bytes
        return job


def _nothing(_: Catalogue) -> None:
    """An upsert is done by `_write`."""


def _go_together(jobs: list[_Job], following: _Job) -> bool:
    first = jobs[0]
    if not isinstance(first, _Upsert) or not isinstance(following, _Upsert):
        return False
    total = sum(len(job.points) for job in jobs if isinstance(job, _Upsert)) + len(following.points)
    return first.collection == following.collection and total <= MAX_BATCH_POINTS


def _do(jobs: list[_Job], catalogue: Catalogue) -> None:
    wanted = [job for job in jobs if job.done.set_running_or_notify_cancel()]
    upserts = [job for job in wanted if isinstance(job, _Upsert)]
    if upserts:
        _write(upserts, catalogue)
        return
    for job in wanted:
        _settle(job, lambda job=job: job.work(catalogue))  # type: ignore[misc]


def _write(upserts: list[_Upsert], catalogue: Catalogue) -> None:
    """Write the points of several requests at once; a bad request spoils no other."""
    good: list[tuple[_Upsert, list[edge.Point]]] = []
    for job in upserts:
        try:
            good.append((job, catalogue.shard(job.collection).checked_points(job.points)))
        except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for this job
            job.done.set_exception(error)
    if not good:
        return
    shard = catalogue.shard(good[0][0].collection)
    try:
        shard.upsert([point for _, points in good for point in points])
    except Exception:
        logger.exception("batch_failed requests=%d", len(good))
        for job, points in good:
            _settle(job, lambda points=points: shard.upsert(points))  # type: ignore[misc]
        return
    for job, _ in good:
        job.done.set_result(None)


def _settle(job: _Job, work: Callable[[], Any]) -> None:
    try:
        job.done.set_result(work())
    except Exception as error:  # noqa: BLE001 - it belongs to whoever waits for this job
        job.done.set_exception(error)


def _flush(catalogue: Catalogue) -> None:
    try:
        catalogue.flush()
    except Exception:
        logger.exception("flush_failed")
