"""The protocol as the real client speaks it over HTTP."""

from __future__ import annotations

import threading
import time
import uuid
import warnings
from typing import Any

import httpx
import numpy as np
import pytest
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import UnexpectedResponse

from tests.engine.process import PATIENCE_S, EngineProcess

ID = [str(uuid.uuid5(uuid.NAMESPACE_OID, str(n))) for n in range(10)]


def point(
    point_id: int | str, v: list[float], m: list[list[float]] | None = None, **payload: object
) -> models.PointStruct:
    vectors: dict[str, Any] = {"v": v}
    if m is not None:
        vectors["m"] = m
    return models.PointStruct(id=point_id, vector=vectors, payload=payload)


def ids(points: list[models.ScoredPoint] | list[models.Record]) -> list[Any]:
    return [found.id for found in points]


def is_(key: str, value: str | int) -> models.FieldCondition:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def test_the_version_check_of_the_client_makes_no_warning(engine: EngineProcess) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        before = threading.active_count()
        client = QdrantClient(url=engine.url, timeout=PATIENCE_S)
        deadline = time.monotonic() + 60
        while threading.active_count() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        client.get_collections()
    assert [str(warning.message) for warning in caught] == []
    client.close()


def test_health_is_answered(engine: EngineProcess) -> None:
    for path in ("healthz", "readyz", "livez"):
        assert httpx.get(f"{engine.url}/{path}", timeout=PATIENCE_S).status_code == 200


def test_a_collection_tells_how_it_was_made(client: QdrantClient, collection: str) -> None:
    client.create_payload_index(collection, "modality", models.PayloadSchemaType.KEYWORD)
    client.upsert(collection, [point(1, [1, 0, 0, 0], modality="MR"), point(2, [0, 1, 0, 0])])
    info = client.get_collection(collection)
    vectors = info.config.params.vectors
    assert isinstance(vectors, dict)
    assert (info.status, info.points_count) == (models.CollectionStatus.GREEN, 2)
    assert (vectors["v"].size, vectors["v"].distance) == (4, models.Distance.COSINE)
    assert vectors["m"].datatype == models.Datatype.FLOAT16
    assert vectors["m"].multivector_config is not None
    assert vectors["m"].hnsw_config is not None
    assert vectors["m"].hnsw_config.m == 0
    assert info.payload_schema["modality"].data_type == models.PayloadSchemaType.KEYWORD
    assert info.payload_schema["modality"].points == 1


def test_collections_are_listed_and_deleted(client: QdrantClient, collection: str) -> None:
    assert [c.name for c in client.get_collections().collections] == [collection]
    assert client.collection_exists(collection)
    assert client.delete_collection(collection)
    assert not client.collection_exists(collection)
    assert not client.delete_collection(collection)
    assert client.get_collections().collections == []


def test_a_collection_is_made_once(client: QdrantClient, collection: str) -> None:
    with pytest.raises(UnexpectedResponse, match="already exists") as caught:
        client.create_collection(collection, {"v": models.VectorParams(size=4, distance=models.Distance.DOT)})
    assert caught.value.status_code == 409


@pytest.mark.parametrize("name", ["..%2Fevil", ".hidden", "a b", "x" * 300])
def test_a_collection_cannot_be_named_like_a_path(engine: EngineProcess, name: str) -> None:
    body = {"vectors": {"v": {"size": 4, "distance": "Cosine"}}}
    answer = httpx.put(f"{engine.url}/collections/{name}", json=body, timeout=PATIENCE_S)
    assert answer.status_code in {400, 404}
    assert httpx.get(f"{engine.url}/collections", timeout=PATIENCE_S).json()["result"]["collections"] == []


@pytest.mark.parametrize("distance", [models.Distance.COSINE, models.Distance.DOT, models.Distance.EUCLID])
def test_scores_are_those_of_the_distance(client: QdrantClient, distance: models.Distance) -> None:
    client.create_collection("d", {"v": models.VectorParams(size=2, distance=distance)})
    client.upsert("d", [point(1, [3, 4])])
    (found,) = client.query_points("d", query=[1.0, 2.0], using="v").points
    expected = {
        models.Distance.COSINE: 11 / (5 * 5**0.5),
        models.Distance.DOT: 11.0,
        models.Distance.EUCLID: 8**0.5,
    }
    assert found.score == pytest.approx(expected[distance], abs=1e-5)


