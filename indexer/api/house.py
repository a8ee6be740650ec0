"""What the routes need: the use cases and ports, the settings, and who is asking."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import Depends, Request

from indexer.answers.links import Links
from indexer.api.bookmarks import Bookmarks
from indexer.api.underway import Underway
from indexer.collecting import Sending
from indexer.domain import IndexedSeries
from indexer.errors import Overloaded
from indexer.ledger import Ledger
from indexer.line_up import LineUps
from indexer.ports import Access, Archive, Caller, Encoder, VectorIndex
from indexer.search import Search


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """What an installation may choose.

    Attributes:
        api_token: wanted as a bearer token; empty for none.
        plugin_secret: shared with the plugin; empty refuses it.
        allowed_hosts: names that the Host header may have; empty for any.
        max_upload_bytes: of one example.
        max_questions: answered at once, and uploads received at once.
        max_renderings: frames rendered at once.
        sending_wait_s: a sending that takes longer is answered with how to follow it.
        links: where matches are opened.
    """

    api_token: str = ""
    plugin_secret: str = ""
    allowed_hosts: tuple[str, ...] = ()
    max_upload_bytes: int = 2**30
    max_questions: int = 8
    max_renderings: int = 4
    sending_wait_s: float = 5.0
    links: Links = field(default_factory=Links)


@dataclass(frozen=True, slots=True)
class Event:
    """A hint of the plugin: look at this series again."""

    sequence: int
    change: Literal["new", "stable", "updated", "deleted"]
    orthanc_id: str
    observed_at: datetime


@dataclass(frozen=True, slots=True)
class House:
    """The use cases and ports.

    `line_ups` tells whose vectors are searched; `events` takes the plugin's hints, None where nothing is
    followed; `sending` brings cases to destinations, None where nothing can be sent.
    """

    search: Search
    ledger: Ledger
    archive: Archive
    access: Access
    index: VectorIndex
    encoder: Encoder
    line_ups: Callable[[], LineUps]
    events: Callable[[Sequence[Event]], object] | None = None
    sending: Sending | None = None

    def indexed(self, archive_ids: Sequence[str]) -> Mapping[str, IndexedSeries]:
        """What the encoders that are searched hold of these series but the vectors, by archive id."""
        found: dict[str, IndexedSeries] = {}
        for version in self.line_ups().serving.versions:
            missing = [archive_id for archive_id in archive_ids if archive_id not in found]
            found |= self.index.indexed(version, missing) if missing else {}
        return found


class Gate:
    """Lets some in at once; a few may wait, the others are told to come again."""

    def __init__(self, places: int, *, waiting: int = 0, wait_s: float = 0.0) -> None:
        """Open `places` places, for which `waiting` callers may wait, each at most `wait_s`."""
        self._in_or_waiting = threading.BoundedSemaphore(places + waiting)
        self._places = threading.BoundedSemaphore(places)
        self._wait_s = wait_s

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Hold a place. Raises Overloaded when there is none."""
        with _held(self._in_or_waiting, 0.0), _held(self._places, self._wait_s):
            yield


@contextmanager
def _held(places: threading.BoundedSemaphore, wait_s: float) -> Iterator[None]:
    if not places.acquire(timeout=wait_s):
        raise Overloaded("Too much is asked at once: try again in a moment.")
    try:
        yield
    finally:
        places.release()


@dataclass(frozen=True, slots=True)
class Gates:
    """How much happens at once."""

    questions: Gate
    uploads: Gate
    renderings: Gate
    occlusions: Gate


def house_of(request: Request) -> House:
    """The house that `create_app` was given."""
    return cast("House", request.app.state.house)


def settings_of(request: Request) -> ApiSettings:
    """The settings that `create_app` was given."""
    return cast("ApiSettings", request.app.state.settings)


def gates_of(request: Request) -> Gates:
    """The gates of this application."""
    return cast("Gates", request.app.state.gates)


def bookmarks_of(request: Request) -> Bookmarks:
    """The bookmarks of this application."""
    return cast("Bookmarks", request.app.state.bookmarks)


def underway_of(request: Request) -> Underway:
    """The sendings of this application."""
    return cast("Underway", request.app.state.underway)


def caller_of(request: Request) -> Caller:
    """Who asks, as the door found out."""
    return cast("Caller", request.state.caller)


TheHouse = Annotated[House, Depends(house_of)]
TheSettings = Annotated[ApiSettings, Depends(settings_of)]
TheGates = Annotated[Gates, Depends(gates_of)]
TheBookmarks = Annotated[Bookmarks, Depends(bookmarks_of)]
TheUnderway = Annotated[Underway, Depends(underway_of)]
TheCaller = Annotated[Caller, Depends(caller_of)]
