"""One contract for every vector index: the fake, the embedded engine, the client's memory, a real server."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from qdrant_client import QdrantClient

from indexer.adapters.qdrant import QdrantIndex, collection_of
from indexer.domain import (
    Candidate,
    EncoderVersion,
    Filters,
    FrameReference,
    IndexedSeries,
    Scope,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import Rejected, VectorIndexUnavailable
from indexer.ports import VectorIndex
from tests.engine.process import EngineProcess
from tests.fakes.vector_index import FakeVectorIndex, max_sim

KINDS = ["fake", "memory", "engine", *(["server"] if os.environ.get("CBIR_TEST_QDRANT_URL") else [])]
DIMENSION = 8
ENCODER = EncoderVersion("contract", "a" * 64, DIMENSION)
OTHER_ENCODER = EncoderVersion("contract", "b" * 64, DIMENSION)
F16 = 2e-3
NO_FILTERS = Filters()
MR = "1.2.840.10008.5.1.4.1.1.4"

pytestmark = pytest.mark.filterwarnings(
    "ignore:Payload indexes have no effect in the local Qdrant:UserWarning"
)


@pytest.fixture(scope="module")
def open_index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], VectorIndex]]:
    """Opens an index by its kind; one engine process serves the whole module."""
    with ExitStack() as stack:
        running: dict[str, QdrantIndex] = {}

        def opened(kind: str) -> VectorIndex:
            if kind == "fake":
                return FakeVectorIndex()
            if kind == "memory":
                return QdrantIndex.over(QdrantClient(":memory:"))
            if kind not in running:
                url = _url(kind, tmp_path_factory.mktemp("engine"), stack)
                running[kind] = stack.enter_context(closing(QdrantIndex(url)))
            _emptied(running[kind])
            return running[kind]

        yield opened


def _url(kind: str, folder: Path, stack: ExitStack) -> str:
    if kind == "engine":
        return stack.enter_context(EngineProcess(folder / "data")).url
    return os.environ["CBIR_TEST_QDRANT_URL"]


def _emptied(index: QdrantIndex) -> None:
    client = index._client
    for encoder in (ENCODER, OTHER_ENCODER):
        client.delete_collection(collection_of(encoder))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def index(kind: str, open_index: Callable[[str], VectorIndex]) -> VectorIndex:
    prepared = open_index(kind)
    prepared.prepare(ENCODER)
    return prepared


def rows(*given: Sequence[float]) -> Vector:
    """Unit rows; what is not given is zero."""
    array = np.zeros((len(given), DIMENSION), dtype=np.float32)
    for row, values in zip(array, given, strict=True):
        row[: len(values)] = values
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True), dtype=np.float32)


def series(
    study: str,
    *frames: Sequence[float],
    number: int = 1,
    attributes: SeriesAttributes | None = None,
    encoder: EncoderVersion = ENCODER,
) -> SeriesEmbedding:
    frame_vectors = rows(*(frames or [(1, 0)]))
    return SeriesEmbedding(
        reference=SeriesReference(study, f"{study}.{number}", f"orthanc-{study}-{number}"),
        attributes=attributes or SeriesAttributes("MR", "BRAIN", date(2020, 5, 17), f"hash-of-{study}"),
        encoder=encoder,
        frames=tuple(FrameReference(MR, f"{study}.{number}.{n}", 1) for n in range(len(frame_vectors))),
        vector=pooled(frame_vectors),
        frame_vectors=frame_vectors,
    )


def ask(
    index: VectorIndex,
    *frames: Sequence[float],
    limit: int = 10,
    scope: Scope | None = None,
    encoder: EncoderVersion = ENCODER,
) -> tuple[Candidate, ...]:
    question = rows(*(frames or [(1, 0)]))
    return index.nearest(encoder, pooled(question), question, limit=limit, scope=scope or Scope())


def studies(found: Sequence[Candidate]) -> list[str]:
    return [candidate.reference.study_instance_uid for candidate in found]


def test_the_nearest_comes_first(index: VectorIndex) -> None:
    index.upsert([series("1", (0, 1)), series("2", (1, 0)), series("3", (0.9, 0.1))])
    assert studies(ask(index)) == ["2", "3", "1"]


def test_the_own_study_is_never_found(index: VectorIndex) -> None:
    index.upsert([series("1", (1, 0)), series("1", (1, 0.1), number=2), series("2", (0.9, 0.1))])
    assert studies(ask(index, scope=Scope(not_study="1"))) == ["2"]


def test_the_same_patient_is_never_found(index: VectorIndex) -> None:
    index.upsert([series(study, (1, 0)) for study in ("1", "2")])
    assert studies(ask(index, scope=Scope(not_patient="hash-of-1"))) == ["2"]


def test_a_patient_that_is_not_known_is_not_the_same_patient(index: VectorIndex) -> None:
    index.upsert([series("1", attributes=SeriesAttributes("MR", "BRAIN"))])
    assert studies(ask(index, scope=Scope(not_patient="hash-of-1"))) == ["1"]


def test_a_patient_hashed_with_another_key_may_be_the_same_one_and_is_left_out(index: VectorIndex) -> None:
    patients = {"1": "new:a", "2": "new:b", "3": "old:c", "4": None}
    index.upsert([series(s, attributes=SeriesAttributes("MR", patient=p)) for s, p in patients.items()])
    assert studies(ask(index, scope=Scope(not_patient="new:a"))) == ["2", "4"]
    assert studies(ask(index, scope=Scope(not_patient="old:x"))) == ["3", "4"]
    assert studies(ask(index)) == ["1", "2", "3", "4"]


def test_the_series_of_other_keys_are_listed(index: VectorIndex) -> None:
    patients = {"1": "new:a", "2": "old:b", "3": "unnamed", "4": None}
    index.upsert([series(s, attributes=SeriesAttributes("MR", patient=p)) for s, p in patients.items()])
    assert set(index.hashed_otherwise(ENCODER, "new")) == {"orthanc-2-1", "orthanc-3-1"}
    assert set(index.hashed_otherwise(ENCODER, "newer")) == {"orthanc-1-1", "orthanc-2-1", "orthanc-3-1"}


def test_only_the_modalities_asked_for_are_found(index: VectorIndex) -> None:
    index.upsert([series(m, attributes=SeriesAttributes(m)) for m in ("MR", "CT", "US")])
    found = ask(index, scope=Scope(Filters(modality=("CT", "US"))))
    assert studies(found) == ["CT", "US"]


def test_only_the_body_parts_asked_for_are_found(index: VectorIndex) -> None:
    index.upsert([series(part, attributes=SeriesAttributes("MR", part)) for part in ("BRAIN", "KNEE", "")])
    assert studies(ask(index, scope=Scope(Filters(body_part_examined=("KNEE",))))) == ["KNEE"]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2019, 12, 31), date(2020, 1, 1), ["2019-12-31", "2020-01-01"]),
        (date(2020, 1, 1), None, ["2020-01-01", "2020-01-02"]),
        (None, date(2019, 12, 31), ["2019-12-31"]),
        (None, None, ["2019-12-31", "2020-01-01", "2020-01-02", "none"]),
    ],
)
def test_dates_are_inclusive_and_a_missing_date_is_in_no_period(
    index: VectorIndex, first: date | None, last: date | None, expected: list[str]
) -> None:
    days = ["2019-12-31", "2020-01-01", "2020-01-02"]
    index.upsert(
        [series(d, attributes=SeriesAttributes("MR", study_date=date.fromisoformat(d))) for d in days]
        + [series("none", attributes=SeriesAttributes("MR"))]
    )
    found = ask(index, scope=Scope(Filters(study_date_from=first, study_date_to=last)))
    assert studies(found) == expected


def test_all_filters_hold_together(index: VectorIndex) -> None:
    index.upsert(
        [
            series("1", attributes=SeriesAttributes("MR", "BRAIN", date(2020, 1, 1), "p")),
            series("2", attributes=SeriesAttributes("CT", "BRAIN", date(2020, 1, 1), "q")),
            series("3", attributes=SeriesAttributes("MR", "KNEE", date(2020, 1, 1), "q")),
            series("4", attributes=SeriesAttributes("MR", "BRAIN", date(2021, 1, 1), "q")),
            series("5", attributes=SeriesAttributes("MR", "BRAIN", date(2020, 1, 1), "q")),
            series("6", attributes=SeriesAttributes("MR", "BRAIN", date(2020, 1, 1), "q")),
        ]
    )
    filters = Filters(("MR",), ("BRAIN",), date(2020, 1, 1), date(2020, 12, 31))
    scope = Scope(filters, not_study="6", not_patient="p")
    assert studies(ask(index, scope=scope)) == ["5"]


def test_a_search_may_be_narrowed_to_some_studies(index: VectorIndex) -> None:
    index.upsert([series(str(n), (1, n)) for n in range(5)])
    assert studies(ask(index, scope=Scope(only_studies=("4", "2", "unknown")))) == ["2", "4"]


def test_narrowed_to_no_study_nothing_is_found(index: VectorIndex) -> None:
    index.upsert([series("1")])
    assert ask(index, scope=Scope(only_studies=())) == ()


def test_a_search_may_be_narrowed_to_one_patient(index: VectorIndex) -> None:
    patients = {"1": "key:a", "2": "key:b", "3": None, "4": "other:a", "5": "key:a"}
    index.upsert([series(s, attributes=SeriesAttributes("MR", patient=p)) for s, p in patients.items()])
    assert studies(ask(index, scope=Scope(only_patient="key:a"))) == ["1", "5"]
    assert studies(ask(index, scope=Scope(only_patient="key:a", not_study="1"))) == ["5"]


def test_the_studies_and_patients_of_chosen_cases_may_be_left_out(index: VectorIndex) -> None:
    patients = {"1": "key:a", "2": "key:b", "3": None, "4": "key:d", "5": "key:b"}
    index.upsert([series(s, attributes=SeriesAttributes("MR", patient=p)) for s, p in patients.items()])
    assert studies(ask(index, scope=Scope(not_studies=("2", "3")))) == ["1", "4", "5"]
    assert studies(ask(index, scope=Scope(not_study="1", not_studies=("2", "3")))) == ["4", "5"]
    assert studies(ask(index, scope=Scope(not_patients=("key:b", "key:d")))) == ["1", "3"]
    assert studies(ask(index, scope=Scope(not_patient="key:a", not_patients=("key:b",)))) == ["3", "4"]


def test_series_that_are_known_to_be_of_another_sequence_or_plane_are_left_out(index: VectorIndex) -> None:
    known = {
        "1": SeriesAttributes("MR", sequence="T1", plane="AXIAL"),
        "2": SeriesAttributes("MR", sequence="T2", plane="AXIAL"),
        "3": SeriesAttributes("MR", sequence="T1", plane="SAGITTAL"),
        "4": SeriesAttributes("MR", sequence="T1"),
        "5": SeriesAttributes("MR"),
    }
    index.upsert([series(study, attributes=attributes) for study, attributes in known.items()])
    assert studies(ask(index, scope=Scope(sequence="T1"))) == ["1", "3", "4", "5"]
    assert studies(ask(index, scope=Scope(plane="AXIAL"))) == ["1", "2", "4", "5"]
    assert studies(ask(index, scope=Scope(sequence="T1", plane="AXIAL"))) == ["1", "4", "5"]
    assert studies(ask(index)) == ["1", "2", "3", "4", "5"]


def test_reports_are_found_only_where_reports_are_asked_for(index: VectorIndex) -> None:
    index.upsert([series("1"), series("1", number=2, attributes=SeriesAttributes("SR", kind="report"))])
    index.upsert([series("2", attributes=SeriesAttributes("SR", kind="report"))])
    assert [c.reference.series_instance_uid for c in ask(index)] == ["1.1"]
    reports = ask(index, scope=Scope(kind="report"))
    assert [c.reference.series_instance_uid for c in reports] == ["1.2", "2.1"]
    assert {c.attributes.kind for c in reports} == {"report"}


def test_points_of_an_earlier_release_are_images_of_an_unknown_sequence(
    kind: str, index: VectorIndex
) -> None:
    index.upsert([series("1"), series("2", attributes=SeriesAttributes("MR", sequence="T2", plane="AXIAL"))])
    if isinstance(index, QdrantIndex):
        keys = ["sequence", "plane", "kind"]
        index._client.delete_payload(
            collection_of(ENCODER), keys=keys, points=[series("1").reference.point_id], wait=True
        )
    assert studies(ask(index, scope=Scope(sequence="T1", plane="AXIAL"))) == ["1"]
    assert ask(index, scope=Scope(kind="report")) == ()
    (found,) = ask(index, scope=Scope(only_studies=("1",)))
    assert (found.attributes.sequence, found.attributes.plane, found.attributes.kind) == ("", "", "image")


def test_a_study_counts_once_with_its_best_series(index: VectorIndex) -> None:
    index.upsert(
        [
            series("1", (0, 1), number=1),
            series("1", (1, 0), number=2),
            series("1", (1, 1), number=3),
            series("2", (1, 0.2)),
        ]
    )
    found = ask(index)
    assert [c.reference.series_instance_uid for c in found] == ["1.2", "2.1"]


def test_the_limit_is_honoured_where_few_studies_hold_very_many_series(index: VectorIndex) -> None:
    crowded = [series("crowded", (1, 0.0001 * n), number=n) for n in range(300)]
    index.upsert([*crowded, *(series(f"far-{n}", (0.1 + n, 10)) for n in range(7))])
    found = ask(index, limit=5)
    assert len(found) == 5
    assert studies(found)[0] == "crowded"
    assert studies(ask(index, limit=50))[0] == "crowded"
    assert len(ask(index, limit=50)) == 8


def test_a_limit_of_more_than_a_hundred_studies_is_honoured(index: VectorIndex) -> None:
    index.upsert([series(f"{n:03}", (1, 0.01 * n)) for n in range(150)])
    found = ask(index, limit=120)
    assert studies(found) == [f"{n:03}" for n in range(120)]


def test_a_score_is_max_sim_divided_by_the_frames_of_the_example(index: VectorIndex) -> None:
    rng = np.random.default_rng(5)
    stored = [series(str(n), *rng.normal(size=(1 + n % 6, DIMENSION)).tolist()) for n in range(30)]
    index.upsert(stored)
    question = rows(*rng.normal(size=(4, DIMENSION)).tolist())
    found = index.nearest(ENCODER, pooled(question), question, limit=30, scope=Scope())
    expected = {s.reference.study_instance_uid: max_sim(question, s.frame_vectors) for s in stored}
    assert {c.reference.study_instance_uid: c.score for c in found} == pytest.approx(expected, abs=F16)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)


def test_scores_stay_between_minus_one_and_one(index: VectorIndex) -> None:
    index.upsert([series("same", (1, 0), (0.6, 0.8)), series("opposite", (-1, 0))])
    found = {c.reference.study_instance_uid: c.score for c in ask(index, (1, 0))}
    assert found == pytest.approx({"same": 1.0, "opposite": -1.0}, abs=F16)
    assert all(-1 <= score <= 1 for score in found.values())


def test_a_candidate_has_the_reference_and_attributes_that_were_stored(index: VectorIndex) -> None:
    stored = series(
        "1",
        (1, 0),
        attributes=SeriesAttributes("CT", "CHEST", date(2024, 2, 29), "hash", "CONTRAST", "AXIAL"),
    )
    index.upsert([stored])
    (found,) = ask(index)
    assert (found.reference, found.attributes) == (stored.reference, stored.attributes)


def test_missing_attributes_come_back_missing(index: VectorIndex) -> None:
    stored = series("1", attributes=SeriesAttributes())
    index.upsert([stored])
    assert ask(index)[0].attributes == stored.attributes


def test_equal_scores_are_ordered_by_study(index: VectorIndex) -> None:
    index.upsert([series(f"{n:02}", (1, 0)) for n in (7, 3, 12, 9, 1)])
    assert studies(ask(index)) == ["01", "03", "07", "09", "12"]


def test_which_of_many_equals_are_shown_does_not_depend_on_chance(index: VectorIndex) -> None:
    order = np.random.default_rng(3).permutation(60)
    index.upsert([series("best", (1, 0, 0)), *(series(f"{n:02}", (1, 1, 0)) for n in order)])
    assert studies(ask(index, (1, 0, 0), limit=4)) == ["best", "00", "01", "02"]


def test_storing_twice_is_storing_once_and_the_last_one_counts(index: VectorIndex) -> None:
    index.upsert([series("1", (1, 0))])
    index.upsert([series("1", (0, 1), (1, 0))])
    assert list(index.archive_ids(ENCODER)) == ["orthanc-1-1"]
    (stored,) = index.embeddings_of(ENCODER, study_instance_uid="1")
    assert len(stored.frames) == 2
    assert ask(index, (0, 1))[0].score == pytest.approx(1, abs=F16)


def test_an_attribute_that_went_away_is_gone_after_storing_again(index: VectorIndex) -> None:
    index.upsert([series("1")])
    index.upsert([series("1", attributes=SeriesAttributes("MR"))])
    assert ask(index)[0].attributes == SeriesAttributes("MR")


def test_storing_nothing_is_no_error(index: VectorIndex) -> None:
    index.upsert([])
    assert list(index.archive_ids(ENCODER)) == []


def test_what_is_deleted_is_not_found(index: VectorIndex) -> None:
    index.upsert([series("1"), series("1", number=2), series("2")])
    index.delete(ENCODER, ["orthanc-1-1", "orthanc-1-2", "never-there"])
    assert studies(ask(index)) == ["2"]
    assert list(index.archive_ids(ENCODER)) == ["orthanc-2-1"]
    index.delete(ENCODER, [])


def test_what_is_forgotten_is_in_no_encoders_vectors(index: VectorIndex) -> None:
    other = replace(ENCODER, sha256="f" * 64)
    index.prepare(other)
    stored = [series("1"), series("2")]
    index.upsert(stored)
    index.upsert([replace(one, encoder=other) for one in stored])
    index.forget(["orthanc-1-1", "never-there"])
    assert list(index.archive_ids(ENCODER)) == ["orthanc-2-1"]
    assert list(index.archive_ids(other)) == ["orthanc-2-1"]


def test_an_embedding_comes_back_as_it_was_stored(index: VectorIndex) -> None:
    rng = np.random.default_rng(11)
    stored = series("1", *rng.normal(size=(5, DIMENSION)).tolist())
    index.upsert([stored])
    (found,) = index.embeddings_of(ENCODER, study_instance_uid="1")
    assert (found.reference, found.attributes, found.frames, found.encoder) == (
        stored.reference,
        stored.attributes,
        stored.frames,
        ENCODER,
    )
    assert found.vector == pytest.approx(stored.vector, abs=1e-6)
    assert found.frame_vectors == pytest.approx(stored.frame_vectors, abs=F16)
    assert np.linalg.norm(found.frame_vectors, axis=1) == pytest.approx(1, abs=1e-6)
    assert found.vector.dtype == found.frame_vectors.dtype == np.float32


def test_embeddings_are_found_by_study_series_and_instance(index: VectorIndex) -> None:
    index.upsert([series("1", (1, 0), (0, 1)), series("1", number=2), series("2")])

    def found(**named: str) -> set[str]:
        return {e.reference.archive_id for e in index.embeddings_of(ENCODER, **named)}

    assert found(study_instance_uid="1") == {"orthanc-1-1", "orthanc-1-2"}
    assert found(series_instance_uid="1.2") == {"orthanc-1-2"}
    assert found(sop_instance_uid="1.1.1") == {"orthanc-1-1"}
    assert found(study_instance_uid="9") == set()


def test_embeddings_of_nothing_named_are_refused(index: VectorIndex) -> None:
    with pytest.raises(Rejected):
        index.embeddings_of(ENCODER)


def test_a_study_of_many_series_comes_back_whole(index: VectorIndex) -> None:
    index.upsert([series("1", (1, n), number=n) for n in range(40)])
    assert len(index.embeddings_of(ENCODER, study_instance_uid="1")) == 40


def test_embeddings_are_given_by_archive_id_and_unknown_ones_left_out(index: VectorIndex) -> None:
    index.upsert([series(str(n)) for n in range(40)])
    wanted = [f"orthanc-{n}-1" for n in range(30)] + ["unknown", "orthanc-0-1"]
    found = index.embeddings_by_id(ENCODER, wanted)
    assert set(found) == set(wanted) - {"unknown"}
    assert all(e.reference.archive_id == archive_id for archive_id, e in found.items())
    assert index.embeddings_by_id(ENCODER, []) == {}


def test_what_is_indexed_is_given_without_vectors(index: VectorIndex) -> None:
    attributes = SeriesAttributes("CT", "CHEST", date(2024, 2, 29), "hash", "CONTRAST", "AXIAL")
    stored = series("1", (1, 0), (0, 1), attributes=attributes)
    index.upsert([stored, *(series(str(n)) for n in range(2, 40))])
    wanted = ["orthanc-1-1", "unknown", *(f"orthanc-{n}-1" for n in range(2, 30)), "orthanc-1-1"]
    found = index.indexed(ENCODER, wanted)
    assert set(found) == set(wanted) - {"unknown"}
    assert found["orthanc-1-1"] == IndexedSeries(stored.reference, attributes, stored.frames)
    assert index.indexed(ENCODER, []) == {}


def test_vectors_say_of_which_files_they_are(index: VectorIndex) -> None:
    stored = replace(series("1"), fingerprint="f" * 64)
    index.upsert([stored, series("2")])
    listed = list(index.fingerprints(ENCODER))
    assert sorted(listed) == [("orthanc-1-1", "f" * 64), ("orthanc-2-1", "")]
    ids = [archive_id for archive_id, _ in listed]
    for found in (index.indexed(ENCODER, ids), index.embeddings_by_id(ENCODER, ids)):
        assert {archive_id: found[archive_id].fingerprint for archive_id in ids} == dict(listed)
    index.upsert([replace(stored, fingerprint="e" * 64)])
    assert dict(index.fingerprints(ENCODER))["orthanc-1-1"] == "e" * 64
    assert {c.reference.archive_id for c in ask(index)} == set(ids)


def test_the_files_of_an_earlier_release_are_not_known(kind: str, index: VectorIndex) -> None:
    index.upsert([series("1") if kind == "fake" else replace(series("1"), fingerprint="f" * 64)])
    if isinstance(index, QdrantIndex):
        index._client.delete_payload(
            collection_of(ENCODER), keys=["fingerprint"], points=[series("1").reference.point_id], wait=True
        )
    assert list(index.fingerprints(ENCODER)) == [("orthanc-1-1", "")]
    assert index.indexed(ENCODER, ["orthanc-1-1"])["orthanc-1-1"].fingerprint == ""


def test_every_archive_id_is_listed_once(index: VectorIndex) -> None:
    index.upsert([series(f"{n}") for n in range(1100)])
    listed = list(index.archive_ids(ENCODER))
    assert sorted(listed) == sorted(f"orthanc-{n}-1" for n in range(1100))
    assert sorted(index.fingerprints(ENCODER)) == [(archive_id, "") for archive_id in sorted(listed)]


def test_a_sample_is_of_different_series_that_pass_the_filters(index: VectorIndex) -> None:
    index.upsert([series(f"{n}", (1, n), attributes=SeriesAttributes("MR", "BRAIN")) for n in range(60)])
    index.upsert([series(f"ct-{n}", attributes=SeriesAttributes("CT", "CHEST")) for n in range(7)])

    def drawn(limit: int, *, filters: Filters = NO_FILTERS, seed: int = 1) -> list[str]:
        return [e.reference.archive_id for e in index.sample(ENCODER, filters, limit=limit, seed=seed)]

    assert len(drawn(20)) == len(set(drawn(20))) == 20
    assert len(set(drawn(1000))) == 67
    ct = {f"orthanc-ct-{n}-1" for n in range(7)}
    assert set(drawn(50, filters=Filters(modality=("CT",)))) == ct
    assert set(drawn(50, filters=Filters(("CT",), ("CHEST",)))) == ct
    assert drawn(50, filters=Filters(modality=("US",))) == []


def test_a_sample_is_the_same_for_a_seed_and_another_for_another(index: VectorIndex) -> None:
    index.upsert([series(f"{n}", (1, n)) for n in range(60)])
    drawn = [
        frozenset(e.reference.archive_id for e in index.sample(ENCODER, NO_FILTERS, limit=10, seed=seed))
        for seed in (1, 1, *range(2, 120))
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn)) > 10
    assert len(frozenset[str]().union(*drawn)) == 60  # nobody is never drawn


def test_a_sample_comes_with_its_vectors(index: VectorIndex) -> None:
    stored = series("1", (1, 0), (0, 1))
    index.upsert([stored])
    (found,) = index.sample(ENCODER, NO_FILTERS, limit=3, seed=5)
    assert (found.reference, found.attributes, found.frames) == (
        stored.reference,
        stored.attributes,
        stored.frames,
    )
    assert found.frame_vectors == pytest.approx(stored.frame_vectors, abs=F16)


def test_reports_are_in_no_sample(index: VectorIndex) -> None:
    report = SeriesAttributes("SR", patient="hash-of-2", kind="report")
    index.upsert([series("1"), series("2", attributes=report)])
    found = index.sample(ENCODER, NO_FILTERS, limit=5, seed=0)
    assert [e.reference.study_instance_uid for e in found] == ["1"]


def test_vectors_of_two_encoders_never_meet(index: VectorIndex) -> None:
    index.prepare(OTHER_ENCODER)
    index.upsert([series("1"), series("2", encoder=OTHER_ENCODER)])
    assert studies(ask(index)) == ["1"]
    assert studies(ask(index, encoder=OTHER_ENCODER)) == ["2"]
    index.delete(OTHER_ENCODER, ["orthanc-1-1"])
    assert studies(ask(index)) == ["1"]


def test_preparing_again_loses_nothing(index: VectorIndex) -> None:
    index.upsert([series("1")])
    index.prepare(ENCODER)
    assert studies(ask(index)) == ["1"]


def test_asking_where_nothing_is_stored_finds_nothing(index: VectorIndex) -> None:
    assert ask(index) == ()


def test_an_encoder_that_was_not_prepared_is_an_index_to_ask_later(
    kind: str, index: VectorIndex, request: pytest.FixtureRequest
) -> None:
    if kind == "memory":
        reason = "the client's memory raises a bare ValueError where a server answers 404"
        request.applymarker(pytest.mark.xfail(raises=ValueError, strict=True, reason=reason))
    with pytest.raises(VectorIndexUnavailable):
        ask(index, encoder=OTHER_ENCODER)


BAD = {
    "not a number": np.full((1, DIMENSION), np.nan, dtype=np.float32),
    "infinite": np.full((1, DIMENSION), np.inf, dtype=np.float32),
    "zero": np.zeros((1, DIMENSION), dtype=np.float32),
    "too short": np.ones((1, DIMENSION - 1), dtype=np.float32),
    "too long": np.ones((1, DIMENSION + 1), dtype=np.float32),
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD.keys())
def test_a_vector_without_direction_or_of_another_size_is_refused(index: VectorIndex, bad: Vector) -> None:
    good = series("1")
    spoilt = [
        SeriesEmbedding(good.reference, good.attributes, ENCODER, good.frames, bad[0], good.frame_vectors),
        SeriesEmbedding(good.reference, good.attributes, ENCODER, good.frames, good.vector, bad),
    ]
    for embedding in spoilt:
        with pytest.raises(Rejected):
            index.upsert([series("2"), embedding])
    with pytest.raises(Rejected):
        index.nearest(ENCODER, bad[0], good.frame_vectors, limit=1, scope=Scope())
    with pytest.raises(Rejected):
        index.nearest(ENCODER, good.vector, bad, limit=1, scope=Scope())
    assert list(index.archive_ids(ENCODER)) == []


def test_a_large_study_is_stored_in_several_requests(index: VectorIndex) -> None:
    wide = EncoderVersion("contract", "b" * 64, 1024)
    index.prepare(wide)
    rng = np.random.default_rng(2)
    frames = rng.normal(size=(200, 1024)).astype(np.float32)
    frames /= np.linalg.norm(frames, axis=1, keepdims=True)
    references = tuple(FrameReference(MR, f"1.{n}", 1) for n in range(200))
    index.upsert(
        [
            SeriesEmbedding(
                SeriesReference("1", f"1.{n}", f"orthanc-{n}"),
                SeriesAttributes("MR"),
                wide,
                references,
                pooled(frames),
                frames,
            )
            for n in range(10)
        ]
    )
    assert len(list(index.archive_ids(wide))) == 10


def test_a_dropped_encoder_leaves_the_others_and_can_be_begun_anew(kind: str, index: VectorIndex) -> None:
    index.prepare(OTHER_ENCODER)
    index.upsert([series("1"), series("2", encoder=OTHER_ENCODER)])
    index.activate(OTHER_ENCODER)
    index.activate(ENCODER)
    index.drop(OTHER_ENCODER)
    index.drop(OTHER_ENCODER)
    assert list(index.archive_ids(ENCODER)) == [series("1").reference.archive_id]
    if kind != "memory":  # which raises a bare ValueError, as above
        with pytest.raises(VectorIndexUnavailable):
            index.upsert([series("2", encoder=OTHER_ENCODER)])
    index.prepare(OTHER_ENCODER)
    assert list(index.archive_ids(OTHER_ENCODER)) == []
