"""The worker over HTTP: what is sent is embedded, and what cannot be is answered with a problem."""

from __future__ import annotations

import base64
import socket
import threading
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from demo.families import FAMILIES, write_studies
from indexer.adapters.inference_http import InferenceClient
from indexer.errors import NotFound, Rejected
from indexer.intake.multipart_related import RelatedBody
from inference.app import create_app
from inference.embedding import SeriesEmbedder
from tests.fakes.embedder import FakeEmbedder
from tests.fakes.server import serving
from tests.fakes.workstation import wait_until
from tests.indexer.adapters.conftest import ct_instance, dicom_bytes

TOKEN = "a token"
LIMIT = 200_000


@pytest.fixture
def statistics() -> FakeEmbedder:
    return FakeEmbedder()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    spool = tmp_path / "spool"
    spool.mkdir()
    return spool


@pytest.fixture
def worker(statistics: FakeEmbedder, spool: Path) -> Iterator[httpx.Client]:
    app = create_app(statistics, token=TOKEN, max_upload_bytes=LIMIT, max_at_once=2, spool=spool)
    with (
        serving(app) as url,
        httpx.Client(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60) as client,
    ):
        yield client
    statistics.gate.set()
    assert list(spool.iterdir()) == [], "what was received is gone with its request"


def written(folder: Path, *contents: bytes) -> list[Path]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{index}.dcm" for index in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content)
    return paths


def post(client: httpx.Client, paths: list[Path], **params: int) -> httpx.Response:
    body = RelatedBody(paths)
    headers = {"Content-Type": body.content_type}
    return client.post("/embeddings", content=body, headers=headers, params=params)


def test_what_is_sent_is_embedded_a_series_each(worker: httpx.Client, tmp_path: Path) -> None:
    paths = written(
        tmp_path / "sent",
        dicom_bytes(ct_instance(1, fill=1)),
        dicom_bytes(ct_instance(2, fill=2)),
        dicom_bytes(ct_instance(1, series="1.2.3.2", fill=3)),
        b"no DICOM at all",
    )
    answer = post(worker, paths)
    assert answer.status_code == 200
    document = answer.json()
    assert document["encoder"] == {"name": "statistics", "sha256": "5" * 64, "dimension": 3}
    assert document["skipped"] == [{"sop_instance_uid": "", "reason": "not_dicom"}]
    first, second = document["embeddings"]
    assert first["reference"]["series_instance_uid"] == "1.2.3.1"
    assert second["reference"]["series_instance_uid"] == "1.2.3.2"
    assert [frame["sop_instance_uid"] for frame in first["frames"]] == ["1.2.3.1.1", "1.2.3.1.2"]
    vectors = np.frombuffer(base64.b64decode(first["frame_vectors"]), "<f4").reshape(2, 3)
    assert vectors[1] == pytest.approx(np.array([1, 2, 2]) / 3)


def test_one_frame_is_embedded_where_one_is_asked(worker: httpx.Client, tmp_path: Path) -> None:
    dataset = ct_instance(1)
    dataset.NumberOfFrames = 2
    dataset.PixelData = dataset.PixelData * 2
    paths = written(tmp_path / "sent", dicom_bytes(dataset))
    (embedding,) = post(worker, paths, frame_number=2).json()["embeddings"]
    assert [frame["frame_number"] for frame in embedding["frames"]] == [2]


def test_a_frame_that_is_not_there_is_not_found(worker: httpx.Client, tmp_path: Path) -> None:
    answer = post(worker, written(tmp_path / "sent", dicom_bytes(ct_instance(1))), frame_number=9)
    assert answer.status_code == 404
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["reason"] == "not_found"


def test_a_frame_is_rendered_as_a_png(worker: httpx.Client) -> None:
    answer = worker.post(
        "/rendered",
        params={"frame_number": 1, "longest_side": 16},
        content=dicom_bytes(ct_instance(1, fill=200, size=32)),
        headers={"Content-Type": "application/dicom"},
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "image/png")
    picture = Image.open(BytesIO(answer.content))
    assert picture.size == (16, 16)
    assert picture.getpixel((8, 8)) == 200


def test_a_frame_is_rendered_through_the_window_that_is_asked_for(worker: httpx.Client) -> None:
    def asked(**window: float) -> httpx.Response:
        return worker.post(
            "/rendered",
            params={"frame_number": 1, "longest_side": 16, **window},
            content=dicom_bytes(ct_instance(1, fill=200, size=32)),
            headers={"Content-Type": "application/dicom"},
        )

    windowed = Image.open(BytesIO(asked(window_center=200, window_width=10).content))
    assert windowed.getpixel((8, 8)) == 127
    assert asked(window_center=200).status_code == 422
    assert asked(window_center=200, window_width=0).status_code == 422