def test_payload_indexes_of_every_kind_are_made_twice_without_error(
    client: QdrantClient, collection: str
) -> None:
    kinds = ["keyword", "integer", "float", "bool", "datetime", "uuid"]
    for kind in kinds * 2:
        client.create_payload_index(collection, f"a_{kind}", models.PayloadSchemaType(kind))
    schema = client.get_collection(collection).payload_schema
    assert {name: index.data_type for name, index in schema.items()} == {
        f"a_{kind}": models.PayloadSchemaType(kind) for kind in kinds
    }
    client.delete_payload_index(collection, "a_uuid")
    assert "a_uuid" not in client.get_collection(collection).payload_schema


def test_an_alias_stands_for_its_collection_and_switches_at_once(
    client: QdrantClient, collection: str
) -> None:
    client.create_collection("newer", {"v": models.VectorParams(size=4, distance=models.Distance.COSINE)})
    client.upsert(collection, [point(1, [1, 0, 0, 0])])
    client.upsert("newer", [point(2, [1, 0, 0, 0])])
    client.update_collection_aliases([_create_alias("current", collection)])
    assert ids(client.query_points("current", query=[1.0, 0, 0, 0], using="v").points) == [1]
    client.update_collection_aliases([_delete_alias("current"), _create_alias("current", "newer")])
    assert ids(client.query_points("current", query=[1.0, 0, 0, 0], using="v").points) == [2]
    assert _aliases(client) == {"current": "newer"}
    client.update_collection_aliases([_rename_alias("current", "used")])
    assert _aliases(client) == {"used": "newer"}
    assert [a.alias_name for a in client.get_collection_aliases("newer").aliases] == ["used"]
    client.delete_collection("newer")
    assert _aliases(client) == {}


def test_several_changes_of_aliases_happen_together_or_not_at_all(
    client: QdrantClient, collection: str
) -> None:
    with pytest.raises(UnexpectedResponse) as caught:
        client.update_collection_aliases([_create_alias("a", collection), _create_alias("b", "no-such")])
    assert caught.value.status_code == 404
    assert _aliases(client) == {}


def test_an_alias_cannot_hide_a_collection(client: QdrantClient, collection: str) -> None:
    with pytest.raises(UnexpectedResponse, match="already exists"):
        client.update_collection_aliases([_create_alias(collection, collection)])


def test_points_come_back_by_id_with_what_is_asked_for(client: QdrantClient, collection: str) -> None:
    client.upsert(
        collection, [point(ID[0], [1, 0, 0, 0], [[0, 1, 0, 0]] * 2, a=1, b="x"), point(7, [0, 1, 0, 0])]
    )
    plain, other = sorted(client.retrieve(collection, [ID[0], 7, 99]), key=lambda p: str(p.id), reverse=True)
    assert (plain.id, plain.payload, plain.vector) == (ID[0], {"a": 1, "b": "x"}, None)
    assert (other.id, other.payload) == (7, {})
    (some,) = client.retrieve(collection, [ID[0]], with_payload=["a"], with_vectors=["m"])
    assert (some.payload, some.vector) == ({"a": 1}, {"m": [[0, 1, 0, 0]] * 2})
    (rest,) = client.retrieve(
        collection, [ID[0]], with_payload=models.PayloadSelectorExclude(exclude=["a"]), with_vectors=True
    )
    assert (rest.payload, rest.vector) == ({"b": "x"}, {"v": [1, 0, 0, 0], "m": [[0, 1, 0, 0]] * 2})
    (none,) = client.retrieve(collection, [ID[0]], with_payload=False)
    assert none.payload is None


def test_one_point_is_got_by_its_id(client: QdrantClient, engine: EngineProcess, collection: str) -> None:
    client.upsert(collection, [point(ID[0], [1, 0, 0, 0], a=1)])
    got = httpx.get(f"{engine.url}/collections/{collection}/points/{ID[0]}", timeout=PATIENCE_S).json()[
        "result"
    ]
    assert got == {"id": ID[0], "payload": {"a": 1}, "vector": {"v": [1, 0, 0, 0]}}
    assert httpx.get(f"{engine.url}/collections/{collection}/points/5", timeout=PATIENCE_S).status_code == 404
    assert (
        httpx.get(f"{engine.url}/collections/{collection}/points/abc", timeout=PATIENCE_S).status_code == 400
    )


