"""The encoder as a worker elsewhere offers it: DICOM is sent over HTTP, vectors and pictures come back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final

import httpx

from indexer.domain import EncoderVersion, FeatureMap, MatchMap, SeriesEmbedding
from indexer.errors import EncoderUnavailable, Rejected
from indexer.intake.multipart_related import CHUNK_BYTES, DICOM, RelatedBody
from indexer.ports import TextEmbedding, Window
from indexer.wire import TextQuestion, WireEncoder, embeddings_of, problem_of, text_of
from indexer.wire_maps import MOST_FRAMES, feature_maps_of, match_maps_of

CONNECT_TIMEOUT_S: Final = 5.0


class InferenceClient:
    """Implements Encoder by asking a worker's HTTP address; safe to share between threads."""

    def __init__(self, url: str, *, token: str = "", timeout_s: float = 120.0) -> None:
        """Remember where the worker is; nothing is connected yet.

        Args:
            url: the worker's address, CBIR_INFERENCE_URL.
            token: the bearer token that it wants; empty for none.
            timeout_s: the longest wait for an answer once everything is sent.
        """
        headers = {"Accept-Encoding": "identity"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._client = httpx.Client(
            base_url=url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=min(CONNECT_TIMEOUT_S, timeout_s)),
            trust_env=False,
        )

    def __enter__(self) -> InferenceClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def version(self) -> EncoderVersion:
        """The encoder that the worker uses, the first where it has several. Raises EncoderUnavailable."""
        answer = self._answer("GET", "/encoder")
        try:
            encoder = WireEncoder.model_validate_json(answer)
        except ValueError as error:
            raise EncoderUnavailable("What answers at CBIR_INFERENCE_URL is no worker.") from error
        return encoder.to_domain()

    def embed(
        self, instances: Sequence[Path], frame_number: int | None = None
    ) -> tuple[SeriesEmbedding, ...]:
        """Embed DICOM files, one embedding a series; files of several series may be mixed.

        Raises:
            Rejected: no frame of any of them can be embedded; TooLarge when they are too many.
            NotFound: there is no such frame.
            EncoderUnavailable: the worker does not answer; Overloaded when it has too much to do.
        """
        if not instances:
            raise Rejected("There is no DICOM file to embed.")
        body = RelatedBody(instances)
        answer = self._answer(
            "POST",
            "/embeddings",
            content=body,
            headers={"Content-Type": body.content_type, "Content-Length": str(body.length_bytes)},
            params={} if frame_number is None else {"frame_number": frame_number},
        )
        return embeddings_of(answer)

    def render(
        self, instance: Path, frame_number: int, longest_side: int, window: Window | None = None
    ) -> bytes:
        """A PNG of one frame (1-based), its longest side as given; errors as those of `embed`."""
        windowed = {} if window is None else {"window_center": window.center, "window_width": window.width}
        return self._answer(
            "POST",
            "/rendered",
            content=_chunks(instance),
            headers={"Content-Type": DICOM, "Content-Length": str(instance.stat().st_size)},
            params={"frame_number": frame_number, "longest_side": longest_side} | windowed,
        )

    def feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        """What the encoder saw in frames (1-based) of a DICOM file; errors as those of `embed`."""
        maps = [
            seen
            for start in range(0, len(frame_numbers), MOST_FRAMES)
            for seen in self._feature_maps(instance, frame_numbers[start : start + MOST_FRAMES])
        ]
        if len(maps) != len(frame_numbers):
            raise EncoderUnavailable("The worker answers with another number of feature maps: update it.")
        return tuple(maps)

    def _feature_maps(self, instance: Path, frame_numbers: Sequence[int]) -> tuple[FeatureMap, ...]:
        answer = self._answer(
            "POST",
            "/feature-maps",
            content=_chunks(instance),
            headers={"Content-Type": DICOM, "Content-Length": str(instance.stat().st_size)},
            params=httpx.QueryParams(frame_number=list(frame_numbers)),
        )
        return feature_maps_of(answer)

    def occlusion_maps(
        self, instances: tuple[Path, Path], frame_numbers: tuple[int, int]
    ) -> tuple[MatchMap, MatchMap]:
        """Where each of two frames (1-based) looks like the other, by covering them; errors as `embed`."""
        body = RelatedBody(instances)
        answer = self._answer(
            "POST",
            "/occlusion-maps",
            content=body,
            headers={"Content-Type": body.content_type, "Content-Length": str(body.length_bytes)},
            params=httpx.QueryParams(frame_number=list(frame_numbers)),
        )
        return match_maps_of(answer)

    def embed_text(self, text: str) -> TextEmbedding:
        """Embed words; errors as those of `embed`, and NotConfigured where the worker reads no text."""
        body = TextQuestion(text=text).model_dump_json().encode()
        return text_of(
            self._answer("POST", "/texts", content=body, headers={"Content-Type": "application/json"})
        )

    def embed_reports(self, reports: tuple[Path, ...]) -> TextEmbedding:
        """Embed what DICOM reports tell, all together; errors as those of `embed_text`."""
        if not reports:
            raise Rejected("There is no report to embed.")
        body = RelatedBody(reports)
        headers = {"Content-Type": body.content_type, "Content-Length": str(body.length_bytes)}
        return text_of(self._answer("POST", "/reports", content=body, headers=headers))

    def _answer(
        self,
        method: str,
        path: str,
        *,
        content: RelatedBody | Iterator[bytes] | bytes | None = None,
        headers: dict[str, str] | None = None,
        params: Mapping[str, int | float] | httpx.QueryParams | None = None,
    ) -> bytes:
        try:
            answer = self._client.request(method, path, content=content, headers=headers, params=params)
        except httpx.HTTPError as error:
            raise EncoderUnavailable(
                f"The worker does not answer at CBIR_INFERENCE_URL ({type(error).__name__}): is it running?"
            ) from error
        if answer.status_code == 200:
            return answer.content
        problem = problem_of(answer.content)
        if answer.status_code == 401:
            raise EncoderUnavailable("The worker refuses our token: set CBIR_INFERENCE_TOKEN to its own.")
        if problem is None:
            raise EncoderUnavailable(f"The worker answers {answer.status_code}.")
        raise problem.to_error()


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
