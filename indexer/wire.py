"""Embeddings and refusals as JSON: what a worker answers and an asker reads."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.domain import (
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
)
from indexer.errors import (
    CbirError,
    EncoderUnavailable,
    NotConfigured,
    NotFound,
    NotIndexed,
    Overloaded,
    Rejected,
    TooLarge,
    Unavailable,
    Unsupported,
)
from indexer.ports import TextEmbedding

PROBLEM: Final = "application/problem+json"

MOST_CHARACTERS: Final = 2000
"""Of a text that is embedded."""

_FLOAT32: Final = np.dtype("<f4")
# The most special first: an error is told by the first of these that it is.
_STATUS: Final[tuple[tuple[type[CbirError], int, str], ...]] = (
    (TooLarge, 413, "Too large"),
    (NotFound, 404, "Not found"),
    (NotIndexed, 409, "Not indexed"),
    (NotConfigured, 409, "Not configured"),
    (Rejected, 422, "Rejected"),
    (Overloaded, 429, "Overloaded"),
    (CbirError, 503, "Unavailable"),
)


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WireEncoder(_Wire):
    """EncoderVersion."""

    name: str
    sha256: str
    dimension: Annotated[int, Field(ge=1, le=65_536)]

    @classmethod
    def of(cls, version: EncoderVersion) -> WireEncoder:
        """Write one down."""
        return cls(name=version.name, sha256=version.sha256, dimension=version.dimension)

    def to_domain(self) -> EncoderVersion:
        """Read it back."""
        return EncoderVersion(self.name, self.sha256, self.dimension)


class WireEmbedding(_Wire):
    """SeriesEmbedding; the vectors are base64 of little-endian float32, the frames' row after row.

    `encoder` is None where it is the answer's.
    """

    reference: SeriesReference
    attributes: SeriesAttributes
    frames: tuple[FrameReference, ...]
    vector: str
    frame_vectors: str
    encoder: WireEncoder | None = None


class WireSkipped(_Wire):
    """An instance that stands in no embedding, or not with all that was asked of it, and why."""

    sop_instance_uid: str
    reason: str


class EmbeddingsAnswer(_Wire):
    """The answer to POST /embeddings; an embedding that another encoder made names its own."""

    encoder: WireEncoder
    embeddings: tuple[WireEmbedding, ...]
    skipped: tuple[WireSkipped, ...] = ()

    @classmethod
    def of(
        cls,
        embeddings: Sequence[SeriesEmbedding],
        encoder: EncoderVersion,
        skipped: Sequence[WireSkipped] = (),
    ) -> EmbeddingsAnswer:
        """Write down embeddings, most of them made by `encoder`."""
        return cls(
            encoder=WireEncoder.of(encoder),
            embeddings=tuple(_written(embedding, encoder) for embedding in embeddings),
            skipped=tuple(skipped),
        )

    def to_domain(self) -> tuple[SeriesEmbedding, ...]:
        """Read back. Raises EncoderUnavailable for vectors of the wrong size, or not finite."""
        return tuple(_read(one, (one.encoder or self.encoder).to_domain()) for one in self.embeddings)


class TextQuestion(_Wire):
    """The body of POST /texts."""

    text: Annotated[str, Field(max_length=MOST_CHARACTERS)]


class TextAnswer(_Wire):
    """TextEmbedding, the answer to POST /texts and /reports; `vector` is base64 of little-endian float32."""

    encoder: WireEncoder
    vector: str
    studies: tuple[str, ...] = ()
    patients: tuple[str, ...] = ()
    reports: int = 0

    @classmethod
    def of(cls, text: TextEmbedding) -> TextAnswer:
        """Write one down."""
        return cls(
            encoder=WireEncoder.of(text.encoder),
            vector=_encoded(text.vector),
            studies=text.studies,
            patients=text.patients,
            reports=text.reports,
        )

    def to_domain(self) -> TextEmbedding:
        """Read it back. Raises EncoderUnavailable for a vector of the wrong size, or not finite."""
        encoder = self.encoder.to_domain()
        vector = _decoded(self.vector, (encoder.dimension,))
        return TextEmbedding(encoder, vector, self.studies, self.patients, self.reports)


class Problem(_Wire):
    """A problem document (RFC 9457); `reason` is one word in snake case for programs."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    reason: str

    @classmethod
    def of(cls, error: CbirError) -> Problem:
        """What an error of ours is over HTTP."""
        status, title = next((code, text) for kind, code, text in _STATUS if isinstance(error, kind))
        reason = error.reason if isinstance(error, Rejected | Unavailable) else "unavailable"
        return cls(title=title, status=status, detail=str(error), reason=reason)

    def to_error(self) -> CbirError:
        """The error that a worker's problem document stands for."""
        for special in (Unsupported, NotConfigured):
            if self.reason == special.reason:
                return special(self.detail)
        for kind, status, _ in _STATUS:
            if status == self.status and issubclass(kind, Rejected):
                return kind(self.detail, reason=self.reason)
        return Overloaded(self.detail) if self.status == 429 else EncoderUnavailable(self.detail)


def embeddings_of(body: bytes) -> tuple[SeriesEmbedding, ...]:
    """Read an answer of POST /embeddings. Raises EncoderUnavailable when it is none."""
    try:
        return EmbeddingsAnswer.model_validate_json(body).to_domain()
    except ValidationError as error:
        raise EncoderUnavailable("The worker's answer holds no embeddings: update it.") from error


def text_of(body: bytes) -> TextEmbedding:
    """Read an answer of POST /texts or /reports. Raises EncoderUnavailable when it is none."""
    try:
        return TextAnswer.model_validate_json(body).to_domain()
    except ValidationError as error:
        raise EncoderUnavailable("The worker's answer holds no text's vector: update it.") from error


def problem_of(body: bytes) -> Problem | None:
    """Read a problem document; None when it is none."""
    try:
        return Problem.model_validate_json(body)
    except ValidationError:
        return None


def _written(embedding: SeriesEmbedding, usual: EncoderVersion) -> WireEmbedding:
    return WireEmbedding(
        reference=embedding.reference,
        attributes=embedding.attributes,
        frames=embedding.frames,
        vector=_encoded(embedding.vector),
        frame_vectors=_encoded(embedding.frame_vectors),
        encoder=None if embedding.encoder == usual else WireEncoder.of(embedding.encoder),
    )


def _read(wire: WireEmbedding, encoder: EncoderVersion) -> SeriesEmbedding:
    return SeriesEmbedding(
        reference=wire.reference,
        attributes=wire.attributes,
        encoder=encoder,
        frames=wire.frames,
        vector=_decoded(wire.vector, (encoder.dimension,)),
        frame_vectors=_decoded(wire.frame_vectors, (len(wire.frames), encoder.dimension)),
    )


def _encoded(vector: Vector) -> str:
    return base64.b64encode(np.ascontiguousarray(vector, dtype=_FLOAT32).tobytes()).decode("ascii")


def _decoded(text: str, shape: tuple[int, ...]) -> Vector:
    try:
        vector = np.frombuffer(base64.b64decode(text, validate=True), dtype=_FLOAT32).reshape(shape)
    except (binascii.Error, ValueError) as error:
        raise EncoderUnavailable("The worker's vectors have another size than its encoder says.") from error
    if not np.isfinite(vector).all():
        raise EncoderUnavailable("The worker's vectors are not finite.")
    return vector.astype(np.float32)