def test_a_payload_of_every_json_kind_comes_back_as_it_was(client: QdrantClient, collection: str) -> None:
    payload = {
        "s": "é",
        "i": 2**53,
        "f": 1.5,
        "b": True,
        "n": None,
        "l": [1, "a", {"x": []}],
        "o": {"p": {"q": 1}},
    }
    client.upsert(collection, [models.PointStruct(id=1, vector={"v": [1.0, 0, 0, 0]}, payload=payload)])
    assert client.retrieve(collection, [1])[0].payload == payload


def test_the_last_of_two_points_of_one_id_in_a_request_counts(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(1, [1, 0, 0, 0], n=1), point(1, [0, 1, 0, 0], n=2)])
    assert [p.payload for p in client.scroll(collection)[0]] == [{"n": 2}]


def test_points_are_deleted_by_id_and_by_filter(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(n, [1, 0, 0, n], odd=n % 2) for n in range(10)])
    client.delete(collection, models.PointIdsList(points=[0, 1, 77]))
    client.delete(collection, models.FilterSelector(filter=models.Filter(must=[is_("odd", 1)])))
    assert ids(client.scroll(collection)[0]) == [2, 4, 6, 8]


def test_payload_is_set_overwritten_and_deleted(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(n, [1, 0, 0, n], a=1, b=2) for n in range(3)])
    client.set_payload(collection, {"c": 3}, points=[0])
    client.overwrite_payload(
        collection, {"d": 4}, points=models.Filter(must=[models.HasIdCondition(has_id=[1])])
    )
    client.delete_payload(collection, ["a"], points=[2])
    assert [p.payload for p in client.scroll(collection)[0]] == [{"a": 1, "b": 2, "c": 3}, {"d": 4}, {"b": 2}]


def test_scrolling_gives_every_point_once_in_the_order_of_ids(client: QdrantClient, collection: str) -> None:
    given: list[int | str] = [*ID, 5, 3, 2**63]
    client.upsert(collection, [point(i, [1, 0, 0, 0]) for i in given])
    seen: list[Any] = []
    offset = None
    while True:
        page, offset = client.scroll(collection, limit=4, offset=offset, with_payload=False)
        seen += ids(page)
        if offset is None:
            break
    assert seen == [3, 5, 2**63, *sorted(ID)]


def test_counts_are_exact(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(n, [1, 0, 0, n], even=int(n % 2 == 0)) for n in range(9)])
    assert client.count(collection).count == 9
    assert client.count(collection, models.Filter(must=[is_("even", 1)])).count == 5


FILTERS: dict[str, tuple[models.Filter, list[int]]] = {
    "value": (models.Filter(must=[is_("s", "a")]), [1, 4]),
    "value in a list": (models.Filter(must=[is_("l", "y")]), [2]),
    "integer": (models.Filter(must=[is_("i", 3)]), [3]),
    "nested field": (models.Filter(must=[is_("o.k", "deep")]), [3]),
    "any": (
        models.Filter(must=[models.FieldCondition(key="s", match=models.MatchAny(any=["a", "c"]))]),
        [1, 3, 4],
    ),
    "except": (
        models.Filter(must=[models.FieldCondition(key="s", match=models.MatchExcept(**{"except": ["a"]}))]),
        [2, 3],
    ),
    "range": (
        models.Filter(must=[models.FieldCondition(key="i", range=models.Range(gte=2, lt=4))]),
        [2, 3],
    ),
    "dates": (
        models.Filter(
            must=[models.FieldCondition(key="t", range=models.DatetimeRange(gte="2020-01-01T00:00:00Z"))]
        ),
        [2],
    ),
    "must_not": (models.Filter(must_not=[is_("s", "a")]), [2, 3, 5]),
    "should": (models.Filter(should=[is_("s", "b"), is_("i", 3)]), [2, 3]),
    "a single condition without a list": (models.Filter(must=is_("s", "b")), [2]),
    "min_should": (
        models.Filter(
            min_should=models.MinShould(conditions=[is_("s", "a"), is_("i", 1), is_("i", 2)], min_count=2)
        ),
        [1],
    ),
    "nested filter": (
        models.Filter(must=[models.Filter(should=[is_("s", "b"), is_("s", "c")])], must_not=[is_("i", 2)]),
        [3],
    ),
    "has id": (models.Filter(must=[models.HasIdCondition(has_id=[1, 5, 9])]), [1, 5]),
    "has vector": (models.Filter(must=[models.HasVectorCondition(has_vector="m")]), [5]),
    "is empty": (
        models.Filter(must=[models.IsEmptyCondition(is_empty=models.PayloadField(key="s"))]),
        [5],
    ),
    "is null": (models.Filter(must=[models.IsNullCondition(is_null=models.PayloadField(key="n"))]), [4]),
    "nothing asked": (models.Filter(must=[], should=[], must_not=[]), [1, 2, 3, 4, 5]),
}


