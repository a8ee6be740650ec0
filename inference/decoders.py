"""The decoder processes: each call under a time limit, each process under a memory limit."""

from __future__ import annotations

import logging
import multiprocessing.util
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeout
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import RLock
from types import TracebackType
from typing import Any, Final, Generic, ParamSpec, Self, TypeVar

from pebble import ProcessExpired, ProcessPool

from indexer.errors import Rejected, TooLarge, Unavailable
from inference.frames import start_decoder
from inference.limits import Limits

logger = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_PRELOADED: Final = ["inference.frames"]
_MOST_BY_DEFAULT: Final = 4
_GRACE_S: Final = 60.0
_LOOK_S: Final = 1.0
# A Unix socket's path has 108 bytes on Linux, of which multiprocessing's own names take about 40.
_LONGEST_TMPDIR: Final = 60


class DecodersUnavailable(Unavailable):
    """This machine starts no decoder process now; the series is not at fault."""

    reason = "decoders_unavailable"


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """A call that a decoder was asked to make; `generation` is the pool that it was given to."""

    function: Callable[..., T]
    args: tuple[Any, ...]
    future: Future[T]
    generation: int


class _DecoderContext(ForkServerContext):
    """How the processes of one pool are started.

    It keeps the pool's locks as long as the pool is kept. Pebble drops them before it stops the processes,
    their names go with them, and a process that is only starting then would say so with a traceback on
    standard error.
    """

    def __init__(self) -> None:
        self._locks: list[RLock] = []
        self.set_forkserver_preload(_PRELOADED)

    def RLock(self) -> RLock:  # noqa: N802 - the library's name
        lock = super().RLock()
        self._locks.append(lock)
        return lock


