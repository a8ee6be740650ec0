"""What a sentence denies: findings that are not there, organs that are absent.

Source:
    Chapman et al., "A Simple Algorithm for Identifying Negated Findings and Diseases in Discharge
    Summaries", J. Biomed. Inform. 2001 (NegEx: triggers before and after, pseudo-triggers, a scope that a
    conjunction ends); Harkema et al., "ConText", J. Biomed. Inform. 2009 (a scope runs to the end of the
    sentence); Deléger and Grouin, "Detecting Negation of Medical Problems in French Clinical Notes",
    IHI 2012 (the method carried over to French). The triggers are our own selection.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from inference.words import Word, folded


def _phrases(text: str) -> tuple[tuple[str, ...], ...]:
    phrases = {tuple(folded(phrase).split()) for phrase in text.split("|")}
    return tuple(sorted(phrases, key=len, reverse=True))


def _words(text: str) -> frozenset[str]:
    return frozenset(folded(text).split())


_PSEUDO: Final = _phrases(
    "no change|no changes|no significant change|no interval change|no increase|not only|no longer only"
    "|not certain if|not certain whether|without change|without difficulty|cannot exclude|not excluded"
    "|cannot be excluded|not ruled out|pas de changement|pas de modification|sans changement"
    "|sans modification|pas seulement|non exclu|non exclue|ne peut être exclu|ne peut être exclue"
    "|pas exclu|pas exclue|sans injection|non injecté|without contrast|no contrast|sans produit de contraste"
)
_BEFORE: Final = _phrases(
    "no|not|without|absence of|lack of|free of|negative for|rather than|neither|nor|denies|never|resolved"
    "|fails to show|no evidence of|no sign of|no signs of|ruled out for|pas|pas de|pas d|sans|absence de"
    "|absence d|aucun|aucune|ni|jamais|indemne de|indemnes de|négatif pour|disparition de|disparition du"
    "|disparition d"
)
_AFTER: Final = _phrases(
    "not seen|not identified|not visualized|not visualised|not demonstrated|not present|not evident"
    "|not detected|not found|not appreciated|absent|is ruled out|are ruled out|was ruled out"
    "|has been ruled out|is excluded|are excluded|unlikely|has resolved|have resolved|non vu|non vue"
    "|non vus|non vues|non visible|non visibles|non retrouvé|non retrouvée|non retrouvés|non retrouvées"
    "|non décelé|non décelée|absente|absents|absentes|exclu|exclue|a disparu|ont disparu|non visualisé"
    "|non visualisée|non visualisés|non visualisées|pas vu|pas vue|pas vus|pas vues|pas visible"
    "|pas visibles|pas retrouvé|pas retrouvée|pas visualisé|pas visualisée"
)
_JOINED_BEFORE: Final = _phrases("non")
_ENDING: Final = _phrases(
    "but|however|although|though|except|apart from|aside from|other than|which|secondary to|due to"
    "|with associated|there is|there are|mais|cependant|toutefois|hormis|en dehors de|en dehors d"
    "|excepté|sauf|lié à|secondaire à|il existe|on note|avec|with"
)
_MARKS: Final = (";", ":", ".")

_DETERMINERS: Final = _words(
    "the a an of any both either right left native visible identifiable definite normal le la les l un une "
    "des du de d droit droite gauche deux"
)
_SIDES: Final = _words("left right gauche droit droite")
_COPULA: Final = _words(
    "is are was were has have been be not surgically congenitally clearly well definitely completely again "
    "est sont etait etaient a ont ete n ne chirurgicalement right left on the both droit droite gauche au "
    "aux"
)
_GONE: Final = _phrases(
    "absent|not seen|not visualized|not visualised|not identified|not visible|nonvisualized|non visualized"
    "|non visualised|not present|removed|resected|surgically absent|obscured|not demonstrated|absente"
    "|absents|absentes|non vu|non vue|non vus|non vues|non visible|non visibles|non visualisé"
    "|non visualisée|non visualisés|non visualisées|pas vu|pas vue|pas vus|pas vues|pas visible"
    "|pas visibles|pas visualisé|pas visualisée|non explorable|non explorée|non exploré|pas explorable"
    "|réséqué|réséquée|enlevé|enlevée|masqué|masquée"
)
_LACKING: Final = _phrases(
    "absence of|agenesis of|aplasia of|absent|missing|removal of|resection of|no|nonvisualization of"
    "|non visualization of|absence de|absence d|agénésie de|agénésie du|agénésie d|aplasie de"
    "|ablation de|ablation du|résection de|résection du|pas de|pas d|sans|aucun|aucune|non visualisation de"
)
_AFTER_AN_ABSENT_ORGAN: Final = _words(
    "is was are were seen identified visualized visualised visible present in on at due because after since "
    "and vu vue visible visualise visualisee dans sur en apres et"
) | frozenset(",;.():")
_PLANNED: Final = _words(
    "for before planned scheduled awaiting consider considered considering recommend recommended candidate "
    "elective future avant pour prevue prevu programmee envisagee discuter bilan"
)
_PARTIAL: Final = _words(
    "partial subtotal segmental hemi limited sparing partielle partiel segmentaire subtotale"
)
_NEAR: Final = 4


@dataclass(frozen=True, slots=True)
class Negations:
    """The places of a sentence's words that are denied."""

    denied: frozenset[int]

    @classmethod
    def of(cls, words: tuple[Word, ...]) -> Negations:
        """Find the triggers of a sentence and what they reach."""
        plain = tuple(word.folded for word in words)
        blocked = _places(plain, _PSEUDO)
        stops = _places(plain, _ENDING) | {place for place, word in enumerate(plain) if word in _MARKS}
        denied: set[int] = set()
        place = 0
        while place < len(plain):
            if place in blocked:
                place += 1
                continue
            after = _at(plain, place, _AFTER)
            before = _at(plain, place, _BEFORE)
            if after:
                denied.update(_backward(place, stops))
            elif before:
                denied.update(_forward(place + before, len(plain), stops))
            elif _at(plain, place, _JOINED_BEFORE):
                denied.add(place + 1)
            place += max(after, before, 1)
        return cls(frozenset(denied))