@pytest.mark.parametrize("indexed", [False, True], ids=["unindexed", "indexed"])
@pytest.mark.parametrize(("wanted", "expected"), FILTERS.values(), ids=FILTERS.keys())
def test_a_filter_means_what_it_means_on_a_server(
    client: QdrantClient, collection: str, wanted: models.Filter, expected: list[int], indexed: bool
) -> None:
    if indexed:
        for field, kind in {
            "s": "keyword",
            "i": "integer",
            "b": "bool",
            "t": "datetime",
            "l": "keyword",
        }.items():
            client.create_payload_index(collection, field, models.PayloadSchemaType(kind))
    client.upsert(
        collection,
        [
            point(1, [1, 0, 0, 0], s="a", i=1, b=True),
            point(2, [1, 0, 0, 0], s="b", i=2, l=["x", "y"], t="2021-03-04T05:06:07Z"),
            point(3, [1, 0, 0, 0], s="c", i=3, o={"k": "deep"}, t="2019-03-04T05:06:07Z"),
            point(4, [1, 0, 0, 0], s="a", n=None),
            point(5, [1, 0, 0, 0], [[1, 0, 0, 0]]),
        ],
    )
    assert ids(client.scroll(collection, wanted)[0]) == expected
    found = client.query_points(collection, query=[1.0, 0, 0, 0], using="v", query_filter=wanted).points
    assert sorted(ids(found)) == expected


def test_the_nearest_come_first_and_pages_follow(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(n, [10, n, 0, 0], n=n) for n in range(20)])
    first = client.query_points(collection, query=[1.0, 0, 0, 0], using="v", limit=3).points
    after = client.query_points(collection, query=[1.0, 0, 0, 0], using="v", limit=3, offset=3).points
    assert ids(first + after) == [0, 1, 2, 3, 4, 5]
    assert first[1].payload == {"n": 1}
    assert len(client.query_points(collection, query=[1.0, 0, 0, 0], using="v").points) == 10


def test_a_threshold_and_search_parameters_are_honoured(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(n, [10, n, 0, 0]) for n in range(20)])
    found = client.query_points(
        collection,
        query=[1.0, 0, 0, 0],
        using="v",
        score_threshold=0.99,
        search_params=models.SearchParams(hnsw_ef=256, exact=True),
        with_vectors=["v"],
    ).points
    assert ids(found) == [0, 1]
    vector = found[1].vector
    assert isinstance(vector, dict)
    assert vector["v"] == pytest.approx((np.array([10, 1, 0, 0]) / 101**0.5).tolist())


def test_a_point_can_be_asked_about_and_is_no_answer(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(i, [10, n, 0, 0], [[1, n, 0, 0]]) for n, i in enumerate(ID)])
    assert ids(client.query_points(collection, query=ID[0], using="v", limit=2).points) == ID[1:3]
    assert ids(client.query_points(collection, query=ID[0], using="m", limit=2).points) == ID[1:3]
    nearest = models.NearestQuery(nearest=ID[9])
    assert ids(client.query_points(collection, query=nearest, using="v", limit=1).points) == [ID[8]]
    with pytest.raises(UnexpectedResponse, match="No point with id") as caught:
        client.query_points(collection, query=12345, using="v")
    assert caught.value.status_code == 404


def test_a_multivector_scores_with_max_sim(client: QdrantClient, collection: str) -> None:
    rng = np.random.default_rng(0)
    stored = {n: rng.normal(size=(n + 1, 4)) for n in range(6)}
    client.upsert(collection, [point(n, [1, 0, 0, 0], m.tolist()) for n, m in stored.items()])
    asked = rng.normal(size=(3, 4))
    found = client.query_points(collection, query=asked.tolist(), using="m", limit=10).points
    expected = {n: float((_unit(asked) @ _unit(m).T).max(axis=1).sum()) for n, m in stored.items()}
    assert {p.id: p.score for p in found} == pytest.approx(expected, abs=5e-3)


