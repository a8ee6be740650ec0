"""Orthanc's REST API as this system speaks it: no compression, kept-alive connections, our errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

import aiohttp

from indexer.adapters.orthanc.loop import LoopThread
from indexer.errors import ArchiveUnavailable, NotFound, TooLarge, Unavailable

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Orthanc compresses every answer for a client that would take it: 150 times slower for DICOM files.
IDENTITY: Final = {"Accept-Encoding": "identity"}
AT_ONCE: Final = 4
PROBES_AT_ONCE: Final = 16
PROBE_TIMEOUT_S: Final = 20.0
SLOWEST_BYTES_PER_S: Final = 1_000_000
# Orthanc closes a connection that is idle for a second: ours is closed first.
KEEP_ALIVE_S: Final = 0.8
# What is raised where it was closed first all the same; a connection that cannot be made is another thing.
HUNG_UP: Final = (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError)

_BUFFER_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch: `path` of the API into the local file `to`; about `size_bytes` are expected.

    With a `body` it is made for us by POST: what Orthanc cannot make is left out, as what is not there.
    One that `may_fail` is left out too when it alone cannot be read, or is larger than allowed.
    """

    path: str
    to: Path
    size_bytes: int
    body: bytes | None = None
    may_fail: bool = False


class _NotRead(NotFound):
    """Orthanc lists a file, and cannot give it."""


