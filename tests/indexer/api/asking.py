"""How the tests ask the API: over HTTP, of a house on fakes."""

from __future__ import annotations

import base64
import io
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from demo.families import WrittenStudy
from indexer.api import ApiSettings
from indexer.intake.multipart_related import RelatedBody
from tests.fakes.house import LINKS, Furnished, served

Option = str | int | bool | list[str]


@contextmanager
def asked(house: Furnished, **settings: Any) -> Iterator[httpx.Client]:  # noqa: ANN401 - as ApiSettings
    app = house.app(ApiSettings(**{"links": LINKS, **settings}))
    with served(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        yield client


def about(study: WrittenStudy, **more: object) -> dict[str, object]:
    return {"example": {"study_instance_uid": study.study_instance_uid}, **more}


def studies_of(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [match["study_instance_uid"] for match in answer.json()["matches"]]


def uids(studies: list[WrittenStudy]) -> set[str]:
    return {study.study_instance_uid for study in studies}


def listed(client: httpx.Client, **query: Option) -> list[str]:
    found: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = client.get("/api/studies", params={**query, **cursor}).json()
        found += [study["study_instance_uid"] for study in page["studies"]]
        if page["next_cursor"] is None:
            return found
        cursor = {"cursor": page["next_cursor"]}


def picture_path(client: httpx.Client, study: WrittenStudy) -> str:
    frame = client.get(f"/api/studies/{study.study_instance_uid}").json()["series"][0]["frames"][0]
    return f"/api/instances/{frame['sop_instance_uid']}/frames/{frame['frame_number']}/rendered"


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["detail"]
    assert document["title"]
    return document


def zipped(paths: tuple[Path, ...]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in paths:
            archive.write(path, f"{path.parent.parent.name}/{path.name}")
    return buffer.getvalue()


def raw(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    return client.post(
        "/api/search/upload",
        params=query,
        content=study.paths[0].read_bytes(),
        headers={"Content-Type": "application/dicom"},
    )


def archived(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    return client.post(
        "/api/search/upload",
        params=query,
        content=zipped(study.paths),
        headers={"Content-Type": "application/zip"},
    )


def related(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    body = RelatedBody(study.paths)
    return client.post(
        "/api/search/upload", params=query, content=body, headers={"Content-Type": body.content_type}
    )


def in_a_form(client: httpx.Client, study: WrittenStudy, **query: Option) -> httpx.Response:
    files = [("files", (path.name, path.read_bytes())) for path in study.paths]
    return client.post("/api/search/upload", params=query, files=files)


def in_base64(text: str) -> dict[str, str]:
    return {"X-CBIR-Text": base64.b64encode(text.encode()).decode(), "Content-Type": "application/dicom"}


def sent_in_steps(client: httpx.Client, paths: Sequence[Path]) -> httpx.Response:
    body = RelatedBody(paths)
    headers = {"Content-Type": body.content_type, "Accept": "application/x-ndjson"}
    return client.post("/api/search/upload", content=b"".join(body), headers=headers)
