"""Questions to the API by DICOM that is sent along, in every form, and its answers step by step."""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom import dcmread

from indexer.api import ApiSettings
from indexer.domain import SeriesEmbedding
from indexer.intake.multipart_related import RelatedBody
from tests.fakes.encoder import FakeEncoder
from tests.fakes.house import LINKS, Furnished, served
from tests.fakes.watched import Watched
from tests.fakes.workstation import wait_until
from tests.indexer.api.asking import (
    about,
    archived,
    asked,
    in_a_form,
    in_base64,
    problem,
    raw,
    related,
    sent_in_steps,
    studies_of,
    uids,
)
from tests.indexer.conftest import Studies


def test_words_are_sent_beside_an_upload_in_a_header_or_in_the_query(
    client: httpx.Client, studies: Studies
) -> None:
    url, content = "/api/search/upload", studies.new("chest-cr").paths[0].read_bytes()
    kind = {"Content-Type": "application/dicom"}
    in_query = client.post(url, params={"text": "left", "text_weight": 1}, content=content, headers=kind)
    in_header = client.post(url, params={"text_weight": 1}, content=content, headers=in_base64(" left "))
    assert studies_of(in_header) == studies_of(in_query)
    assert in_header.json()["query"]["text"] == "left"
    assert studies_of(client.post(url, content=content, headers=kind)) != studies_of(in_query)


@pytest.mark.parametrize("letter", ["é", "漢", "😀"])
def test_two_thousand_letters_of_any_script_may_be_sent_beside_an_upload(
    client: httpx.Client, studies: Studies, letter: str
) -> None:
    content = studies.new("chest-cr").paths[0].read_bytes()
    text = ("left " + letter * 2000)[:2000]
    answer = client.post("/api/search/upload", content=content, headers=in_base64(text))
    assert answer.status_code == 200, answer.text
    assert answer.json()["query"]["text"] == text
    problem(client.post("/api/search/upload", content=content, headers=in_base64(letter + text)), 422)


def test_words_that_cannot_be_read_are_refused(client: httpx.Client) -> None:
    url, kind = "/api/search/upload", {"Content-Type": "application/dicom"}
    for bad in ("left!", "/w==", "a", "QUJD" * 3000):
        refused = client.post(url, content=b"x", headers={**kind, "X-CBIR-Text": bad})
        assert problem(refused, 422)["reason"] == "malformed"
    both = client.post(url, params={"text": "left"}, content=b"x", headers=in_base64("left"))
    assert problem(both, 422)["reason"] == "malformed"


@pytest.mark.parametrize("send", [raw, archived, related, in_a_form])
@pytest.mark.parametrize("family", ["brain-mr", "chest-cr"])
def test_every_form_of_upload_finds_the_same_family(
    client: httpx.Client, studies: Studies, family: str, send: Callable[..., httpx.Response]
) -> None:
    answer = send(client, studies.new(family), limit=3)
    assert set(studies_of(answer)) == uids(studies.old(family))


def test_the_options_of_an_upload_stand_in_the_query(client: httpx.Client, studies: Studies) -> None:
    new = studies.new("brain-mr")
    answer = in_a_form(client, new, limit=2, modality=["CT", "US"], study_date_to="2016-12-31")
    matches = answer.json()["matches"]
    assert len(matches) == 2
    assert {match["modality"] for match in matches} <= {"CT", "US"}
    assert all(match["study_date"] <= "2016-12-31" for match in matches)
    assert answer.json()["query"]["uploaded"] == len(new.paths)


def test_the_example_of_an_upload_is_shown_when_asked_for(client: httpx.Client, studies: Studies) -> None:
    answer = raw(client, studies.new("chest-cr"), picture=True).json()
    assert answer["query"]["picture"].startswith("data:image/png;base64,")
    assert raw(client, studies.new("chest-cr")).json()["query"]["picture"] is None


