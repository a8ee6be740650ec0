"""The worker over HTTP: DICOM in, vectors and pictures out, for askers that have no encoder."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Annotated, Final, Protocol

from fastapi import Depends, FastAPI, Query, Request, Response
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from indexer import problems
from indexer.domain import EncoderVersion, FeatureMap, MatchMap
from indexer.errors import CbirError, Overloaded, Rejected, TooLarge
from indexer.intake.multipart_related import DICOM, RelatedReader
from indexer.ports import TextEmbedding, Window, window_or_none
from indexer.wire import MOST_CHARACTERS, EmbeddingsAnswer, TextAnswer, TextQuestion, WireEncoder, WireSkipped
from indexer.wire_maps import MOST_FRAMES, FeatureMapsAnswer, MatchMapsAnswer, WireMatchMap
from inference.embedding import EmbeddedFiles

LONGEST_DISCARD_S: Final = 5.0
MAX_TEXT_BYTES: Final = 2**15
PNG: Final = "image/png"

FrameNumber = Annotated[int, Query(ge=1, le=2**31 - 1)]
LongestSide = Annotated[int, Query(ge=16, le=4096)]
FrameNumbers = Annotated[list[FrameNumber], Query(min_length=1, max_length=MOST_FRAMES)]


class Embedder(Protocol):
    """What the worker does with DICOM files, in the caller's thread; raises our errors."""

    @property
    def version(self) -> EncoderVersion:
        """The encoder of most vectors."""
        ...

    def embed_groups(self, paths: Sequence[Path], frame_number: int | None = None) -> EmbeddedFiles:
        """Embed the files, one embedding a series; only one frame (1-based) of each where it is given."""
        ...

    def render_file(
        self, path: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """One frame (1-based) as a PNG, a grey one through the window where it is given."""
        ...

    def feature_maps(self, path: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """What the encoder of the instance's modality saw in these frames (1-based)."""
        ...

    def occlusion_maps(
        self, paths: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """Where each of two frames (1-based) looks like the other, by covering them."""
        ...

    def embed_text(self, text: str) -> TextEmbedding:
        """Embed words."""
        ...

    def embed_reports(self, paths: Sequence[Path]) -> TextEmbedding:
        """Embed what reports tell of what is seen, all together."""
        ...


class Intake:
    """Takes request bodies in, onto the disk, a few at once and none larger than allowed."""

    def __init__(self, *, max_upload_bytes: int, max_at_once: int, spool: Path | None) -> None:
        """Keep what is received in a folder below `spool`; None is the system's temporary folder."""
        self._max_upload_bytes = max_upload_bytes
        self._free = max_at_once
        self._spool = spool

    @contextlib.asynccontextmanager
    async def place(self, request: Request) -> AsyncIterator[None]:
        """A place for one request. Raises Overloaded when too many are in hand.

        Where a request is refused, the rest of its body is read and thrown away for a while: a client
        that is still sending would not see the answer otherwise.
        """
        try:
            if self._free <= 0:
                raise Overloaded("The worker has enough to do: ask again in a few seconds.")
            self._free -= 1
            try:
                yield
            finally:
                self._free += 1
        except CbirError:
            await _discard(request)
            raise

    @contextlib.asynccontextmanager
    async def folder(self, request: Request) -> AsyncIterator[Path]:
        """A place with a folder, gone with the request."""
        async with self.place(request):
            with tempfile.TemporaryDirectory(prefix="cbir-received-", dir=self._spool) as folder:
                yield Path(folder)

    async def instances(self, request: Request, into: Path) -> tuple[Path, ...]:
        """The parts of a multipart/related body. Raises TooLarge and Rejected."""
        content_type = request.headers.get("Content-Type", "")
        with RelatedReader(content_type, into, max_bytes=self._max_upload_bytes) as reader:
            async for chunk in self._chunks(request):
                await run_in_threadpool(reader.feed, chunk)
            return reader.finish()

    async def instance(self, request: Request, into: Path) -> Path:
        """A body that is one DICOM file. Raises TooLarge and Rejected."""
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != DICOM:
            raise Rejected(f"Send Content-Type: {DICOM}.", reason="bad_content_type")
        path, size_bytes = into / "received.dcm", 0
        with path.open("xb") as file:
            async for chunk in self._chunks(request):
                size_bytes += len(chunk)
                if size_bytes > self._max_upload_bytes:
                    raise self._too_large()
                await run_in_threadpool(file.write, chunk)
        return path

    async def text(self, request: Request) -> str:
        """A body that is a TextQuestion as JSON. Raises TooLarge and Rejected."""
        body = bytearray()
        async for chunk in self._chunks(request):
            body += chunk
            if len(body) > MAX_TEXT_BYTES:
                raise TooLarge(f"The body is larger than {MAX_TEXT_BYTES} bytes: send a shorter text.")
        try:
            return TextQuestion.model_validate_json(bytes(body)).text
        except ValidationError as error:
            raise Rejected(
                f'Send {{"text": ...}} of at most {MOST_CHARACTERS} characters.', reason="bad_body"
            ) from error

    async def _chunks(self, request: Request) -> AsyncIterator[bytes]:
        announced = request.headers.get("Content-Length", "0")
        if announced.isdigit() and int(announced) > self._max_upload_bytes:
            raise self._too_large()
        try:
            async for chunk in request.stream():
                yield chunk
        except ClientDisconnect as error:
            raise Rejected("The body was cut off.", reason="cut_off") from error

    def _too_large(self) -> TooLarge:
        return TooLarge(f"The body is larger than {self._max_upload_bytes} bytes: send fewer instances.")


def create_app(
    embedder: Embedder,
    *,
    token: str = "",
    max_upload_bytes: int = 2**30,
    max_at_once: int = 8,
    spool: Path | None = None,
) -> FastAPI:
    """Build the application.

    Args:
        embedder: what does the work, called in threads.
        token: wanted as a bearer token everywhere but at /healthz; empty wants none.
        max_upload_bytes: the largest body; a larger one is answered 413.
        max_at_once: requests in hand at once; one more is answered 429.
        spool: a folder for what is received; None is the system's temporary folder.
    """
    app = FastAPI(title="CBIR inference", docs_url=None, redoc_url=None, openapi_url=None)
    intake = Intake(max_upload_bytes=max_upload_bytes, max_at_once=max_at_once, spool=spool)
    problems.install(app)
    app.add_exception_handler(Exception, _unexpected)
    _add_routes(app, embedder, intake, Bearer(token))
    _add_text_routes(app, embedder, intake, Bearer(token))
    return app


class Bearer:
    """Lets those in who bring the token."""

    def __init__(self, token: str) -> None:
        """Want this token; empty wants none."""
        self._wanted = f"Bearer {token}".encode() if token else b""

    def __call__(self, request: Request) -> None:
        """Raise 401 for everybody else."""
        given = request.headers.get("Authorization", "").encode("latin-1", errors="replace")
        if self._wanted and not hmac.compare_digest(given, self._wanted):
            raise HTTPException(
                401,
                "Send Authorization: Bearer with CBIR_INFERENCE_TOKEN.",
                headers={"WWW-Authenticate": "Bearer"},
            )


def _add_routes(app: FastAPI, embedder: Embedder, intake: Intake, bearer: Bearer) -> None:
    guarded = [Depends(bearer)]

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        """Whether the process answers."""
        return {"status": "ok"}

    @app.get("/encoder", dependencies=guarded)
    def encoder() -> WireEncoder:
        """The encoder that new examples are embedded by, the first where there are several."""
        return WireEncoder.of(embedder.version)

    @app.post("/embeddings", dependencies=guarded)
    async def embeddings(request: Request, frame_number: FrameNumber | None = None) -> EmbeddingsAnswer:
        """Embed the instances of a multipart/related body, one embedding a series."""
        async with intake.folder(request) as folder:
            paths = await intake.instances(request, folder)
            found = await run_in_threadpool(embedder.embed_groups, paths, frame_number)
            return _answer(found)

    @app.post("/rendered", dependencies=guarded, response_class=Response)
    async def rendered(
        request: Request,
        frame_number: FrameNumber,
        longest_side: LongestSide,
        window_center: Annotated[float | None, Query(allow_inf_nan=False)] = None,
        window_width: Annotated[float | None, Query(gt=0, allow_inf_nan=False)] = None,
    ) -> Response:
        """Render one frame of the instance in the body, a grey one through the window where it is given."""
        window = window_or_none(window_center, window_width)
        async with intake.folder(request) as folder:
            path = await intake.instance(request, folder)
            png = await run_in_threadpool(embedder.render_file, path, frame_number, longest_side, window)
            return Response(png, media_type=PNG)

    @app.post("/feature-maps", dependencies=guarded)
    async def feature_maps(request: Request, frame_number: FrameNumbers) -> FeatureMapsAnswer:
        """What the encoder saw in some frames of the instance in the body."""
        async with intake.folder(request) as folder:
            path = await intake.instance(request, folder)
            seen = await run_in_threadpool(embedder.feature_maps, path, frame_number)
            return await run_in_threadpool(FeatureMapsAnswer.of, seen)

    @app.post("/occlusion-maps", dependencies=guarded)
    async def occlusion_maps(request: Request, frame_number: FrameNumbers) -> MatchMapsAnswer:
        """Where a frame of each of the two instances of a multipart/related body looks like the other."""
        async with intake.folder(request) as folder:
            paths = await intake.instances(request, folder)
            if len(paths) != 2 or len(frame_number) != 2:
                raise Rejected("Send two instances, and a frame_number for each.")
            pair, numbers = (paths[0], paths[1]), (frame_number[0], frame_number[1])
            first, second = await run_in_threadpool(embedder.occlusion_maps, pair, numbers)
            return MatchMapsAnswer(first=WireMatchMap.of(first), second=WireMatchMap.of(second))


def _add_text_routes(app: FastAPI, embedder: Embedder, intake: Intake, bearer: Bearer) -> None:
    @app.post("/texts", dependencies=[Depends(bearer)])
    async def texts(request: Request) -> TextAnswer:
        """Embed the words of the body by the encoder that reads."""
        async with intake.place(request):
            text = await intake.text(request)
            return TextAnswer.of(await run_in_threadpool(embedder.embed_text, text))

    @app.post("/reports", dependencies=[Depends(bearer)])
    async def reports(request: Request) -> TextAnswer:
        """Embed what the reports of a multipart/related body tell, all together, by the same encoder."""
        async with intake.folder(request) as folder:
            paths = await intake.instances(request, folder)
            return TextAnswer.of(await run_in_threadpool(embedder.embed_reports, paths))


def _answer(found: EmbeddedFiles) -> EmbeddingsAnswer:
    skipped = [*found.skipped, *(frame for series in found.series for frame in series.skipped)]
    return EmbeddingsAnswer.of(
        [series.embedding for series in found.series],
        found.series[0].embedding.encoder,
        skipped=[WireSkipped(sop_instance_uid=one.sop_instance_uid, reason=one.reason) for one in skipped],
    )


async def _unexpected(request: Request, error: Exception) -> Response:
    return problems.unexpected(error, request.url.path)


async def _discard(request: Request) -> None:
    with contextlib.suppress(TimeoutError, ClientDisconnect, RuntimeError):
        async with asyncio.timeout(LONGEST_DISCARD_S):
            async for _ in request.stream():
                pass
