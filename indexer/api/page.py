"""The page, its parts, and the description of this API: files of our own, nothing from elsewhere."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request
from starlette.responses import FileResponse, Response

from indexer.errors import NotFound

WEB: Final = Path(__file__).parent.parent / "web"
_MEDIA_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}

router = APIRouter(include_in_schema=False)


@router.get("/", response_class=FileResponse)
def page(request: Request) -> Response:
    """The page."""
    return _file("index.html", request)


@router.get("/docs", response_class=FileResponse)
def docs(request: Request) -> Response:
    """The API's description, drawn by a script of ours."""
    return _file("docs.html", request)


@router.get("/favicon.ico", response_class=FileResponse)
def favicon(request: Request) -> Response:
    """The sign in the tab."""
    return _file("mark.svg", request)


@router.get("/web/{name}", response_class=FileResponse)
def part(name: str, request: Request) -> Response:
    """A part of the page."""
    return _file(name, request)


def _file(name: str, request: Request) -> Response:
    """A file of the folder, unless the browser has it: the name is looked up, never joined to a path."""
    files = {path.name: path for path in WEB.iterdir() if path.suffix in _MEDIA_TYPES}
    if name not in files:
        raise NotFound("There is no such part of the page.")
    path = files[name]
    kind = _MEDIA_TYPES[path.suffix]
    headers = {"Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    found = FileResponse(path, media_type=kind, headers=headers, stat_result=path.stat())
    headers["ETag"] = found.headers["etag"]
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    if "gzip" not in request.headers.get("accept-encoding", ""):
        return found
    return Response(
        gzip.compress(path.read_bytes(), mtime=0),
        media_type=kind,
        headers={**headers, "Content-Encoding": "gzip"},
    )
