"""The encoder at the other end of HTTP answers as one in this process would."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from PIL import Image

from cbir.ports import free_port
from indexer.adapters.inference_http import InferenceClient
from indexer.errors import (
    CbirError,
    EncoderUnavailable,
    NotConfigured,
    NotFound,
    Overloaded,
    Rejected,
    TooLarge,
    Unsupported,
)
from indexer.ports import Window
from inference.app import create_app
from tests.fakes.embedder import FakeEmbedder
from tests.fakes.server import serving
from tests.indexer.adapters.conftest import ct_instance, dicom_bytes


@pytest.fixture
def instance(tmp_path: Path) -> Path:
    path = tmp_path / "instance.dcm"
    path.write_bytes(dicom_bytes(ct_instance(1, fill=5)))
    return path


def test_the_same_embeddings_come_as_from_the_embedder_itself(tmp_path: Path) -> None:
    paths = [tmp_path / f"{n}.dcm" for n in range(3)]
    for n, path in enumerate(paths):
        path.write_bytes(dicom_bytes(ct_instance(n, series=f"1.2.3.{n % 2}", fill=n)))
    embedder = FakeEmbedder()
    expected = [series.embedding for series in embedder.embed_groups(paths).series]
    app = create_app(embedder, token="secret")
    with serving(app) as url, InferenceClient(url, token="secret") as client:
        found = client.embed(paths)
        assert client.version() == embedder.version
    assert len(found) == len(expected) == 2
    for one, other in zip(found, expected, strict=True):
        assert (one.reference, one.attributes, one.frames) == (
            other.reference,
            other.attributes,
            other.frames,
        )
        assert one.encoder == other.encoder
        assert one.vector.dtype == one.frame_vectors.dtype == np.float32
        assert np.array_equal(one.vector, other.vector)
        assert np.array_equal(one.frame_vectors, other.frame_vectors)


def test_a_frame_is_rendered(instance: Path) -> None:
    with serving(create_app(FakeEmbedder())) as url, InferenceClient(url) as client:
        png = client.render(instance, 1, 64)
        windowed = client.render(instance, 1, 64, Window(0, 0.5))
    assert Image.open(BytesIO(png)).size == (16, 16)
    assert windowed != png


def test_words_become_the_vector_that_the_worker_made_of_them() -> None:
    embedder = FakeEmbedder()
    expected = embedder.embed_text("kyste hépatique \U0001f600")
    with serving(create_app(embedder)) as url, InferenceClient(url) as client:
        found = client.embed_text("kyste hépatique \U0001f600")
        embedder.reads = False
        with pytest.raises(NotConfigured):
            client.embed_text("cyst")
    assert found.encoder == expected.encoder
    assert found.vector.dtype == np.float32
    assert np.array_equal(found.vector, expected.vector)


def test_reports_become_the_vector_that_the_worker_made_of_them(tmp_path: Path) -> None:
    paths = (tmp_path / "one.dcm", tmp_path / "two.dcm")
    for number, path in enumerate(paths):
        report = ct_instance(number)
        report.TextValue = f"Finding {number}"
        path.write_bytes(dicom_bytes(report))
    embedder = FakeEmbedder()
    expected = embedder.embed_reports(paths)
    with serving(create_app(embedder, token="right")) as url, InferenceClient(url, token="right") as client:
        found = client.embed_reports(paths)
        with pytest.raises(Rejected):
            client.embed_reports(())
        embedder.reads = False
        with pytest.raises(NotConfigured):
            client.embed_reports(paths)
    assert (found.encoder, found.studies, found.patients, found.reports) == (
        expected.encoder,
        expected.studies,
        expected.patients,
        2,
    )
    assert found.studies
    assert np.array_equal(found.vector, expected.vector)


def test_refusals_come_back_as_the_errors_they_were(instance: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.dcm"
    text.write_text("no DICOM")
    without_pixels = ct_instance(1)
    del without_pixels.PixelData
    report = tmp_path / "report.dcm"
    report.write_bytes(dicom_bytes(without_pixels))
    with serving(create_app(FakeEmbedder())) as url, InferenceClient(url) as client:
        with pytest.raises(Rejected) as refusal:
            client.embed([text])
        assert refusal.value.reason == "not_dicom"
        assert type(refusal.value) is Rejected
        with pytest.raises(NotFound, match="no frame 7"):
            client.embed([instance], frame_number=7)
        with pytest.raises(NotFound):
            client.render(instance, 7, 64)
        with pytest.raises(Unsupported):
            client.embed([report])
        with pytest.raises(Rejected):
            client.embed([])


def test_too_much_at_once_is_too_large_however_much_it_is(tmp_path: Path) -> None:
    large = tmp_path / "large.dcm"
    large.write_bytes(b"\0" * 30_000_000)
    with (
        serving(create_app(FakeEmbedder(), max_upload_bytes=100_000)) as url,
        InferenceClient(url) as client,
    ):
        with pytest.raises(TooLarge):
            client.embed([large])
        with pytest.raises(TooLarge):
            client.render(large, 1, 64)


def test_a_worker_with_too_much_to_do_is_overloaded(instance: Path) -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    with serving(create_app(embedder, max_at_once=1)) as url, InferenceClient(url) as client:
        first = threading.Thread(target=client.embed, args=([instance],))
        first.start()
        assert embedder.in_hand.acquire(timeout=60)
        with pytest.raises(Overloaded):
            client.embed([instance])
        embedder.gate.set()
        first.join(60)
        assert not first.is_alive()


def test_a_wrong_token_names_the_setting(instance: Path) -> None:
    with (
        serving(create_app(FakeEmbedder(), token="right")) as url,
        InferenceClient(url, token="wrong") as client,
        pytest.raises(EncoderUnavailable, match="CBIR_INFERENCE_TOKEN"),
    ):
        client.embed([instance])


def test_nobody_at_the_address_is_unavailable(instance: Path) -> None:
    with InferenceClient(f"http://127.0.0.1:{free_port()}") as client:
        for ask in (
            lambda: client.embed([instance]),
            lambda: client.render(instance, 1, 64),
            client.version,
        ):
            with pytest.raises(EncoderUnavailable):
                ask()


def test_a_worker_that_hangs_is_unavailable_after_the_timeout(instance: Path) -> None:
    embedder = FakeEmbedder()
    embedder.gate.clear()
    with serving(create_app(embedder)) as url:
        with (
            InferenceClient(url, timeout_s=0.3) as client,
            pytest.raises(EncoderUnavailable, match="ReadTimeout"),
        ):
            client.embed([instance])
        embedder.gate.set()


class _Answers(http.server.BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering(status: int, body: bytes) -> Iterator[str]:
    answers = type("Answers", (_Answers,), {"status": status, "body": body})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


ENCODER = b'"encoder": {"name": "n", "sha256": "s", "dimension": 2}'
REFERENCE = b'"reference": {"study_instance_uid": "1", "series_instance_uid": "2", "archive_id": "3"}'


def embeddings(vector: bytes, frames: bytes = b"[]", frame_vectors: bytes = b"") -> bytes:
    return (
        b"{%b, " % ENCODER
        + b'"embeddings": [{%b, "attributes": {}, "frames": %b, ' % (REFERENCE, frames)
        + b'"vector": "%b", "frame_vectors": "%b"}]}' % (vector, frame_vectors)
    )


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"<html>"),
        (200, b"{}"),
        (200, embeddings(b"not base64!")),
        (200, embeddings(b"AAAA")),
        (200, embeddings(b"AACAPwAAgD8AAIA/")),
        (200, embeddings(b"AADAfwAAgD8=")),
        (200, embeddings(b"AACAPwAAgD8=", frame_vectors=b"AACAPwAAgD8=")),
        (500, b'{"title": "t", "status": 500, "detail": "d", "reason": "fault"}'),
        (502, b"<html>"),
        (503, b'{"title": "t", "status": 503, "detail": "d", "reason": "unavailable"}'),
    ],
)
def test_what_is_no_answer_is_unavailable(instance: Path, status: int, body: bytes) -> None:
    with (
        answering(status, body) as url,
        InferenceClient(url) as client,
        pytest.raises(EncoderUnavailable),
    ):
        client.embed([instance])


def test_a_refusal_of_unknown_reason_is_still_a_refusal(instance: Path) -> None:
    body = b'{"title": "t", "status": 422, "detail": "too blue", "reason": "blue"}'
    with (
        answering(422, body) as url,
        InferenceClient(url) as client,
        pytest.raises(CbirError, match="too blue") as refusal,
    ):
        client.embed([instance])
    assert isinstance(refusal.value, Rejected)
    assert refusal.value.reason == "blue"