def test_nothing_of_an_upload_is_kept(
    client: httpx.Client, studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert archived(client, studies.new("brain-mr")).status_code == 200
    assert client.post("/api/search/upload", content=b"junk").status_code == 422
    assert not list(tmp_path.iterdir())


def test_an_upload_that_is_given_up_leaves_nothing_and_its_place_is_free_again(
    house: Furnished, studies: Studies, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with asked(house, max_questions=1) as client:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        address = (client.base_url.host, client.base_url.port or 0)
        with socket.create_connection(address) as connection:
            connection.sendall(
                b"POST /api/search/upload HTTP/1.1\r\nHost: here\r\nContent-Type: application/dicom\r\n"
                b"Content-Length: 100000\r\n\r\n" + bytes(5000)
            )
            wait_until(lambda: bool(list(tmp_path.iterdir())))
        wait_until(lambda: not list(tmp_path.iterdir()))
        assert raw(client, studies.new("chest-cr")).status_code == 200


def test_files_that_are_no_dicom_are_counted(client: httpx.Client, studies: Studies) -> None:
    path = studies.new("chest-cr").paths[0]
    files = [("files", ("a.dcm", path.read_bytes())), ("files", ("b.txt", b"hello"))]
    answer = client.post("/api/search/upload", files=files).json()
    assert (answer["query"]["uploaded"], answer["query"]["ignored"]) == (1, 1)


def lines_of(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("application/x-ndjson")
    return [json.loads(line) for line in answer.text.splitlines()]


def test_an_upload_is_told_of_step_by_step_and_its_answer_is_the_last_line(
    client: httpx.Client, studies: Studies
) -> None:
    paths = studies.new("brain-mr").paths
    lines = lines_of(sent_in_steps(client, paths))
    assert lines[:-1] == [
        {"step": "received", "number": len(paths), "of": len(paths)},
        {"step": "embedding", "number": 1, "of": 2},
        {"step": "embedding", "number": 2, "of": 2},
        {"step": "searching", "number": 0, "of": 0},
    ]
    body = RelatedBody(paths)
    plain = client.post(
        "/api/search/upload", content=b"".join(body), headers={"Content-Type": body.content_type}
    ).json()
    answer = lines[-1]["answer"]
    assert answer["matches"] == plain["matches"]
    assert answer["query"]["uploaded"] == len(paths)


def test_an_upload_that_goes_wrong_on_the_way_ends_with_a_problem(
    client: httpx.Client, house: Furnished, studies: Studies
) -> None:
    house.encoder.unavailable = True
    lines = lines_of(sent_in_steps(client, studies.new("chest-cr").paths))
    assert lines[-1]["problem"]["reason"] == "encoder_unavailable"
    assert lines[-1]["problem"]["status"] == 503


def test_a_series_without_frames_is_left_out_beside_one_with_frames(
    client: httpx.Client, studies: Studies, tmp_path: Path
) -> None:
    path = studies.new("chest-cr").paths[0]
    without = dcmread(path)
    without.SeriesInstanceUID, without.SOPInstanceUID = "1.2.3.4", "1.2.3.4.5"
    del without.PixelData
    without.save_as(tmp_path / "without.dcm")
    answer = lines_of(sent_in_steps(client, [tmp_path / "without.dcm", path]))[-1]["answer"]
    assert [series["frames"] for series in answer["query"]["series"]] == [1]
    refused = lines_of(sent_in_steps(client, [tmp_path / "without.dcm"]))
    assert refused[-1]["problem"]["reason"] == "no_pixels"


def test_nothing_is_embedded_for_somebody_who_has_gone(house: Furnished, studies: Studies) -> None:
    embedded: list[int] = []
    apps: list[Watched] = []

    class Slow(FakeEncoder):
        def embed(
            self, instances: Sequence[Path], frame_number: int | None = None
        ) -> tuple[SeriesEmbedding, ...]:
            embedded.append(len(instances))
            assert apps[0].left.wait(120)
            return super().embed(instances, frame_number)

    house.encoder = Slow()
    body = RelatedBody(studies.new("brain-mr").paths)
    headers = {"Content-Type": body.content_type, "Accept": "application/x-ndjson"}
    app = Watched(house.app(ApiSettings(links=LINKS, max_questions=1)), "/api/search/upload")
    apps.append(app)
    with served(app) as url, httpx.Client(base_url=url, timeout=60) as client:
        with client.stream("POST", "/api/search/upload", content=b"".join(body), headers=headers) as answer:
            lines = answer.iter_lines()
            assert [json.loads(next(lines))["step"] for _ in range(2)] == ["received", "embedding"]
        question = about(studies.old("chest-cr")[0])
        wait_until(lambda: client.post("/api/search", json=question).status_code != 429)
    assert len(embedded) == 1
