"""The adapter of Qdrant beyond the contract: names, indexes, aliases, keys, and errors in our words."""

from __future__ import annotations

import socket
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from indexer.adapters.qdrant import QdrantIndex, collection_of
from indexer.domain import (
    EncoderVersion,
    FrameReference,
    Scope,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    pooled,
)
from indexer.errors import Rejected, VectorIndexUnavailable
from tests.engine.process import PATIENCE_S, EngineProcess

ENCODER = EncoderVersion("grey 32/é", "0123456789abcdef" * 4, 4)
NEWER = EncoderVersion("grey 32/é", "f" * 64, 4)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path / "data") as running:
        yield running


@pytest.fixture
def index(engine: EngineProcess) -> Iterator[QdrantIndex]:
    index = QdrantIndex(engine.url)
    yield index
    index.close()


@pytest.fixture
def client(engine: EngineProcess) -> Iterator[QdrantClient]:
    client = QdrantClient(url=engine.url, check_compatibility=False, timeout=PATIENCE_S)
    yield client
    client.close()


def embedding(archive_id: str = "a", encoder: EncoderVersion = ENCODER) -> SeriesEmbedding:
    frames = np.eye(4, dtype=np.float32)[:2]
    return SeriesEmbedding(
        SeriesReference("1.2", "1.2.3", archive_id),
        SeriesAttributes("MR", "BRAIN", date(2020, 1, 2), "0f" * 16),
        encoder,
        (FrameReference("1.2.840", "1.2.3.4", 1), FrameReference("1.2.840", "1.2.3.4", 7)),
        pooled(frames),
        frames,
    )


def test_a_collection_is_named_by_encoder_and_hash_in_plain_letters() -> None:
    assert collection_of(ENCODER) == "series-grey_32__-0123456789ab"


def test_preparing_makes_the_vectors_and_the_indexes_before_anything_is_stored(
    index: QdrantIndex, client: QdrantClient
) -> None:
    index.prepare(ENCODER)
    info = client.get_collection(collection_of(ENCODER))
    vectors = info.config.params.vectors
    assert isinstance(vectors, dict)
    assert vectors.keys() == {"pooled", "frames"}
    assert vectors["frames"].datatype == models.Datatype.FLOAT16
    assert vectors["frames"].hnsw_config is not None
    assert vectors["frames"].hnsw_config.m == 0
    assert {field: str(index.data_type.value) for field, index in info.payload_schema.items()} == {
        "study_instance_uid": "keyword",
        "series_instance_uid": "keyword",
        "sop_instance_uids": "keyword",
        "archive_id": "keyword",
        "modality": "keyword",
        "body_part_examined": "keyword",
        "patient": "keyword",
        "patient_key": "keyword",
        "sequence": "keyword",
        "plane": "keyword",
        "kind": "keyword",
        "study_date": "integer",
    }


def test_preparing_completes_a_collection_whose_indexes_were_not_all_made(
    index: QdrantIndex, client: QdrantClient
) -> None:
    index.prepare(ENCODER)
    client.delete_payload_index(collection_of(ENCODER), "patient")
    index.prepare(ENCODER)
    assert "patient" in client.get_collection(collection_of(ENCODER)).payload_schema


def test_several_workers_may_prepare_at_once(engine: EngineProcess) -> None:
    def prepare(_: int) -> None:
        with closing(QdrantIndex(engine.url)) as index:
            index.prepare(ENCODER)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(prepare, range(8)))


def test_the_alias_stays_with_the_first_encoder_until_another_is_activated(
    index: QdrantIndex, client: QdrantClient
) -> None:
    def alias() -> dict[str, str]:
        return {a.alias_name: a.collection_name for a in client.get_aliases().aliases}

    index.prepare(ENCODER)
    index.prepare(NEWER)
    assert alias() == {"cbir": collection_of(ENCODER)}
    index.activate(NEWER)
    assert alias() == {"cbir": collection_of(NEWER)}


def test_a_point_holds_references_and_filters_and_nothing_else(
    index: QdrantIndex, client: QdrantClient
) -> None:
    index.prepare(ENCODER)
    index.upsert([embedding()])
    (point,) = client.scroll(collection_of(ENCODER))[0]
    assert point.id == embedding().reference.point_id
    assert point.payload == {
        "study_instance_uid": "1.2",
        "series_instance_uid": "1.2.3",
        "archive_id": "a",
        "sop_instance_uids": ["1.2.3.4"],
        "frames": [["1.2.840", "1.2.3.4", 1], ["1.2.840", "1.2.3.4", 7]],
        "modality": "MR",
        "body_part_examined": "BRAIN",
        "sequence": "",
        "plane": "",
        "kind": "image",
        "study_date": 20200102,
        "patient": "0f" * 16,
        "patient_key": "",
    }


def test_frames_without_a_vector_each_are_refused(index: QdrantIndex) -> None:
    index.prepare(ENCODER)
    whole = embedding()
    short = SeriesEmbedding(
        whole.reference, whole.attributes, ENCODER, whole.frames[:1], whole.vector, whole.frame_vectors
    )
    with pytest.raises(Rejected, match="embed them again"):
        index.upsert([short])


def test_the_key_is_sent_and_a_wrong_one_says_which_setting_to_check(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sesame")
    with EngineProcess(tmp_path / "data", "--api-key-file", str(tmp_path / "key")) as engine:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with closing(QdrantIndex(engine.url, "sesame")) as index:
                index.prepare(ENCODER)
        with (
            closing(QdrantIndex(engine.url, "wrong")) as index,
            pytest.raises(VectorIndexUnavailable, match="CBIR_QDRANT_API_KEY"),
        ):
            index.prepare(ENCODER)


def every_call(index: QdrantIndex) -> None:
    whole = embedding()
    calls = (
        lambda: index.prepare(ENCODER),
        lambda: index.activate(ENCODER),
        lambda: index.upsert([whole]),
        lambda: index.delete(ENCODER, ["a"]),
        lambda: index.embeddings_of(ENCODER, study_instance_uid="1.2"),
        lambda: index.embeddings_by_id(ENCODER, ["a"]),
        lambda: index.indexed(ENCODER, ["a"]),
        lambda: list(index.archive_ids(ENCODER)),
        lambda: index.nearest(ENCODER, whole.vector, whole.frame_vectors, limit=3, scope=Scope()),
    )
    for call in calls:
        with pytest.raises(VectorIndexUnavailable) as caught:
            call()
        assert caught.value.__cause__ is not None


def test_an_engine_that_died_is_an_index_to_ask_later(engine: EngineProcess, index: QdrantIndex) -> None:
    index.prepare(ENCODER)
    engine.kill()
    every_call(index)


def test_nobody_listening_is_an_index_to_ask_later() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        with closing(QdrantIndex(url, timeout_s=60)) as index:
            every_call(index)


@pytest.mark.parametrize("status", [429, 500, 503, 200])
def test_an_overloaded_broken_or_foreign_server_is_an_index_to_ask_later(status: int) -> None:
    class Server(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.send_response(status)
            self.send_header("retry-after", "1")
            self.end_headers()
            self.wfile.write(b'{"status": {"error": "no"}}')

        do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with closing(QdrantIndex(f"http://127.0.0.1:{server.server_port}", timeout_s=60)) as index:
            every_call(index)
    finally:
        server.shutdown()
        server.server_close()