class Decoders:
    """A pool of decoder processes that outlives what hostile files do to them.

    A call that takes longer than `limits.timeout_s` is killed, one that kills its process is given up,
    and the others go on. Thread-safe.
    """

    def __init__(self, limits: Limits, processes: int = 0) -> None:
        """Start nothing yet; the first call does.

        Args:
            limits: of every call.
            processes: 0 is one a core, at most 4.
        """
        self.limits = limits
        self.processes = processes or min(os.cpu_count() or 1, _MOST_BY_DEFAULT)
        self._lock = threading.Lock()
        self._pending: set[Future[Any]] = set()
        self._generation = 0
        self._closed = False
        _keep_socket_paths_short()
        self._pool = self._new_pool()

    def __enter__(self) -> Self:
        """The pool itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the processes."""
        self.close()

    def submit(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """Ask for a call; `result` waits for it. The function must be importable by the decoders.

        Raises DecodersUnavailable when no process can be started, Unavailable after `close`.
        """
        if kwargs:
            raise TypeError("A decoder's function takes positional arguments only.")
        with self._lock:
            future: Future[T] = self._scheduled(function, args)
            self._pending.add(future)
            generation = self._generation
        future.add_done_callback(self._forget)
        return Call(function=function, args=args, future=future, generation=generation)

    def result(self, call: Call[T]) -> T:
        """Wait for a call.

        Raises:
            Rejected: what the function raised, or reason decode_timeout, decoder_crashed or
                undecodable_pixel_data (anything unforeseen).
            TooLarge: the decoder needed more memory than it may have.
            Unavailable: the decoders were stopped meanwhile.
        """
        try:
            return self._settled(call)
        except (BrokenProcessPool, CancelledError):
            self._give_up_on(call.generation)
            again = self.submit(call.function, *call.args)
        try:
            return self._settled(again)
        except (BrokenProcessPool, CancelledError) as error:
            self._give_up_on(again.generation)
            raise Rejected("The decoder process died.", reason="decoder_crashed") from error

    def close(self) -> None:
        """Stop the processes, busy or not; who still waits for a call gets Unavailable."""
        with self._lock:
            self._closed = True
            pool, abandoned = self._pool, list(self._pending)
        for future in abandoned:
            future.cancel()
        pool.stop()  # type: ignore[no-untyped-call]
        pool.join()

    def _settled(self, call: Call[T]) -> T:
        try:
            return self._waited_for(call)
        except FutureTimeout as error:
            if not call.future.done():
                logger.error("decoders_stalled pending=%d", len(self._pending))  # noqa: TRY400 - no bug of ours
                self._give_up_on(call.generation)
            raise Rejected(
                f"Decoding took longer than {self.limits.timeout_s:g} s.", reason="decode_timeout"
            ) from error
        except ProcessExpired as error:
            logger.warning("decoder_crashed exit_code=%s", error.exitcode)
            raise Rejected("The decoder process died.", reason="decoder_crashed") from error
        except MemoryError as error:
            raise TooLarge("Decoding needs more memory than a decoder may have.") from error
        except (Rejected, Unavailable, BrokenProcessPool, CancelledError):
            raise
        except Exception as error:
            logger.warning("decoder_failed error=%s", type(error).__name__)
            raise Rejected(
                f"Decoding failed ({type(error).__name__}).", reason="undecodable_pixel_data"
            ) from error

    def _waited_for(self, call: Call[T]) -> T:
        """Wait with patience, but not for a pool that broke: what it was given in that moment it forgets."""
        end = time.monotonic() + self._patience_s()
        while True:
            left_s = end - time.monotonic()
            try:
                return call.future.result(timeout=max(min(left_s, _LOOK_S), 0))
            except FutureTimeout:
                if call.future.done() or left_s <= 0:
                    raise
            if self._is_broken(call.generation) and call.future.cancel():
                raise BrokenProcessPool("The decoder processes died before they took the call.")

    def _is_broken(self, generation: int) -> bool:
        with self._lock:
            return not self._closed and (self._generation != generation or not self._pool.active)

    def _patience_s(self) -> float:
        """Longer than everything that was asked before this call may take; then the pool is stuck."""
        with self._lock:
            rounds = len(self._pending) // self.processes + 1
        return rounds * self.limits.timeout_s + _GRACE_S

    def _forget(self, future: Future[Any]) -> None:
        with self._lock:
            self._pending.discard(future)

    def _scheduled(self, function: Callable[..., T], args: tuple[Any, ...]) -> Future[T]:
        if self._closed:
            raise Unavailable("The decoders are stopped.")
        try:
            return self._pool.schedule(function, args=args, timeout=self.limits.timeout_s)
        except (RuntimeError, OSError):  # RuntimeError is pebble's word for a pool that lost its processes
            self._replace_pool()
        try:
            return self._pool.schedule(function, args=args, timeout=self.limits.timeout_s)
        except (RuntimeError, OSError) as error:
            raise DecodersUnavailable(
                "The decoder processes cannot be started: look at the limits of memory and processes, "
                "and at TMPDIR."
            ) from error

    def _give_up_on(self, generation: int) -> None:
        with self._lock:
            stale = list(self._pending) if self._generation == generation and not self._closed else []
            if stale:
                self._replace_pool()
        for future in stale:
            future.cancel()

    def _replace_pool(self) -> None:
        logger.warning("decoders_replaced generation=%d", self._generation + 1)
        self._pool.stop()  # type: ignore[no-untyped-call]
        threading.Thread(target=self._pool.join, name="decoders-stop", daemon=True).start()
        self._pool = self._new_pool()
        self._generation += 1

    def _new_pool(self) -> ProcessPool:
        return ProcessPool(
            max_workers=self.processes,
            initializer=start_decoder,
            initargs=(self.limits,),
            context=_DecoderContext(),
        )


def _keep_socket_paths_short() -> None:
    """Have multiprocessing put its sockets into /tmp where TMPDIR is too deep for them."""
    ordinary = tempfile.gettempdir()
    if len(os.fsencode(ordinary)) <= _LONGEST_TMPDIR:
        return
    try:
        tempfile.tempdir = "/tmp"  # noqa: S108 - get_temp_dir makes a folder of its own, for us alone
        multiprocessing.util.get_temp_dir()
    finally:
        tempfile.tempdir = ordinary
