"""The bricks of the protocol: strict models, point ids and vectors."""

from __future__ import annotations

import uuid
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator

from engine.errors import BadRequest

Array = NDArray[np.float32]


class Wire(BaseModel):
    """A JSON object of which every field is known; an unknown field is an error, never ignored."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, arbitrary_types_allowed=True)


def canonical_uuid(text: str) -> str:
    """A UUID in the hyphenated form in which the engine gives it back."""
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise ValueError(f"{text!r} is neither an unsigned integer nor a UUID") from error


PointId = Annotated[int, Field(ge=0, lt=2**64)] | Annotated[str, AfterValidator(canonical_uuid)]


def single_point_id(text: str) -> int | str:
    """A point id out of a URL. Raises BadRequest."""
    try:
        return int(text) if text.isdecimal() and int(text) < 2**64 else canonical_uuid(text)
    except ValueError as error:
        raise BadRequest(f"Wrong input: {error}") from error


def as_vector(value: object) -> Array:
    """A dense vector or a multivector.

    Args:
        value: a list of numbers, or a list of such lists of one length.

    Returns:
        float32 (d,) or (n, d).

    Raises:
        ValueError: something else, a number that is not finite, or a row of zeros. The engine would take
            the last two silently and answer with nonsense.
    """
    if not isinstance(value, list) or not value:
        raise ValueError("a vector is a list of numbers, or a list of such lists; nothing else is supported")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError("the rows of a multivector must have one length") from error
    if array.dtype.kind not in "fiu" or array.ndim not in (1, 2) or array.shape[-1] == 0:
        raise ValueError("a vector is a list of numbers, or a list of such lists; nothing else is supported")
    with np.errstate(over="ignore"):
        vector = array.astype(np.float32)
    if not np.isfinite(vector).all():
        raise ValueError("a vector holds a number that is not finite")
    if not np.linalg.norm(np.atleast_2d(vector).astype(np.float64), axis=1).all():
        raise ValueError("a vector is zero: it has no direction to compare")
    return vector


VectorArray = Annotated[Array, PlainValidator(as_vector)]