def test_a_prefetch_bounds_what_is_ranked_again(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(n, [10, n, 0, 0], [[0, n + 1, 0, 10]]) for n in range(10)])
    inner = models.Prefetch(query=[1.0, 0, 0, 0], using="v", limit=4)
    middle = models.Prefetch(prefetch=inner, query=[[0.0, 1, 0, 0]], using="m", limit=3)
    found = client.query_points(collection, prefetch=middle, query=[1.0, 0, 0, 0], using="v").points
    assert ids(found) == [1, 2, 3]
    narrowed = inner.model_copy(
        update={"filter": models.Filter(must_not=[models.HasIdCondition(has_id=[1])])}
    )
    found = client.query_points(collection, prefetch=[narrowed], query=[[0.0, 1, 0, 0]], using="m").points
    assert ids(found) == [4, 3, 2, 0]


def test_several_questions_are_answered_in_their_order(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(0, [1, 0, 0, 0]), point(1, [0, 1, 0, 0])])
    asked = [
        models.QueryRequest(query=[0.0, 1, 0, 0], using="v", limit=1, with_payload=True),
        models.QueryRequest(query=[1.0, 0, 0, 0], using="v", limit=1),
    ]
    assert [ids(a.points) for a in client.query_batch_points(collection, asked)] == [[1], [0]]


def test_groups_are_the_best_of_each_value_best_first(client: QdrantClient, collection: str) -> None:
    client.upsert(collection, [point(n, [100, n, 0, 0], study=f"s{n // 100}", n=n) for n in range(300)])
    client.upsert(collection, [point(900, [1, 0, 0, 0])])
    groups = client.query_points_groups(
        collection, group_by="study", query=[1.0, 0, 0, 0], using="v", limit=5, group_size=2
    ).groups
    assert [(g.id, ids(g.hits)) for g in groups] == [("s0", [0, 1]), ("s1", [100, 101]), ("s2", [200, 201])]
    assert groups[0].hits[1].payload == {"study": "s0", "n": 1}
    assert groups[0].hits[0].score > groups[1].hits[0].score


def test_groups_take_every_value_of_a_list_and_numbers(client: QdrantClient, collection: str) -> None:
    client.upsert(
        collection, [point(1, [10, 0, 0, 0], tag=["a", "b"]), point(2, [10, 1, 0, 0], tag=["b", 7])]
    )
    groups = client.query_points_groups(
        collection, group_by="tag", query=[1.0, 0, 0, 0], using="v", with_payload=False, with_vectors=["v"]
    ).groups
    assert [(g.id, ids(g.hits)) for g in groups] == [("a", [1]), ("b", [1, 2]), (7, [2])]
    assert groups[0].hits[0].payload is None
    assert groups[0].hits[0].vector == {"v": [1, 0, 0, 0]}


def test_groups_of_a_prefetch_are_ranked_again_by_frames(client: QdrantClient, collection: str) -> None:
    client.upsert(
        collection,
        [point(n, [100, n, 0, 0], [[100, 60 - n, 0, 0]], study=f"s{n % 3}") for n in range(60)],
    )
    groups = client.query_points_groups(
        collection,
        group_by="study",
        group_size=1,
        limit=2,
        prefetch=models.Prefetch(query=[1.0, 0, 0, 0], using="v", limit=10),
        query=[[1.0, 0, 0, 0]],
        using="m",
    ).groups
    assert [(g.id, ids(g.hits)) for g in groups] == [("s0", [9]), ("s2", [8])]


