"""The application: every route behind one door."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from fastapi import FastAPI
from fastapi.concurrency import run_in_threadpool
from prometheus_client.registry import Collector

from indexer import problems
from indexer.answers.identity import software_version
from indexer.api import browsing, health, hints, maps, metrics, page, pictures, searching, sending, status
from indexer.api.bookmarks import Bookmarks
from indexer.api.door import Door, Walls
from indexer.api.house import ApiSettings, Gate, Gates, House
from indexer.api.underway import Underway
from indexer.wire import Problem

RENDERINGS_WAITING = 16
RENDERING_WAIT_S = 15.0
OCCLUSIONS = 1
DESCRIPTION = "Ask the archive with an image: similar prior cases as DICOM references. Not for diagnosis."


def create_app(
    house: House, settings: ApiSettings | None = None, measured: Sequence[Collector] = ()
) -> FastAPI:
    """The page and the API over one house.

    Args:
        house: the use cases and ports.
        settings: what the installation chose; None for the defaults.
        measured: what else stands at /metrics.
    """
    settings = settings or ApiSettings()
    app = FastAPI(
        title="PACS-CBIR",
        version=software_version(),
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        lifespan=_lifespan,
        responses={"4XX": {"model": Problem}, "503": {"model": Problem}},
    )
    app.state.house = house
    app.state.settings = settings
    app.state.gates = Gates(
        questions=Gate(settings.max_questions),
        uploads=Gate(settings.max_questions),
        renderings=Gate(settings.max_renderings, waiting=RENDERINGS_WAITING, wait_s=RENDERING_WAIT_S),
        occlusions=Gate(OCCLUSIONS),
    )
    app.state.bookmarks = Bookmarks()
    app.state.underway = Underway()
    app.state.metrics = metrics.Metrics(house.ledger, measured)
    app.state.pictures = pictures.Pictures()
    app.state.maps = maps.pair_maps(house)
    for room in (searching, maps, status, browsing, pictures, sending, hints, health, metrics, page):
        app.include_router(room.router)
    problems.install(app)
    app.add_middleware(Door, settings=settings)
    app.add_middleware(Walls)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    underway: Underway = app.state.underway
    await run_in_threadpool(underway.stop)