def test_the_encoder_and_the_health_are_told(worker: httpx.Client) -> None:
    assert worker.get("/encoder").json() == {"name": "statistics", "sha256": "5" * 64, "dimension": 3}
    assert worker.get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize("authorization", ["", "Bearer another", "Bearer", f"Basic {TOKEN}", TOKEN])
def test_who_brings_no_token_is_refused_everywhere_but_for_the_health(
    worker: httpx.Client, statistics: FakeEmbedder, authorization: str
) -> None:
    headers = {"Authorization": authorization}
    for method, path in (("GET", "/encoder"), ("POST", "/embeddings"), ("POST", "/rendered")):
        answer = worker.request(method, path, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.json()["status"] == 401
    assert worker.get("/healthz", headers=headers).status_code == 200
    assert statistics.seen == []


@pytest.mark.parametrize(
    ("path", "params", "content_type"),
    [
        ("/embeddings", {}, "application/dicom"),
        ("/embeddings", {}, "multipart/form-data; boundary=b"),
        ("/embeddings", {}, "multipart/related; boundary=b"),
        ("/embeddings", {"frame_number": "0"}, "multipart/related; boundary=b"),
        ("/rendered", {"frame_number": "1", "longest_side": "64"}, "image/png"),
        ("/rendered", {"frame_number": "1"}, "application/dicom"),
        ("/rendered", {"frame_number": "1", "longest_side": "100000"}, "application/dicom"),
        ("/rendered", {"frame_number": "x", "longest_side": "64"}, "application/dicom"),
    ],
)
def test_what_is_malformed_is_rejected(
    worker: httpx.Client, statistics: FakeEmbedder, path: str, params: dict[str, str], content_type: str
) -> None:
    answer = worker.post(path, params=params, content=b"--b", headers={"Content-Type": content_type})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert statistics.seen == []


def test_files_without_dicom_are_rejected_with_their_reason(worker: httpx.Client, tmp_path: Path) -> None:
    answer = post(worker, written(tmp_path / "sent", b"no DICOM"))
    assert answer.status_code == 422
    assert answer.json()["reason"] == "not_dicom"


def test_more_than_the_limit_is_too_large_announced_or_not(
    worker: httpx.Client, statistics: FakeEmbedder, tmp_path: Path
) -> None:
    body = RelatedBody(written(tmp_path / "sent", b"x" * (LIMIT * 20)))
    headers = {"Content-Type": body.content_type}
    announced = headers | {"Content-Length": str(body.length_bytes)}
    rendered = {"Content-Type": "application/dicom"}
    params = {"frame_number": 1, "longest_side": 64}
    answers = [
        worker.post("/embeddings", content=body, headers=headers),
        worker.post("/embeddings", content=body, headers=announced),
        worker.post("/rendered", content=body, headers=rendered, params=params),
    ]
    assert [answer.status_code for answer in answers] == [413, 413, 413]
    assert {answer.json()["reason"] for answer in answers} == {"too_large"}
    assert statistics.seen == []


def test_a_question_too_many_is_told_to_come_again(
    worker: httpx.Client, statistics: FakeEmbedder, tmp_path: Path
) -> None:
    paths = written(tmp_path / "sent", dicom_bytes(ct_instance(1)))
    statistics.gate.clear()
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(post(worker, paths).status_code)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert statistics.in_hand.acquire(timeout=60)
    refused = post(worker, paths)
    health = worker.get("/healthz")
    statistics.gate.set()
    for thread in threads:
        thread.join()
    assert (refused.status_code, refused.json()["reason"]) == (429, "overloaded")
    assert "Retry-After" in refused.headers
    assert health.status_code == 200
    assert answers == [200, 200]
    assert post(worker, paths).status_code == 200


def test_an_asker_who_hangs_up_leaves_nothing_behind(
    worker: httpx.Client, statistics: FakeEmbedder, spool: Path, tmp_path: Path
) -> None:
    address = worker.base_url
    for _ in range(4):
        with socket.create_connection((address.host, address.port or 80)) as connection:
            connection.sendall(
                b"POST /embeddings HTTP/1.1\r\nHost: worker\r\nAuthorization: Bearer a token\r\n"
                b"Content-Type: multipart/related; boundary=b\r\nContent-Length: 100000\r\n\r\n"
                b"--b\r\n\r\nhalf an instance"
            )
    answer = post(worker, written(tmp_path / "sent", dicom_bytes(ct_instance(1))))
    assert answer.status_code in (200, 429)
    wait_until(lambda: not list(spool.iterdir()))
    assert post(worker, written(tmp_path / "sent", dicom_bytes(ct_instance(1)))).status_code == 200


def test_a_fault_of_ours_is_told_without_what_was_sent(
    statistics: FakeEmbedder, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dataset = ct_instance(1)
    del dataset.Modality
    with serving(create_app(statistics)) as url, httpx.Client(base_url=url, timeout=60) as client:
        answer = post(client, written(tmp_path / "sent", dicom_bytes(dataset)))
    assert answer.status_code == 500
    assert "Modality" not in answer.text
    assert "Doe" not in caplog.text


def test_without_a_token_everybody_may_ask(statistics: FakeEmbedder) -> None:
    with serving(create_app(statistics)) as url:
        assert httpx.get(f"{url}/encoder", timeout=60).status_code == 200


def test_an_address_that_is_not_there_is_a_problem_too(worker: httpx.Client) -> None:
    answer = worker.get("/docs")
    assert (answer.status_code, answer.json()["status"]) == (404, 404)


class TestWithTheRealEncoder:
    def test_the_vectors_are_those_of_the_embedder_itself(
        self, embedder: SeriesEmbedder, tmp_path: Path
    ) -> None:
        (study,) = write_studies(tmp_path / "study", per_family=1, families=FAMILIES[:1])
        with serving(create_app(embedder, token=TOKEN)) as url, InferenceClient(url, token=TOKEN) as client:
            found = client.embed(study.paths)
            png = client.render(study.paths[0], 1, 64)
        expected = embedder.embed_files(study.paths)
        assert len(found) == len(expected) > 0
        for one, other in zip(found, expected, strict=True):
            assert (one.reference, one.attributes, one.frames) == (
                other.reference,
                other.attributes,
                other.frames,
            )
            assert one.encoder == other.encoder == embedder.version
            assert np.allclose(one.frame_vectors, other.frame_vectors, atol=1e-6)
            assert np.linalg.norm(one.vector) == pytest.approx(1, abs=1e-5)
        assert max(Image.open(BytesIO(png)).size) == 64

    def test_what_holds_no_picture_is_refused_with_its_reason(
        self, embedder: SeriesEmbedder, tmp_path: Path
    ) -> None:
        report = ct_instance(1)
        del report.PixelData
        (path,) = written(tmp_path / "sent", dicom_bytes(report))
        with (
            serving(create_app(embedder)) as url,
            InferenceClient(url) as client,
            pytest.raises(Rejected) as refusal,
        ):
            client.embed([path])
        with pytest.raises(Rejected) as expected:
            embedder.embed_files([path])
        assert refusal.value.reason == expected.value.reason
        assert str(refusal.value) == str(expected.value)


def test_what_the_encoder_saw_comes_back_frame_by_frame(statistics: FakeEmbedder, tmp_path: Path) -> None:
    dataset = ct_instance(1, fill=7)
    dataset.NumberOfFrames = 2
    dataset.PixelData = dataset.PixelData + bytes(len(dataset.PixelData))
    (path,) = written(tmp_path / "sent", dicom_bytes(dataset))
    expected = statistics.feature_maps(path, [2, 1])
    with serving(create_app(statistics)) as url, InferenceClient(url) as client:
        found = client.feature_maps(path, [2, 1])
        many = client.feature_maps(path, [1] * 20)
        with pytest.raises(NotFound):
            client.feature_maps(path, [3])
    assert len(many) == 20
    for one, other in zip(found, expected, strict=True):
        assert (one.encoder, one.area) == (other.encoder, other.area)
        np.testing.assert_allclose(one.cells, other.cells, rtol=1e-3)


def test_two_instances_are_compared_by_covering_them(statistics: FakeEmbedder, tmp_path: Path) -> None:
    pixels = np.arange(256, dtype=np.uint16)
    one, other = ct_instance(1), ct_instance(2)
    one.PixelData, other.PixelData = pixels.tobytes(), pixels[::-1].tobytes()
    paths = written(tmp_path / "sent", dicom_bytes(one), dicom_bytes(other))
    expected = statistics.occlusion_maps((paths[0], paths[1]), (1, 1))
    with serving(create_app(statistics)) as url, InferenceClient(url) as client:
        found = client.occlusion_maps((paths[0], paths[1]), (1, 1))
    for back, made in zip(found, expected, strict=True):
        np.testing.assert_allclose(back.values, made.values, atol=1e-6)
        assert back.area == made.area


@pytest.mark.parametrize("frames", [[], [0], [1] * 17])
def test_no_frames_and_too_many_at_once_are_refused(worker: httpx.Client, frames: list[int]) -> None:
    answer = worker.post(
        "/feature-maps",
        params={"frame_number": frames},
        content=dicom_bytes(ct_instance(1)),
        headers={"Content-Type": "application/dicom"},
    )
    assert answer.status_code == 422


def test_only_two_frames_are_compared(worker: httpx.Client, tmp_path: Path) -> None:
    body = RelatedBody(written(tmp_path / "sent", dicom_bytes(ct_instance(1))))
    answer = worker.post(
        "/occlusion-maps",
        params={"frame_number": [1, 1]},
        content=body,
        headers={"Content-Type": body.content_type},
    )
    assert answer.status_code == 422


def test_words_are_embedded(worker: httpx.Client, statistics: FakeEmbedder) -> None:
    answer = worker.post("/texts", json={"text": "kyste hépatique"})
    assert answer.status_code == 200
    assert answer.json()["encoder"]["name"] == "statistics"
    vector = np.frombuffer(base64.b64decode(answer.json()["vector"]), "<f4")
    np.testing.assert_array_equal(vector, statistics.embed_text("kyste hépatique").vector)
    assert worker.post("/texts", json={"text": "x"}, headers={"Authorization": ""}).status_code == 401


def test_reports_are_embedded_and_nothing_of_them_stays(
    worker: httpx.Client, statistics: FakeEmbedder, tmp_path: Path
) -> None:
    reports = [ct_instance(1), ct_instance(2)]
    for one, text in zip(reports, ("A cyst.", "No lesion."), strict=True):
        one.TextValue = text
    body = RelatedBody(written(tmp_path / "sent", *map(dicom_bytes, reports)))
    answer = worker.post("/reports", content=body, headers={"Content-Type": body.content_type})
    assert answer.status_code == 200
    assert set(answer.json()) == {"encoder", "vector", "studies", "patients", "reports"}
    vector = np.frombuffer(base64.b64decode(answer.json()["vector"]), "<f4")
    np.testing.assert_array_equal(vector, statistics.embed_text("A cyst. No lesion.").vector)
    assert len(statistics.seen) == 2
    assert not any(path.exists() for path in statistics.seen)


def test_reports_are_for_those_with_the_token_and_an_encoder_that_reads(
    worker: httpx.Client, statistics: FakeEmbedder, tmp_path: Path
) -> None:
    body = RelatedBody(written(tmp_path / "sent", dicom_bytes(ct_instance(1))))
    kind = {"Content-Type": body.content_type}
    assert worker.post("/reports", content=body, headers=kind | {"Authorization": ""}).status_code == 401
    assert worker.post("/reports", content=b"x", headers={"Content-Type": "text/plain"}).status_code == 422
    statistics.reads = False
    answer = worker.post("/reports", content=body, headers=kind)
    assert (answer.status_code, answer.json()["reason"]) == (409, "not_configured")


def test_a_worker_that_reads_no_text_says_so(worker: httpx.Client, statistics: FakeEmbedder) -> None:
    statistics.reads = False
    answer = worker.post("/texts", json={"text": "cyst"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "not_configured")


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        (b"{", 422, "bad_body"),
        (b'{"words": "cyst"}', 422, "bad_body"),
        (b'{"text": "' + b"a" * 2001 + b'"}', 422, "bad_body"),
        (b'{"text": "' + b"a" * 40_000 + b'"}', 413, "too_large"),
    ],
)
def test_a_body_that_is_no_short_text_is_refused(
    worker: httpx.Client, body: bytes, status: int, reason: str
) -> None:
    answer = worker.post("/texts", content=body)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


def test_words_wait_in_the_same_line_as_files(worker: httpx.Client, statistics: FakeEmbedder) -> None:
    statistics.gate.clear()
    asking = [
        threading.Thread(target=worker.post, args=("/texts",), kwargs={"json": {"text": text}})
        for text in "ab"
    ]
    for one in asking:
        one.start()
    for _ in asking:
        assert statistics.in_hand.acquire(timeout=60)
    refused = worker.post("/texts", json={"text": "c"})
    statistics.gate.set()
    for one in asking:
        one.join()
    assert refused.status_code == 429
