"""Frames of the archive as pictures, each shown only to who may see it."""

from __future__ import annotations

import hashlib
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Final, cast

from fastapi import APIRouter, Depends, Query, Request
from fastapi import Path as PathParameter
from starlette.responses import Response

from indexer.api.house import House, TheCaller, TheGates, TheHouse
from indexer.domain import SeriesReference
from indexer.errors import NotFound
from indexer.ports import StoredInstance, Window, window_or_none
from indexer.vocabulary import Uid

KEPT_BYTES: Final = 64 * 2**20
KEPT_S: Final = 60.0
_IN_UNITS: Final = "of a grey frame, in units of the modality (CT: HU); both or neither"

router = APIRouter(prefix="/api", tags=["browse"])
Key = tuple[str, int, int, int, Window | None]


@dataclass(frozen=True, slots=True)
class Picture:
    """A rendered frame, as long as it is kept."""

    png: bytes
    made_at_s: float

    @property
    def etag(self) -> str:
        """The same for the same bytes."""
        return f'"{hashlib.sha256(self.png).hexdigest()[:32]}"'


class Pictures:
    """The pictures of the last minute; whoever takes one is asked about first."""

    def __init__(self, *, kept_bytes: int = KEPT_BYTES, kept_s: float = KEPT_S) -> None:
        """Keep so much for so long."""
        self._kept_bytes = kept_bytes
        self._kept_s = kept_s
        self._lock = threading.Lock()
        self._pictures: OrderedDict[Key, Picture] = OrderedDict()
        self._size_bytes = 0

    def get(self, key: Key) -> Picture | None:
        """A picture that is still fresh."""
        with self._lock:
            picture = self._pictures.get(key)
            if picture is None or time.monotonic() - picture.made_at_s > self._kept_s:
                return None
            self._pictures.move_to_end(key)
            return picture

    def put(self, key: Key, picture: Picture) -> None:
        """Keep a picture; the ones that were not looked at for longest go."""
        with self._lock:
            self._drop(key)
            self._pictures[key] = picture
            self._size_bytes += len(picture.png)
            while self._size_bytes > self._kept_bytes:
                self._drop(next(iter(self._pictures)))

    def _drop(self, key: Key) -> None:
        dropped = self._pictures.pop(key, None)
        self._size_bytes -= len(dropped.png) if dropped else 0


def pictures_of(request: Request) -> Pictures:
    """The pictures of this application."""
    return cast("Pictures", request.app.state.pictures)


@router.get(
    "/instances/{sop_instance_uid}/frames/{frame_number}/rendered",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
def rendered(
    request: Request,
    sop_instance_uid: Annotated[Uid, PathParameter()],
    frame_number: Annotated[int, PathParameter(ge=1)],
    house: TheHouse,
    gates: TheGates,
    caller: TheCaller,
    pictures: Annotated[Pictures, Depends(pictures_of)],
    size: Annotated[int, Query(ge=16, le=2048, description="longest side in pixels")] = 256,
    window_center: Annotated[float | None, Query(ge=-1e9, le=1e9, description=_IN_UNITS)] = None,
    window_width: Annotated[float | None, Query(gt=0, le=1e9, description=_IN_UNITS)] = None,
) -> Response:
    """One frame (from 1) as a PNG, as a radiologist would recognise it.

    A grey frame may be asked for with a window; its PNG says which one it was rendered with (tEXt
    WindowCenter, WindowWidth, PhotometricInterpretation).
    """
    window = window_or_none(window_center, window_width)
    instance = house.archive.find_instance(sop_instance_uid)
    if not house.access.visible(caller, [SeriesReference("", "", instance.series_archive_id)]):
        raise NotFound(f"There is no instance {sop_instance_uid}.")
    key = (instance.archive_id, instance.size_bytes, frame_number, size, window)
    picture = pictures.get(key)
    if picture is None:
        with gates.renderings.entered():
            picture = _picture(house, instance, frame_number, size, window)
        pictures.put(key, picture)
    headers = {"ETag": picture.etag, "Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
    if request.headers.get("if-none-match") == picture.etag:
        return Response(status_code=304, headers=headers)
    return Response(picture.png, media_type="image/png", headers=headers)


def _picture(
    house: House, instance: StoredInstance, frame_number: int, size: int, window: Window | None
) -> Picture:
    with TemporaryDirectory(prefix="cbir-picture-") as folder:
        fetched = list(house.archive.fetch([instance], Path(folder)))
        if not fetched:
            raise NotFound(f"Instance {instance.sop_instance_uid} is no longer in the archive.")
        png = house.encoder.render(fetched[0].path, frame_number, size, window)
    return Picture(png, time.monotonic())
