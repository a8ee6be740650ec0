"""Percentages tell how rare a likeness is; a refusal needs that nothing speaks for the example."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from indexer.domain import (
    Candidate,
    EncoderVersion,
    FrameReference,
    SeriesAttributes,
    SeriesEmbedding,
    SeriesReference,
    Vector,
    pooled,
)
from indexer.errors import NotFound, NotIndexed, Rejected, Unsupported
from indexer.ledger import Background, State
from indexer.search.clues import Clue
from indexer.search.judging import REFUSED, Judge
from indexer.search.knowing import Known
from indexer.search.polling import Vote
from indexer.search.ranking import RankedStudy

DIMENSION = 4
ENCODER = EncoderVersion("small", "a" * 64, DIMENSION)
BRAIN = SeriesAttributes("MR", "BRAIN")
CHEST = SeriesAttributes("CR", "CHEST")
KNOWN = Known(np.eye(1, DIMENSION, dtype=np.float32), least=0.6, close=0.5)
INSIDE, OUTSIDE = (1.0, 0.2, 0.0, 0.0), (0.1, 0.0, 1.0, 0.0)


def unit(*rows: Sequence[float]) -> Vector:
    array = np.array(rows, dtype=np.float32)
    return np.asarray(array / np.linalg.norm(array, axis=1, keepdims=True), dtype=np.float32)


def series(*frames: Sequence[float], attributes: SeriesAttributes = BRAIN, uid: str = "1") -> SeriesEmbedding:
    vectors = unit(*frames)
    return SeriesEmbedding(
        reference=SeriesReference("1", f"1.{uid}", f"orthanc-{uid}"),
        attributes=attributes,
        encoder=ENCODER,
        frames=tuple(FrameReference("1.2", f"1.{uid}.{n}", 1) for n in range(len(vectors))),
        vector=pooled(vectors),
        frame_vectors=vectors,
    )


def found(
    example: SeriesEmbedding, *scores: float, attributes: SeriesAttributes = BRAIN
) -> tuple[RankedStudy, ...]:
    """Studies that were found for a series, with these scores."""
    return tuple(
        RankedStudy(
            score,
            (
                Vote(
                    Clue("example", example),
                    Candidate(SeriesReference(f"9.{n}", f"9.{n}.1", f"near-{n}"), attributes, score),
                ),
            ),
        )
        for n, score in enumerate(scores)
    )


def background(
    low: float, high: float, *, pairs: int = 1000, nearest: tuple[float, float] = (0.8, 0.95)
) -> Background:
    """Pairs evenly spread between two scores, and nearest neighbours as well."""
    return Background(
        "",
        "",
        pairs,
        np.linspace(low, high, 101, dtype=np.float32),
        np.linspace(*nearest, 50, dtype=np.float32),
    )


def judge(given: Background | None = None, known: Known | None = None) -> Judge:
    return Judge(background=lambda *_: given, known=lambda _: known)


@pytest.mark.parametrize(
    ("score", "percent"), [(-0.5, 0.0), (0.0, 0.0), (0.25, 25.0), (0.505, 50.5), (0.99, 99.0)]
)
def test_a_percentage_is_the_share_of_pairs_that_are_less_alike(score: float, percent: float) -> None:
    assert judge(background(0.0, 1.0)).percent(ENCODER, BRAIN, score) == pytest.approx(percent, abs=1e-4)


def test_of_n_pairs_none_that_was_more_alike_says_no_more_than_one_in_n_and_one() -> None:
    for pairs in (100, 20_000):
        percent = judge(background(0.0, 0.5, pairs=pairs)).percent(ENCODER, BRAIN, 0.9)
        assert percent == pytest.approx(100 * pairs / (pairs + 1))
        assert percent is not None
        assert percent < 100


def test_a_likeness_that_many_pairs_share_is_not_counted_as_less_alike() -> None:
    same = np.array([0.1, 0.1, 0.1, 0.1, 0.9], dtype=np.float32)
    shared = Background("", "", 500, same, same)
    assert judge(shared).percent(ENCODER, BRAIN, 0.1) == 0.0


def test_a_percentage_grows_with_the_score() -> None:
    rng = np.random.default_rng(3)
    scores = np.sort(rng.beta(2, 5, 1001)).astype(np.float32)
    told = judge(Background("", "", 20_000, scores, scores))
    percents = [told.percent(ENCODER, BRAIN, score) for score in np.linspace(-1, 1, 200)]
    assert percents == sorted(p for p in percents if p is not None)


def test_without_enough_pairs_there_is_no_percentage() -> None:
    empty = np.zeros(0, dtype=np.float32)
    assert judge(None).percent(ENCODER, BRAIN, 0.9) is None
    assert judge(Background("", "", 0, empty, empty)).percent(ENCODER, BRAIN, 0.9) is None


def test_the_background_is_asked_for_by_encoder_modality_and_body_part() -> None:
    asked = []

    def remember(*key: object) -> None:
        asked.append(key)

    Judge(background=remember).percent(ENCODER, CHEST, 0.5)
    assert asked == [(ENCODER, "CR", "CHEST")]


def test_an_example_that_the_encoder_knows_is_answered_however_far_the_others_are() -> None:
    inside = series(INSIDE)
    assert judge(known=KNOWN).of_ranked([inside], found(inside, 0.1)) is None
    assert judge(known=KNOWN).of_ranked([inside], ()) is None


def test_an_outsider_is_refused_where_nothing_is_indexed_and_where_nothing_is_like_it() -> None:
    outside = series(OUTSIDE)
    for ranked in ((), found(outside, 0.3, 0.2)):
        refused = judge(known=KNOWN).of_ranked([outside], ranked)
        assert refused is not None
        assert refused.reason == "unknown_to_encoder"
        assert "small" in refused.message


def test_an_outsider_that_is_at_home_in_this_archive_is_answered() -> None:
    outside = series(OUTSIDE)
    assert judge(known=KNOWN).of_ranked([outside], found(outside, 0.97)) is None
    assert judge(background(0.2, 0.9), KNOWN).of_ranked([outside], found(outside, 0.9)) is None


def test_a_neighbour_that_is_no_nearer_than_noise_does_not_make_an_outsider_at_home() -> None:
    noisy = replace(KNOWN, outside=unit((0.7, 0.7, 0.0, 0.0)))
    noise = series((0.72, 0.7, 0.0, 0.0))
    assert judge(known=noisy).of_ranked([noise], found(noise, 0.7)) is not None
    assert judge(known=noisy).of_ranked([noise], found(noise, 1.0)) is None


def test_what_is_nearer_to_noise_than_to_what_is_known_is_an_outsider() -> None:
    noisy = replace(KNOWN, outside=unit((0.7, 0.7, 0.0, 0.0)))
    between = series((1.0, 0.8, 0.0, 0.0))
    assert judge(known=KNOWN).of_ranked([between], ()) is None
    assert judge(known=noisy).of_ranked([between], ()) is not None
    assert judge(known=noisy).of_ranked([series(INSIDE)], ()) is None


def test_a_series_is_an_outsider_when_most_of_its_frames_are() -> None:
    assert judge(known=KNOWN).of_ranked([series(INSIDE, INSIDE, OUTSIDE)], ()) is None
    assert judge(known=KNOWN).of_ranked([series(INSIDE, OUTSIDE, OUTSIDE)], ()) is not None


def test_a_study_is_answered_when_one_of_its_series_can_be() -> None:
    outside, inside = series(OUTSIDE, uid="2"), series(INSIDE, uid="3")
    assert judge(known=KNOWN).of_ranked([outside, inside], ()) is None
    assert judge(known=KNOWN).of_ranked([outside, replace(outside)], ()) is not None


def test_a_best_match_that_is_farther_than_random_pairs_is_refused() -> None:
    example = series(INSIDE)
    refused = judge(background(0.4, 0.9)).of_ranked([example], found(example, 0.3))
    assert refused is not None
    assert refused.reason == "no_nearer_than_chance"
    assert judge(background(0.4, 0.9)).of_ranked([example], found(example, 0.5)) is None


def test_a_best_match_is_held_against_the_nearest_neighbours_of_the_archive_too() -> None:
    example = series(INSIDE)
    spread = background(0.4, 0.9, nearest=(0.2, 0.95))  # here some series stand far from all others
    assert judge(spread).of_ranked([example], found(example, 0.3)) is None


def test_too_few_neighbours_refuse_nobody() -> None:
    example = series(INSIDE)
    few = replace(background(0.4, 0.9), nearest=np.full(5, 0.9, dtype=np.float32))
    assert judge(few).of_ranked([example], found(example, 0.1)) is None


def test_a_known_example_is_refused_by_chance_only_where_another_kind_of_image_is_all_there_is() -> None:
    example = series(INSIDE, attributes=CHEST)
    told = judge(background(0.4, 0.9), KNOWN)
    assert told.of_ranked([example], found(example, 0.1, attributes=CHEST)) is None
    assert told.of_ranked([example], found(example, 0.1, attributes=SeriesAttributes("CR"))) is None
    refused = told.of_ranked([example], found(example, 0.1, attributes=BRAIN))
    assert refused is not None
    assert refused.reason == "no_nearer_than_chance"


def test_nothing_is_refused_where_nothing_is_known() -> None:
    example = series(OUTSIDE)
    assert Judge().of_ranked([example], found(example, -0.5)) is None
    assert Judge().of_ranked([], ()) is None


@pytest.mark.parametrize("reason", sorted(REFUSED))
def test_what_was_understood_and_cannot_be_compared_is_refused_with_what_to_do(reason: str) -> None:
    refused = Judge().refusal_of(Rejected("Technical words.", reason=reason))
    assert refused is not None
    assert refused.reason == reason
    assert refused.message.endswith(".")
    assert "Ask with" in refused.message or "ask with" in refused.message


@pytest.mark.parametrize(
    "error",
    [NotFound("No such study."), Rejected("No DICOM.", reason="not_dicom"), Unsupported("A report.")],
)
def test_an_error_of_the_asker_stays_an_error(error: Rejected) -> None:
    assert Judge().refusal_of(error) is None


def test_an_archived_example_is_refused_for_good_reasons_and_asked_for_again_while_it_waits() -> None:
    told: Mapping[str, bool] = {State.SKIPPED: True, State.FAILED: True, State.WAITING: False}
    for state, refused in told.items():
        error = NotIndexed("1.2.3 is not indexed.", state=state, reason="blank_frame")
        assert (Judge().refusal_of(error) is not None) is refused
