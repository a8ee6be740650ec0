"""One engine process for the protocol tests, and collections that no two tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from qdrant_client import QdrantClient, models

from tests.engine.process import PATIENCE_S, EngineProcess


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProcess]:
    with EngineProcess(tmp_path_factory.mktemp("engine") / "data") as running:
        yield running


@pytest.fixture
def client(engine: EngineProcess) -> Iterator[QdrantClient]:
    client = QdrantClient(url=engine.url, check_compatibility=False, timeout=PATIENCE_S)
    yield client
    for collection in client.get_collections().collections:
        client.delete_collection(collection.name)
    client.close()


@pytest.fixture
def collection(client: QdrantClient) -> str:
    """A dense vector `v` and a multivector `m`, both of dimension 4."""
    client.create_collection(
        "things",
        {
            "v": models.VectorParams(size=4, distance=models.Distance.COSINE),
            "m": models.VectorParams(
                size=4,
                distance=models.Distance.COSINE,
                datatype=models.Datatype.FLOAT16,
                on_disk=True,
                multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
                hnsw_config=models.HnswConfigDiff(m=0),
            ),
        },
    )
    return "things"