class OrthancRest:
    """Calls of Orthanc's REST API, synchronous outside, a few at once inside.

    Every call raises ArchiveUnavailable when Orthanc is down, slow, ill, or refuses our account, and
    NotFound for a resource that is not there.
    """

    def __init__(self, url: str, *, user: str, password: str, timeout_s: float, max_file_bytes: int) -> None:
        """Remember how to reach Orthanc; nothing is connected yet."""
        self._url = url.rstrip("/")
        self._headers = dict(IDENTITY)
        if user:
            self._headers["Authorization"] = aiohttp.encode_basic_auth(user, password)
        self._timeout_s = timeout_s
        self._max_file_bytes = max_file_bytes
        self._loop = LoopThread("orthanc-rest")
        self._session: aiohttp.ClientSession | None = None

    def close(self) -> None:
        """Let the connections go."""
        session, self._session = self._session, None
        if session is not None:
            self._loop.run(session.close())
        self._loop.close()

    def get(self, path: str, **params: str | int) -> Any:  # noqa: ANN401
        """The JSON of one resource."""
        return self._loop.run(self._json("GET", path, params=params))

    def get_each(self, paths: Sequence[str]) -> dict[str, Any]:
        """The JSON of several resources by path; those that are not there are left out."""
        found: dict[str, Any] = {}

        async def get_one(path: str) -> None:
            with contextlib.suppress(NotFound):
                found[path] = await self._json("GET", path)

        self._loop.run(_each(get_one, paths, AT_ONCE))
        return found

    def post(self, path: str, body: object) -> Any:  # noqa: ANN401
        """The JSON that answers to this JSON; for what changes nothing, since it may be asked twice."""
        return self._loop.run(self._json("POST", path, data=json.dumps(body).encode()))

    def texts(self, paths: Sequence[str]) -> dict[str, str]:
        """The text of several resources by path; those that are not there are left out."""
        found: dict[str, str] = {}

        async def get_one(path: str) -> None:
            async with self._answer("GET", path) as answer:
                with contextlib.suppress(NotFound):
                    _refuse_errors(answer)
                    found[path] = await answer.text(errors="replace")

        self._loop.run(_each(get_one, paths, AT_ONCE))
        return found

    def look_up(self, uid: str) -> Any:  # noqa: ANN401
        """POST /tools/lookup: the resources, of every level, that carry this UID."""
        return self._loop.run(self._json("POST", "/tools/lookup", data=uid.encode()))

    def probe(self, paths: Sequence[str], headers: Mapping[str, str]) -> dict[str, bool]:
        """Whether Orthanc answers each path to someone with these headers instead of our account."""
        answers: dict[str, bool] = {}

        async def probe_one(path: str) -> None:
            answers[path] = await self._shown(path, {**headers, **IDENTITY})

        self._loop.run(_each(probe_one, paths, PROBES_AT_ONCE))
        return answers

    def fetch(self, downloads: Sequence[Download]) -> Iterator[Download]:
        """Stream files to the disk, a few at once; gives each when it is complete.

        A file that is not there any more is left out. No file is written to any more once the
        iterator is closed.

        Raises:
            TooLarge: a file is larger than allowed.
            Unavailable: the disk is full.
        """
        arrived: queue.SimpleQueue[Download | None] = queue.SimpleQueue()
        task = self._loop.run(self._begin_fetch(downloads, arrived))
        try:
            while (download := arrived.get()) is not None:
                yield download
            self._loop.run(_outcome(task))
        finally:
            self._loop.run(_ended(task))

    async def _begin_fetch(
        self, downloads: Sequence[Download], arrived: queue.SimpleQueue[Download | None]
    ) -> asyncio.Task[None]:
        not_read: list[Download] = []

        async def fetch_one(download: Download) -> None:
            try:
                await self._fetch(download)
                arrived.put(download)
            except _NotRead:
                not_read.append(download)
            except NotFound:
                pass

        async def fetch_all() -> None:
            await _each(fetch_one, downloads, AT_ONCE)
            if len(not_read) == len(downloads) >= AT_ONCE:
                raise ArchiveUnavailable("Orthanc can read none of its files: is its storage there?")

        task = asyncio.create_task(fetch_all())
        task.add_done_callback(lambda _: arrived.put(None))
        return task

    async def _fetch(self, download: Download) -> None:
        expected_s = min(download.size_bytes, self._max_file_bytes) / SLOWEST_BYTES_PER_S
        method = "GET" if download.body is None else "POST"
        async with self._answer(
            method, download.path, data=download.body, timeout_s=self._timeout_s + expected_s
        ) as answer:
            if download.body is not None:
                _refuse_what_cannot_be_made(answer)
            if download.may_fail and answer.status >= 500:
                await self._leave_out(answer)
            _refuse_errors(answer)
            self._refuse_large(answer.content_length or 0, download)
            with _complete_file(download.to) as part:
                await self._stream(answer, part, download)

    async def _stream(self, answer: aiohttp.ClientResponse, part: Path, download: Download) -> None:
        written_bytes = 0
        with part.open("wb") as file:
            async for chunk in answer.content.iter_any():
                written_bytes += len(chunk)
                self._refuse_large(written_bytes, download)
                file.write(chunk)

    async def _leave_out(self, answer: aiohttp.ClientResponse) -> NoReturn:
        """Raises NotFound for a file that was lost, and ArchiveUnavailable where all of Orthanc is ill."""
        await self._json("GET", "/system")
        logger.warning("instance_not_read path=%s status=%d", answer.url.path, answer.status)
        raise _NotRead(f"Orthanc cannot read {answer.url.path}.")

    def _refuse_large(self, size_bytes: int, download: Download) -> None:
        if size_bytes > self._max_file_bytes and download.may_fail:
            logger.warning("instance_too_large path=%s limit_bytes=%d", download.path, self._max_file_bytes)
            raise NotFound(f"{download.path} is larger than is sent.")
        if size_bytes > self._max_file_bytes:
            raise TooLarge(
                f"{download.path} is larger than {self._max_file_bytes} bytes: raise CBIR_MAX_INSTANCE_BYTES."
            )

    async def _json(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str | int] | None = None,
        data: bytes | None = None,
    ) -> Any:  # noqa: ANN401
        """Ask, and ask again where Orthanc closed the idle connection just then, as aiohttp does for GET."""
        try:
            return await self._json_once(method, path, params, data)
        except ArchiveUnavailable as error:
            if method == "GET" or not _hung_up(error):
                raise
        return await self._json_once(method, path, params, data)

    async def _json_once(
        self, method: str, path: str, params: Mapping[str, str | int] | None, data: bytes | None
    ) -> Any:  # noqa: ANN401
        async with self._answer(method, path, params=params, data=data) as answer:
            _refuse_errors(answer)
            try:
                return await answer.json(content_type=None)
            except ValueError as error:
                raise ArchiveUnavailable(f"What answers at CBIR_ORTHANC_URL{path} is no Orthanc.") from error

    async def _shown(self, path: str, headers: Mapping[str, str]) -> bool:
        timeout_s = min(PROBE_TIMEOUT_S, self._timeout_s)
        async with self._answer("GET", path, headers=headers, timeout_s=timeout_s) as answer:
            await answer.read()
            if answer.status >= 500:
                raise ArchiveUnavailable(f"Orthanc answers {answer.status} to the caller's {path}.")
            return answer.status == 200

    @contextlib.asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | int] | None = None,
        data: bytes | None = None,
        timeout_s: float | None = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._open_session().request(
                method,
                self._url + path,
                headers=self._headers if headers is None else headers,
                params=params,
                data=data,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=timeout_s or self._timeout_s),
            ) as answer:
                yield answer
        except TimeoutError as error:
            raise ArchiveUnavailable(f"Orthanc did not answer {path} in time.") from error
        except aiohttp.ClientError as error:
            raise ArchiveUnavailable(
                f"Orthanc does not answer at CBIR_ORTHANC_URL ({type(error).__name__}): is it running?"
            ) from error

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            # A cookie that Orthanc gives to one caller must never be sent for another.
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=_BUFFER_BYTES,
                connector=aiohttp.TCPConnector(limit=PROBES_AT_ONCE, keepalive_timeout=KEEP_ALIVE_S),
            )
        return self._session


