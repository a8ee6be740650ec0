"""One score a study out of what its series, its reports and the chosen cases say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, pstdev
from typing import Final

from indexer.search.clues import Role
from indexer.search.polling import Poll

MORE_WEIGHT: Final = 1.0
LESS_WEIGHT: Final = 0.5
"""Of chosen cases, beside 1 for the example.

Source: J. Rocchio, Relevance feedback in information retrieval, 1971, with late interaction in the place
of the moved vector. One round of up to three cases each, precision at 10 of what was not chosen, with the
default encoder and 300 questions a set: MedPix modality and body part .575 > .669, LGG sequence .649 > .770,
COVID view .613 > .727, pneumonia .802 > .844; half of either weight, or the nearest chosen case instead of
their mean, gained less on most sets. They were chosen among eleven settings on these same questions.
"""

FEWEST_STANDARDISED: Final = 5
"""Scores of fewer studies are compared as they are: they have no spread worth the name."""

Scores = Mapping[str, float]
"""Of studies, by Study Instance UID."""


@dataclass(frozen=True, slots=True)
class Fused:
    """The score of each study, and the studies whose report answers the text best.

    What was standardised may lie a little beyond [-1, 1], where it still tells which study is nearer.
    """

    scores: Scores
    by_report: frozenset[str]


def fused(
    polls: Sequence[Poll], reports: Sequence[Poll], studies: Collection[str], text_weight: float
) -> Fused:
    """Fuse what was polled of these studies; a poll has a vote for each that holds something for it.

    Of a study that was not completed yet, the score is what it may be at most, as far as is known.

    Of one role the votes are averaged over the clues, and those of the archive's reports over the texts
    that they are compared with. The words of a report and the pixels of an image
    are alike to a text on two scales, and what is alike to a text and to an example are two more: the scores
    of the reports are brought to the mean and spread of those of the images, and the text's to the
    example's, or to those of the chosen cases where there is no example.
    """
    means: dict[Role, Scores] = {
        role: _means([poll for poll in polls if poll.clue.role == role], studies)
        for role in ("example", "more", "less", "text")
    }
    written: Scores = _means(reports, studies)
    images = means["text"]
    if min(len(written), len(images)) >= FEWEST_STANDARDISED:
        written = standardised(written, images.values())
    text: Scores = {
        uid: max(images.get(uid, -1.0), written.get(uid, -1.0)) for uid in images.keys() | written.keys()
    }
    by_report = frozenset(uid for uid, score in written.items() if score > images.get(uid, -1.0))
    pictured = means["example"] or means["more"]
    if text and pictured:
        text = standardised(text, pictured.values())
    means["text"] = text
    return Fused({uid: _score(uid, means, text_weight) for uid in studies}, by_report)


def standardised(scores: Scores, like: Iterable[float]) -> dict[str, float]:
    """The scores moved and stretched to the mean and the spread of others.

    Source:
        z-score normalisation of A. Jain et al., Score normalization in multimodal biometric systems,
        Pattern Recognition, 2005, on the scale of one of the two.
    """
    if not scores:
        return {}
    targets = list(like)
    mean, spread = fmean(scores.values()), pstdev(scores.values())
    factor = pstdev(targets) / spread if spread > 1e-9 else 0.0
    return {uid: fmean(targets) + (score - mean) * factor for uid, score in scores.items()}


def _means(polls: Sequence[Poll], studies: Collection[str]) -> dict[str, float]:
    found: dict[str, list[float]] = {}
    for poll in polls:
        for uid, score in _scores(poll, studies).items():
            found.setdefault(uid, []).append(score)
    return {uid: fmean(scores) for uid, scores in found.items()}


def _scores(poll: Poll, studies: Collection[str]) -> dict[str, float]:
    scores = {uid: poll.score_of(uid) for uid in studies}
    return {uid: score for uid, score in scores.items() if score is not None}


def _score(uid: str, means: Mapping[Role, Scores], text_weight: float) -> float:
    weights: dict[Role, float] = {"example": 1.0, "more": MORE_WEIGHT, "text": 1.0}
    if means["text"] and (means["example"] or means["more"]):
        pictured = weights["example"] * bool(means["example"]) + weights["more"] * bool(means["more"])
        weights = {role: weight * (1 - text_weight) / pictured for role, weight in weights.items()}
        weights["text"] = text_weight
    present = {role: weight for role, weight in weights.items() if uid in means[role]}
    total = sum(present.values())
    liked = sum(weight * means[role][uid] for role, weight in present.items()) / total if total else 0.0
    unlike = LESS_WEIGHT * max(0.0, means["less"].get(uid, 0.0))
    return liked - unlike