def is_denied(negations: Negations, first: int, end: int) -> bool:
    """Whether the words from `first` to before `end` are denied."""
    return any(place in negations.denied for place in range(first, end))


def is_absent(
    words: tuple[Word, ...], first: int, end: int, findings: Sequence[tuple[int, int]] = ()
) -> bool:
    """Whether the organ named by the words from `first` to before `end` is said to be absent or unseen.

    "No spleen seen" and "vésicule non vue" say so; "no splenic lesion" and "no hydronephrosis" deny a
    finding, not the organ. `findings` are the places of findings, from the first word to before the end.
    """
    plain = tuple(word.folded for word in words)
    after = end
    while after < len(plain) and plain[after] in _COPULA:
        if _at(plain, after, _GONE):
            break
        after += 1
    if _at(plain, after, _GONE):
        return True
    follower = next((word for word in plain[end:] if word not in _SIDES), ".")
    if follower not in _AFTER_AN_ABSENT_ORGAN or any(
        start <= end and finish > first for start, finish in findings
    ):
        return False
    before = first
    while before > 0 and plain[before - 1] in _DETERMINERS and not _ends_at(plain, before, _LACKING):
        before -= 1
    return _ends_at(plain, before, _LACKING)


def is_planned_or_partial(words: tuple[Word, ...], first: int, end: int) -> bool:
    """Whether an operation is still to come, or leaves a part of the organ."""
    near = {word.folded for word in words[max(0, first - _NEAR) : end + 1]}
    return bool(near & (_PLANNED | _PARTIAL))


def _at(plain: tuple[str, ...], place: int, phrases: tuple[tuple[str, ...], ...]) -> int:
    """The length of the longest phrase that begins at a place; 0 when none does."""
    return next((len(phrase) for phrase in phrases if plain[place : place + len(phrase)] == phrase), 0)


def _ends_at(plain: tuple[str, ...], end: int, phrases: tuple[tuple[str, ...], ...]) -> bool:
    return any(
        plain[end - len(phrase) : end] == phrase for phrase in phrases if len(phrase) <= end
    ) and not any(
        plain[max(0, end - len(p)) : end] == p or plain[end - 1 : end - 1 + len(p)] == p for p in _PSEUDO
    )


def _places(plain: tuple[str, ...], phrases: tuple[tuple[str, ...], ...]) -> set[int]:
    found: set[int] = set()
    for place in range(len(plain)):
        found.update(range(place, place + _at(plain, place, phrases)))
    return found


def _forward(first: int, end: int, stops: set[int]) -> range:
    return range(first, min((stop for stop in stops if stop >= first), default=end))


def _backward(end: int, stops: set[int]) -> range:
    return range(max((stop + 1 for stop in stops if stop < end), default=0), end)
