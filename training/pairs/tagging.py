"""Which sentences of a report speak of which organ."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from evaluation.lexicon import Lexicon
from evaluation.negation import is_absent
from inference.sentences import Language, language_of, sentences_of
from inference.words import words_of
from training.errors import TrainingError

Level = Literal["organ", "region"]
# UMLS semantic types: body part, organ or organ component; body location or region; body space or junction.
_ANATOMY = frozenset({"T023", "T029", "T030"})


class Tagger(Protocol):
    """Finds the organs that a sentence speaks of."""

    def organs_of(self, sentence: str, language: Language) -> frozenset[str]:
        """Organs by name or concept id, without those that are said to be absent."""
        ...


@dataclass(frozen=True, slots=True)
class LexiconTagger:
    """The package's own lexicon, or the user's; at the level of regions where organs are too fine."""

    lexicon: Lexicon
    level: Level = "organ"

    def organs_of(self, sentence: str, language: Language) -> frozenset[str]:
        """Organs, or the regions that they lie in; an organ of no one region names none."""
        organs = self.lexicon.organs_of(sentence, language)
        if self.level == "organ":
            return organs
        return frozenset(region for organ in organs if (region := self.lexicon.regions.get(organ, "")))


class QuickUmlsTagger:
    """UMLS concepts by QuickUMLS, for a user who has a UMLS licence and has built its index.

    Not tested: UMLS may not be redistributed, so no test has an index. Organs are named by their CUI.

    Source:
        Soldaini and Goharian, "QuickUMLS: a Fast, Unsupervised Approach for Medical Concept Extraction",
        MedIR workshop, SIGIR 2016.
    """

    def __init__(self, index: str, threshold: float = 0.8) -> None:
        """Open an index that `python -m quickumls.install` built.

        Raises:
            TrainingError: the package quickumls is not installed, or the index cannot be opened.
        """
        try:
            quickumls: Any = importlib.import_module("quickumls")
        except ImportError as error:
            raise TrainingError(
                "The package quickumls is not installed: pip install quickumls, or take the lexicon."
            ) from error
        try:
            self._matcher: Any = quickumls.QuickUMLS(index, threshold=threshold, accepted_semtypes=_ANATOMY)
        except OSError as error:
            raise TrainingError(f"QuickUMLS cannot open the index {index}.") from error

    def organs_of(self, sentence: str, language: Language) -> frozenset[str]:
        """CUIs of anatomical concepts, those that are said to be absent left out."""
        words = words_of(sentence)
        found: set[str] = set()
        for candidates in self._matcher.match(sentence, best_match=True, ignore_syntax=False):
            best = candidates[0]
            first = len(words_of(sentence[: best["start"]]))
            if not is_absent(words, first, first + len(words_of(best["ngram"]))):
                found.add(str(best["cui"]))
        return frozenset(found)


def tagged_sentences(report: str, tagger: Tagger) -> dict[str, tuple[str, ...]]:
    """The sentences of a report that speak of each organ, in the report's order.

    A sentence that names no organ speaks of those of the heading that it stands under ("Liver: normal
    size."). What stands under "Indication", "Technique" and the like describes no image and is left out.
    """
    language = language_of(report)
    tagged: dict[str, list[str]] = {}
    for sentence in sentences_of(report):
        if not sentence.describes:
            continue
        own = tagger.organs_of(sentence.text, language)
        if not own and not _names_an_absent_organ(sentence.text, language, tagger):
            own = tagger.organs_of(sentence.heading, language)
        for organ in sorted(own):
            if sentence.text not in tagged.setdefault(organ, []):
                tagged[organ].append(sentence.text)
    return {organ: tuple(sentences) for organ, sentences in tagged.items()}


def _names_an_absent_organ(text: str, language: Language, tagger: Tagger) -> bool:
    """Whether a sentence's silence is about an organ that is gone: "Gallbladder: cholecystectomy."."""
    if not isinstance(tagger, LexiconTagger):
        return False
    kinds = {mention.kind for mention in tagger.lexicon.mentions(text, language)}
    words = words_of(text)
    return bool(kinds & {"organ", "removal"}) or is_absent(words, 0, 0)