COLLECTION: dict[str, Any] = {"vectors": {"v": {"size": 4, "distance": "Cosine"}}}
QUERY: dict[str, Any] = {"query": [1, 0, 0, 0], "using": "v"}
POINT: dict[str, Any] = {"id": 1, "vector": {"v": [1, 0, 0, 0]}}
REFUSED: dict[str, tuple[str, str, dict[str, Any]]] = {
    "unknown field of a collection": ("PUT", "other", COLLECTION | {"shard_number": 2}),
    "unknown field of a vector": (
        "PUT",
        "other",
        {"vectors": {"v": {"size": 4, "distance": "Cosine", "quantization_config": {"scalar": {}}}}},
    ),
    "unnamed vector": ("PUT", "other", {"vectors": {"size": 4, "distance": "Cosine"}}),
    "unknown distance": ("PUT", "other", {"vectors": {"v": {"size": 4, "distance": "Manhattan"}}}),
    "unknown datatype": (
        "PUT",
        "other",
        {"vectors": {"v": {"size": 4, "distance": "Dot", "datatype": "uint8"}}},
    ),
    "text index": ("PUT", "things/index", {"field_name": "t", "field_schema": "text"}),
    "unknown field of a point": ("PUT", "things/points", {"points": [POINT | {"score": 1}]}),
    "batch of points": ("PUT", "things/points", {"batch": {"ids": [1], "vectors": {"v": [[1, 0, 0, 0]]}}}),
    "no points": ("PUT", "things/points", {"points": []}),
    "bad id": ("PUT", "things/points", {"points": [POINT | {"id": "abc"}]}),
    "negative id": ("PUT", "things/points", {"points": [POINT | {"id": -1}]}),
    "sparse vector": (
        "PUT",
        "things/points",
        {"points": [{"id": 1, "vector": {"v": {"indices": [1], "values": [1.0]}}}]},
    ),
    "unknown vector": ("PUT", "things/points", {"points": [{"id": 1, "vector": {"x": [1, 0, 0, 0]}}]}),
    "short vector": ("PUT", "things/points", {"points": [{"id": 1, "vector": {"v": [1, 0, 0]}}]}),
    "zero vector": ("PUT", "things/points", {"points": [{"id": 1, "vector": {"v": [0, 0, 0, 0]}}]}),
    "zero row": (
        "PUT",
        "things/points",
        {"points": [{"id": 1, "vector": {"m": [[1, 0, 0, 0], [0, 0, 0, 0]]}}]},
    ),
    "ragged rows": ("PUT", "things/points", {"points": [{"id": 1, "vector": {"m": [[1, 0, 0, 0], [1]]}}]}),
    "rows for a dense vector": (
        "PUT",
        "things/points",
        {"points": [{"id": 1, "vector": {"v": [[1, 0, 0, 0]]}}]},
    ),
    "numbers in quotes": (
        "PUT",
        "things/points",
        {"points": [{"id": 1, "vector": {"v": ["1", "0", "0", "0"]}}]},
    ),
    "overflowing number": (
        "PUT",
        "things/points",
        {"points": [{"id": 1, "vector": {"v": [1e300, 0, 0, 0]}}]},
    ),
    "unknown field of a question": (
        "POST",
        "things/points/query",
        QUERY | {"lookup_from": {"collection": "x"}},
    ),
    "unknown kind of question": ("POST", "things/points/query", {"query": {"fusion": "rrf"}, "using": "v"}),
    "question without vector": ("POST", "things/points/query", {"using": "v"}),
    "question of another size": ("POST", "things/points/query", QUERY | {"query": [1, 0]}),
    "question about no such vector": ("POST", "things/points/query", QUERY | {"using": "nope"}),
    "vector asked back that is not there": ("POST", "things/points/query", QUERY | {"with_vector": ["nope"]}),
    "zero question": ("POST", "things/points/query", QUERY | {"query": [0, 0, 0, 0]}),
    "quantization": ("POST", "things/points/query", QUERY | {"params": {"quantization": {"ignore": True}}}),
    "limit of nothing": ("POST", "things/points/query", QUERY | {"limit": 0}),
    "limit in quotes": ("POST", "things/points/query", QUERY | {"limit": "5"}),
    "geo condition": (
        "POST",
        "things/points/query",
        QUERY
        | {"filter": {"must": [{"key": "g", "geo_radius": {"center": {"lon": 1, "lat": 1}, "radius": 1}}]}},
    ),
    "bool condition": (
        "POST",
        "things/points/scroll",
        {"filter": {"must": [{"key": "b", "match": {"value": True}}]}},
    ),
    "text condition": (
        "POST",
        "things/points/scroll",
        {"filter": {"must": [{"key": "g", "match": {"text": "words"}}]}},
    ),
    "condition with two tests": (
        "POST",
        "things/points/scroll",
        {"filter": {"must": [{"key": "g", "match": {"value": 1}, "range": {"gt": 1}}]}},
    ),
    "unknown clause": ("POST", "things/points/scroll", {"filter": {"may": []}}),
    "bad date": (
        "POST",
        "things/points/scroll",
        {"filter": {"must": [{"key": "t", "range": {"gt": "yesterday"}}]}},
    ),
    "bad path": (
        "POST",
        "things/points/scroll",
        {"filter": {"must": [{"key": "a[", "match": {"value": 1}}]}},
    ),
    "ordering": ("POST", "things/points/scroll", {"order_by": "x"}),
    "delete of nothing named": ("POST", "things/points/delete", {}),
    "shard key": ("POST", "things/points/delete", {"points": [1], "shard_key": "a"}),
    "unknown parameter": ("POST", "things/points/count?consistency=quorum", {}),
    "bad timeout": ("POST", "things/points/count?timeout=soon", {}),
    "unknown action": ("POST", "aliases", {"actions": [{"copy_alias": {}}]}),
}


