"""The routes: the part of Qdrant's REST protocol that we use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.responses import PlainTextResponse, Response
from starlette.exceptions import HTTPException

from engine.asking import Asking, on_failure, on_refused, refused
from engine.catalogue import Catalogue
from engine.door import Door
from engine.errors import EngineError
from engine.protocol import (
    ChangeAliases,
    Chosen,
    Count,
    CreateCollection,
    CreateIndex,
    DeletePayload,
    GroupQuestion,
    Question,
    Questions,
    Retrieve,
    Scroll,
    SetPayload,
    Upsert,
)
from engine.shard import hnsw_of
from engine.thread import EngineThread
from engine.wire import single_point_id

VERSION = "1.20.0"
TITLE = "pacs-cbir engine: part of Qdrant's REST protocol over Qdrant Edge"

router = APIRouter()


def asking(request: Request) -> Asking:
    """The request, once its query parameters are known to be understood."""
    asked = Asking(request)
    asked.check_parameters()
    return asked


Asked = Annotated[Asking, Depends(asking)]


def create_app(engine: EngineThread, api_key: str | None) -> FastAPI:
    """The HTTP front of an engine that is running."""
    app = FastAPI(title=TITLE, version=VERSION, openapi_url=None)
    app.state.engine = engine
    app.include_router(router)
    app.add_exception_handler(EngineError, on_refused)
    app.add_exception_handler(HTTPException, _on_unknown_route)
    app.add_exception_handler(Exception, on_failure)
    app.add_middleware(Door, api_key=api_key)
    return app


async def _on_unknown_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class only
    return refused(error.status_code, f"{request.method} {request.url.path}: {error.detail}")


@router.get("/")
async def root() -> dict[str, str]:
    """What this is, and which version of the protocol it speaks."""
    return {"title": TITLE, "version": VERSION}


@router.get("/healthz")
@router.get("/livez")
@router.get("/readyz")
async def health() -> Response:
    """All is well."""
    return PlainTextResponse("healthz check passed")


@router.get("/collections")
async def collections(asked: Asked) -> Response:
    """Every collection."""
    return await asked.answer(lambda c: {"collections": [{"name": name} for name in c.names()]})


@router.get("/collections/{name}")
async def collection(name: str, asked: Asked) -> Response:
    """How a collection is and was made."""
    return await asked.answer(lambda c: _described(c, name))


@router.get("/collections/{name}/exists")
async def collection_exists(name: str, asked: Asked) -> Response:
    """Whether there is such a collection."""
    return await asked.answer(lambda c: {"exists": c.exists(name)})


@router.put("/collections/{name}")
async def create_collection(name: str, asked: Asked) -> Response:
    """Make a collection."""
    config = await asked.body(CreateCollection)
    return await _done(asked, lambda c: c.create(name, config))


@router.delete("/collections/{name}")
async def delete_collection(name: str, asked: Asked) -> Response:
    """Take a collection away."""
    return await asked.answer(lambda c: c.delete(name))


@router.put("/collections/{name}/index")
async def create_index(name: str, asked: Asked) -> Response:
    """Index a payload field."""
    index = await asked.body(CreateIndex)
    return await _changed(asked, lambda c: c.shard(name).create_index(index))


@router.delete("/collections/{name}/index/{field}")
async def delete_index(name: str, field: str, asked: Asked) -> Response:
    """Stop indexing a payload field."""
    return await _changed(asked, lambda c: c.shard(name).delete_index(field))


@router.post("/collections/aliases")
async def change_aliases(asked: Asked) -> Response:
    """Change aliases, all at once."""
    change = await asked.body(ChangeAliases)
    return await _done(asked, lambda c: c.change_aliases(change))


@router.get("/aliases")
async def aliases(asked: Asked) -> Response:
    """Every alias."""
    return await asked.answer(lambda c: {"aliases": c.aliases.listed()})


@router.get("/collections/{name}/aliases")
async def collection_aliases(name: str, asked: Asked) -> Response:
    """The aliases of a collection."""
    return await asked.answer(lambda c: {"aliases": c.aliases.listed(c.aliases.collection(name))})


@router.put("/collections/{name}/points")
async def upsert(name: str, asked: Asked) -> Response:
    """Store points."""
    given = await asked.body(Upsert)
    return await asked.upserted(name, given.points)


@router.post("/collections/{name}/points")
async def retrieve(name: str, asked: Asked) -> Response:
    """Points by id."""
    wanted = await asked.body(Retrieve)
    return await asked.answer(lambda c: c.shard(name).retrieve(wanted))


@router.get("/collections/{name}/points/{point_id}")
async def point(name: str, point_id: str, asked: Asked) -> Response:
    """One point by id, with all it has."""
    wanted = single_point_id(point_id)
    return await asked.answer(lambda c: c.shard(name).point(wanted))


@router.post("/collections/{name}/points/delete")
async def delete_points(name: str, asked: Asked) -> Response:
    """Take points out."""
    chosen = await asked.body(Chosen)
    return await _changed(asked, lambda c: c.shard(name).delete(chosen))


@router.post("/collections/{name}/points/count")
async def count(name: str, asked: Asked) -> Response:
    """How many points pass a filter."""
    counted = await asked.body(Count)
    return await asked.answer(lambda c: {"count": c.shard(name).count(counted)})


@router.post("/collections/{name}/points/scroll")
async def scroll(name: str, asked: Asked) -> Response:
    """A page of points."""
    page = await asked.body(Scroll)
    return await asked.answer(lambda c: _page(*c.shard(name).scroll(page)))


@router.post("/collections/{name}/points/payload")
async def set_payload(name: str, asked: Asked) -> Response:
    """Add payload fields to points."""
    given = await asked.body(SetPayload)
    return await _changed(asked, lambda c: c.shard(name).set_payload(given, overwrite=False))


@router.put("/collections/{name}/points/payload")
async def overwrite_payload(name: str, asked: Asked) -> Response:
    """Put a payload in the place of what points have."""
    given = await asked.body(SetPayload)
    return await _changed(asked, lambda c: c.shard(name).set_payload(given, overwrite=True))


@router.post("/collections/{name}/points/payload/delete")
async def delete_payload(name: str, asked: Asked) -> Response:
    """Take payload fields from points."""
    given = await asked.body(DeletePayload)
    return await _changed(asked, lambda c: c.shard(name).delete_payload(given))


@router.post("/collections/{name}/points/query")
async def query(name: str, asked: Asked) -> Response:
    """The nearest points."""
    question = await asked.body(Question)
    return await asked.answer(lambda c: {"points": c.shard(name).query(question)})


@router.post("/collections/{name}/points/query/batch")
async def query_batch(name: str, asked: Asked) -> Response:
    """The nearest points to each of several."""
    questions = await asked.body(Questions)
    return await asked.answer(lambda c: [{"points": c.shard(name).query(q)} for q in questions.searches])


@router.post("/collections/{name}/points/query/groups")
async def query_groups(name: str, asked: Asked) -> Response:
    """The nearest points of each value of a payload field."""
    question = await asked.body(GroupQuestion)
    return await asked.answer(lambda c: {"groups": c.shard(name).query_groups(question)})


async def _done(asked: Asking, work: Callable[[Catalogue], None]) -> Response:
    """Do a change of collections or aliases, and say so."""

    def change(catalogue: Catalogue) -> bool:
        work(catalogue)
        return True

    return await asked.answer(change)


async def _changed(asked: Asking, work: Callable[[Catalogue], None]) -> Response:
    """Do a change of points or indexes, and acknowledge it."""

    def change(catalogue: Catalogue) -> dict[str, Any]:
        work(catalogue)
        return asked.acknowledged()

    return await asked.answer(change)


def _page(points: list[dict[str, Any]], following: int | str | None) -> dict[str, Any]:
    return {"points": points, "next_page_offset": following}


def _described(catalogue: Catalogue, name: str) -> dict[str, Any]:
    """A collection in the words of the protocol; what a server has and the engine has not is its default."""
    shard = catalogue.shard(name)
    config = shard.config.model_dump(exclude_none=True)
    return shard.info() | {
        "status": "green",
        "optimizer_status": "ok",
        "config": {
            "params": {
                "vectors": config["vectors"],
                "on_disk_payload": config.get("on_disk_payload", True),
            },
            "hnsw_config": hnsw_of(shard.config.hnsw_config),
            "optimizer_config": {
                "deleted_threshold": 0.2,
                "vacuum_min_vector_number": 1000,
                "default_segment_number": 1,
                "flush_interval_sec": 2,
            },
            "wal_config": {"wal_capacity_mb": 32, "wal_segments_ahead": 0},
        },
    }
