"""Feature maps and match maps as JSON: what a worker answers and an asker reads."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated, Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from indexer.domain import FeatureMap, MatchMap, Region, Vector
from indexer.errors import EncoderUnavailable
from indexer.wire import WireEncoder

MOST_FRAMES: Final = 16
"""Of one request."""
MOST_CELLS: Final = 64
"""Along each side of a map."""

_FLOAT16: Final = np.dtype("<f2")

Cells = Annotated[int, Field(ge=1, le=MOST_CELLS)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class WireArea(_Wire):
    """The part of the frame that a map covers, as `indexer.domain.Region`."""

    left: Finite
    top: Finite
    width: Positive
    height: Positive

    @classmethod
    def of(cls, area: Region) -> WireArea:
        """Write one down."""
        return cls(left=area.left, top=area.top, width=area.width, height=area.height)

    def to_domain(self) -> Region:
        """Read it back."""
        return Region(self.left, self.top, self.width, self.height)


class WireFeatureMap(_Wire):
    """FeatureMap; `cells` is base64 of little-endian float16, row after row, to be multiplied by `scale`.

    The largest of them is 1: no value of an encoder is too large or too small to be written so.
    """

    rows: Cells
    columns: Cells
    area: WireArea
    scale: Positive
    cells: str

    @classmethod
    def of(cls, seen: FeatureMap) -> WireFeatureMap:
        """Write one down."""
        rows, columns, _ = seen.cells.shape
        scale = float(np.abs(seen.cells).max()) or 1.0
        written = np.ascontiguousarray(seen.cells / scale, dtype=_FLOAT16).tobytes()
        return cls(
            rows=rows,
            columns=columns,
            area=WireArea.of(seen.area),
            scale=scale,
            cells=base64.b64encode(written).decode("ascii"),
        )

    def read(self, dimension: int) -> Vector:
        """The cells, float32 (rows, columns, dimension). Raises EncoderUnavailable for another size."""
        try:
            raw = np.frombuffer(base64.b64decode(self.cells, validate=True), dtype=_FLOAT16)
            cells = raw.reshape(self.rows, self.columns, dimension).astype(np.float32) * np.float32(
                self.scale
            )
        except (binascii.Error, ValueError) as error:
            raise EncoderUnavailable("The worker's feature map has another size than it says.") from error
        if not np.isfinite(cells).all():
            raise EncoderUnavailable("The worker's feature map is not finite.")
        return cells


class FeatureMapsAnswer(_Wire):
    """The answer to POST /feature-maps: a map a frame, in the order asked."""

    encoder: WireEncoder
    maps: Annotated[tuple[WireFeatureMap, ...], Field(max_length=MOST_FRAMES)]

    @classmethod
    def of(cls, seen: Sequence[FeatureMap]) -> FeatureMapsAnswer:
        """Write down maps, one at least, that one encoder made."""
        return cls(
            encoder=WireEncoder.of(seen[0].encoder), maps=tuple(WireFeatureMap.of(one) for one in seen)
        )

    def to_domain(self) -> tuple[FeatureMap, ...]:
        """Read back. Raises EncoderUnavailable for maps of the wrong size, or not finite."""
        version = self.encoder.to_domain()
        return tuple(
            FeatureMap(version, one.read(version.dimension), one.area.to_domain()) for one in self.maps
        )


class WireMatchMap(_Wire):
    """MatchMap: `values` in [0, 1], row by row."""

    rows: Cells
    columns: Cells
    area: WireArea
    values: tuple[tuple[Fraction, ...], ...]

    @classmethod
    def of(cls, found: MatchMap) -> WireMatchMap:
        """Write one down."""
        rows, columns = found.values.shape
        values = tuple(tuple(float(value) for value in row) for row in found.values)
        return cls(rows=rows, columns=columns, area=WireArea.of(found.area), values=values)

    def to_domain(self) -> MatchMap:
        """Read it back. Raises EncoderUnavailable for a map of the wrong size."""
        if len(self.values) != self.rows or any(len(row) != self.columns for row in self.values):
            raise EncoderUnavailable("The worker's map has another size than it says.")
        return MatchMap(np.asarray(self.values, dtype=np.float32), self.area.to_domain())


class MatchMapsAnswer(_Wire):
    """The answer to POST /occlusion-maps: the maps of the two frames that were sent, in their order."""

    first: WireMatchMap
    second: WireMatchMap


def feature_maps_of(body: bytes) -> tuple[FeatureMap, ...]:
    """Read an answer of POST /feature-maps. Raises EncoderUnavailable when it is none."""
    try:
        return FeatureMapsAnswer.model_validate_json(body).to_domain()
    except ValidationError as error:
        raise EncoderUnavailable("The worker's answer holds no feature maps: update it.") from error


def match_maps_of(body: bytes) -> tuple[MatchMap, MatchMap]:
    """Read an answer of POST /occlusion-maps. Raises EncoderUnavailable when it is none."""
    try:
        answer = MatchMapsAnswer.model_validate_json(body)
    except ValidationError as error:
        raise EncoderUnavailable("The worker's answer holds no maps: update it.") from error
    return answer.first.to_domain(), answer.second.to_domain()