def _hung_up(error: ArchiveUnavailable) -> bool:
    cause = error.__cause__
    return isinstance(cause, HUNG_UP) and not isinstance(cause, aiohttp.ClientConnectorError)


def _refuse_errors(answer: aiohttp.ClientResponse) -> None:
    if answer.status == 404:
        raise NotFound(f"Orthanc has no {answer.url.path}.")
    if answer.status in (401, 403):
        raise ArchiveUnavailable(
            f"Orthanc answers {answer.status}: set CBIR_ORTHANC_USER and CBIR_ORTHANC_PASSWORD to a user "
            "of its RegisteredUsers that may read everything."
        )
    if answer.status != 200:
        raise ArchiveUnavailable(f"Orthanc answers {answer.status} to {answer.url.path}.")


def _refuse_what_cannot_be_made(answer: aiohttp.ClientResponse) -> None:
    """A file that Orthanc cannot transcode or anonymize: 400, or 500 with its own exception."""
    if answer.status in (400, 415, 500, 501):
        logger.warning("copy_not_made path=%s status=%d", answer.url.path, answer.status)
        raise NotFound(f"Orthanc cannot make {answer.url.path}.")


@contextlib.contextmanager
def _complete_file(to: Path) -> Iterator[Path]:
    """A name to write under; the file gets its own name when all of it is there, or is removed."""
    part = to.with_suffix(".part")
    try:
        yield part
        part.replace(to)
    except OSError as error:
        if isinstance(error, TimeoutError | aiohttp.ClientError):
            raise
        raise Unavailable(f"Cannot write what is fetched: {error.strerror}; make room.") from error
    finally:
        part.unlink(missing_ok=True)


async def _each(do: Callable[[T], Awaitable[None]], items: Iterable[T], at_once: int) -> None:
    """Do it for each, `at_once` at a time; the first error ends the others."""
    waiting = iter(items)

    async def lane() -> None:
        for item in waiting:
            await do(item)

    try:
        async with asyncio.TaskGroup() as lanes:
            for _ in range(at_once):
                lanes.create_task(lane())
    except ExceptionGroup as group:
        raise group.exceptions[0] from group


async def _outcome(task: asyncio.Task[None]) -> None:
    await task


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