@pytest.mark.parametrize(("method", "path", "body"), REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_supported_is_refused_and_never_ignored(
    client: QdrantClient, engine: EngineProcess, collection: str, method: str, path: str, body: dict[str, Any]
) -> None:
    answer = httpx.request(method, f"{engine.url}/collections/{path}", json=body, timeout=PATIENCE_S)
    assert (answer.status_code, answer.json()["time"]) == (400, 0.0)
    assert answer.json()["status"]["error"]
    assert client.count(collection).count == 0
    assert not client.collection_exists("other")


def test_a_body_that_is_not_json_is_refused(engine: EngineProcess, collection: str) -> None:
    answer = httpx.post(
        f"{engine.url}/collections/{collection}/points/query", content=b"{", timeout=PATIENCE_S
    )
    assert answer.status_code == 400
    literal = b'{"query": [NaN, 0, 0, 0], "using": "v"}'
    answer = httpx.post(
        f"{engine.url}/collections/{collection}/points/query", content=literal, timeout=PATIENCE_S
    )
    assert answer.status_code == 400


def test_a_body_that_is_too_large_is_refused(engine: EngineProcess, collection: str) -> None:
    answer = httpx.post(
        f"{engine.url}/collections/{collection}/points/query", content=b" " * (33 * 2**20), timeout=PATIENCE_S
    )
    assert answer.status_code == 413
    assert "larger than allowed" in answer.json()["status"]["error"]


def test_what_is_not_there_is_not_found(engine: EngineProcess, client: QdrantClient) -> None:
    for call in (
        lambda: client.get_collection("nope"),
        lambda: client.count("nope"),
        lambda: client.upsert("nope", [point(1, [1, 0, 0, 0])]),
        lambda: client.query_points("nope", query=[1.0], using="v"),
    ):
        with pytest.raises(UnexpectedResponse, match="Collection `nope` doesn") as caught:
            call()
        assert caught.value.status_code == 404
    assert httpx.get(f"{engine.url}/telemetry", timeout=PATIENCE_S).status_code == 404


def test_a_web_page_is_turned_away(engine: EngineProcess) -> None:
    url = f"{engine.url}/collections"
    assert httpx.get(url, headers={"Origin": "http://evil.example"}, timeout=PATIENCE_S).status_code == 403
    assert httpx.get(url, headers={"Host": "evil.example"}, timeout=PATIENCE_S).status_code == 403
    assert httpx.get(url, timeout=PATIENCE_S).status_code == 200


def _create_alias(alias: str, collection: str) -> models.CreateAliasOperation:
    return models.CreateAliasOperation(
        create_alias=models.CreateAlias(collection_name=collection, alias_name=alias)
    )


def _delete_alias(alias: str) -> models.DeleteAliasOperation:
    return models.DeleteAliasOperation(delete_alias=models.DeleteAlias(alias_name=alias))


def _rename_alias(old: str, new: str) -> models.RenameAliasOperation:
    return models.RenameAliasOperation(
        rename_alias=models.RenameAlias(old_alias_name=old, new_alias_name=new)
    )


def _aliases(client: QdrantClient) -> dict[str, str]:
    return {a.alias_name: a.collection_name for a in client.get_aliases().aliases}


def _unit(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))
