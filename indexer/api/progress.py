"""How far an upload is: a line of JSON for every step, the answer or the problem in the last one."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from indexer.answers.example import read_instance
from indexer.domain import FeatureMap, MatchMap, SeriesEmbedding
from indexer.errors import CbirError, Rejected
from indexer.ports import Encoder, TextEmbedding, Window
from indexer.problems import problem_of, unexpected

NDJSON: Final = "application/x-ndjson"

Tell = Callable[[str, int, int], None]
"""Takes the step (received, embedding, searching), and which one of how many it is."""


@dataclass(frozen=True, slots=True)
class SeriesBySeries:
    """An Encoder that embeds each series by a call of its own, and tells of it before and after."""

    encoder: Encoder
    tell: Tell

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Embed DICOM files, one embedding a series; a series that is refused is left out beside others."""
        series = _by_series(instances)
        found: list[SeriesEmbedding] = []
        refused: list[Rejected] = []
        for number, paths in enumerate(series, start=1):
            self.tell("embedding", number, len(series))
            try:
                found.extend(self.encoder.embed(paths, frame_number))
            except Rejected as error:
                refused.append(error)
        if not found and refused:
            raise refused[0]
        self.tell("searching", 0, 0)
        return tuple(found)

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """As the encoder does."""
        return self.encoder.render(instance, frame_number, longest_side, window)

    def feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """As the encoder does."""
        return self.encoder.feature_maps(instance, frame_numbers)

    def occlusion_maps(
        self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """As the encoder does."""
        return self.encoder.occlusion_maps(instances, frame_numbers)

    def embed_reports(self, reports: tuple[Path, ...]) -> TextEmbedding:
        """As the encoder does."""
        return self.encoder.embed_reports(reports)

    def embed_text(self, text: str) -> TextEmbedding:
        """As the encoder does."""
        return self.encoder.embed_text(text)


class Lines:
    """What a thread tells, line by line, for a response that is read elsewhere."""

    def __init__(self) -> None:
        """Begin in the event loop that reads."""
        self._loop = asyncio.get_running_loop()
        self._lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._gone = threading.Event()

    def tell(self, step: str, number: int, of: int) -> None:
        """One step. Raises Rejected once nobody reads any more."""
        if self._gone.is_set():
            raise Rejected("Nobody waits for the answer any more.", reason="cut_off")
        self._put(json.dumps({"step": step, "number": number, "of": of}).encode() + b"\n")

    def end(self, kind: str, response: Response) -> None:
        """The last line."""
        self._put(b'{"%s": %s}\n' % (kind.encode(), bytes(response.body)))
        self._put(None)

    async def read(self) -> AsyncIterator[bytes]:
        """The lines as they come."""
        while (line := await self._lines.get()) is not None:
            yield line

    def leave(self) -> None:
        """Nobody reads any more."""
        self._gone.set()

    def _put(self, line: bytes | None) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed: the process ends
            self._loop.call_soon_threadsafe(self._lines.put_nowait, line)


class LinesResponse(StreamingResponse):
    """Lines as they are told. Who reads them may leave at any moment, before the first one too."""

    def __init__(self, lines: Lines) -> None:
        """Take the lines that somebody tells."""
        super().__init__(lines.read(), media_type=NDJSON, headers={"X-Accel-Buffering": "no"})
        self._lines = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them, as long as somebody is there."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._lines.leave()


def told(work: Callable[[Tell], Response], received: int) -> StreamingResponse:
    """Start `work` in a thread, and answer with what it tells: the steps, then its answer or its problem.

    Once nobody reads any more, the next step raises in the thread: no further series is embedded.

    Args:
        work: gives the response whose JSON is the last line.
        received: how many files were received.
    """
    lines = Lines()

    def run() -> None:
        try:
            lines.tell("received", received, received)
            lines.end("answer", work(lines.tell))
        except CbirError as error:
            lines.end("problem", problem_of(error))
        except Exception as error:  # noqa: BLE001 - the edge of a thread: whatever it is, the caller gets a sentence
            lines.end("problem", unexpected(error, "api"))

    threading.Thread(target=run, name="upload", daemon=True).start()
    return LinesResponse(lines)


def _by_series(paths: Sequence[Path]) -> list[list[Path]]:
    """The files of each series, in the order in which the series were first seen."""
    series: dict[str, list[Path]] = defaultdict(list)
    for path in paths:
        series[_series_of(path)].append(path)
    return list(series.values())


def _series_of(path: Path) -> str:
    """The Series Instance UID; a file that does not say stands with others of its kind."""
    try:
        with path.open("rb") as file:
            return read_instance(file).series_instance_uid
    except Rejected:
        return ""
