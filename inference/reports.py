"""Reports of an archive: their text, and of it what tells what is seen, without the names in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset

from indexer.answers.identity import is_own_answer
from indexer.errors import Rejected, Unsupported
from inference.attributes import HeaderAttributes, attributes_of
from inference.content_tree import MAX_ITEMS, content_text
from inference.encapsulated import document_text
from inference.limits import Limits
from inference.reading import Identity, InstanceFile, identity_of, open_whole, text_of
from inference.sentences import Sentence, sentences_of
from inference.words import folded

MAX_REPORT_BYTES: Final = 16 * 2**20
MAX_CHARACTERS: Final = 100_000
STRUCTURED_REPORT: Final = "1.2.840.10008.5.1.4.1.1.88."
ENCAPSULATED: Final = "1.2.840.10008.5.1.4.1.1.104."

_NOT_WRITTEN: Final = frozenset(
    STRUCTURED_REPORT + number
    for number in ("40", "50", "59", "65", "67", "68", "69", "70", "71", "72", "73", "74", "75", "76", "77")
)
"""Logs, computer-aided detection, key objects, dose, plans, measurements: without prose."""
_NO_DOCUMENTS: Final = frozenset(ENCAPSULATED + number for number in ("3", "4", "5"))
"""Models for printing (STL, OBJ, MTL)."""

_TOLD_FIRST: Final = frozenset(
    ("impression", "impressions", "conclusion", "conclusions", "summary", "opinion", "synthese", "au total")
)
_SEEN: Final = _TOLD_FIRST.union(
    ("findings", "finding", "results", "result", "resultats", "resultat", "interpretation", "description"),
    ("constatations", "constatation", "observations", "observation", "report", "compte rendu"),
)
_TITLED: Final = re.compile(
    r"\b(?:Drs?|Docteurs?|Doctor|Pr|Prof|Professeur|Professor|Mr|Mrs|Ms|Miss|M|Mme|Mlle|Monsieur|Madame)\b\.?"
    r"(?:\s+[A-Z\u00c0-\u00dd][\w'\u2019-]*\.?){1,3}"
)
_NUMBER: Final = re.compile(r"\b\d[\d .-]{4,}\d\b")
_WORD: Final = re.compile(r"[^\W\d_]+")
_NAMED_BY: Final = ("PatientID", "OtherPatientIDs", "AccessionNumber", "InstitutionName")
_SHORTEST_NAME: Final = 2


@dataclass(frozen=True, slots=True)
class Report:
    """The text of one report of a study; it is patient data."""

    study_instance_uid: str
    text: str


@dataclass(frozen=True, slots=True)
class DescribingReport:
    """What a report says of what is seen: sentences, the conclusion first. They are patient data."""

    identity: Identity
    attributes: HeaderAttributes
    sentences: tuple[str, ...]


def read_report(path: Path, limits: Limits | None = None) -> Report:
    """Read all the text of one DICOM instance.

    Of a Structured Report every TEXT item of the content tree, under the names of its containers; of an
    encapsulated document its text. A decoder process may call it: it is bounded in size and depth.

    Raises:
        Unsupported: it is no report (no_report), of a type that is not read (unknown_document), without
            text (empty_report), or our own answer.
        TooLarge: the file is over 16 MiB.
        Rejected: it cannot be read.
    """
    with open_whole(path, _bounded(limits)) as instance:
        return Report(identity_of(instance).study_instance_uid, _text_of(instance))


def describing(path: Path, limits: Limits) -> DescribingReport:
    """Read what one report tells of what is seen; for a decoder process.

    Where sections such as Findings or Impression are recognised, theirs alone; otherwise everything but
    what stands under headings such as Indication or Technique. Names, of the header's persons and after
    titles, and long numbers are left out.

    Raises:
        Unsupported: as `read_report`.
        TooLarge: the file is over 16 MiB.
        Rejected: it cannot be read, or names no series.
    """
    with open_whole(path, _bounded(limits)) as instance:
        text = _text_of(instance)
        names = _names(instance.header)
        sentences = tuple(s for s in (_without(names, one) for one in describing_sentences(text)) if s)
        if not sentences:
            raise _empty()
        return DescribingReport(identity_of(instance), attributes_of(instance.header), sentences)


def describing_sentences(text: str) -> Iterator[str]:
    """The sentences of a report that tell what is seen, those of its conclusion first."""
    every = sentences_of(text[:MAX_CHARACTERS])
    seen = [one for one in every if _is_under(one, _SEEN)] or [one for one in every if one.describes]
    first = [one.text for one in seen if _is_under(one, _TOLD_FIRST)]
    yield from first
    yield from (one.text for one in seen if not _is_under(one, _TOLD_FIRST))


def _bounded(limits: Limits | None) -> Limits:
    given = limits or Limits()
    return replace(given, max_instance_bytes=min(given.max_instance_bytes, MAX_REPORT_BYTES))


def _text_of(instance: InstanceFile) -> str:
    if is_own_answer(text_of(instance.header, "Manufacturer")):
        raise Unsupported("It is an answer of this system.", reason="own_answer")
    try:
        text = _text_by_kind(instance)
    except (Rejected, MemoryError):
        raise
    except Exception as error:  # a malformed file makes pydicom, or pypdf, raise anything
        raise Rejected(
            f"The report cannot be read ({type(error).__name__}).", reason="unreadable_report"
        ) from error
    if not text.strip():
        raise _empty()
    return text.strip()


def _text_by_kind(instance: InstanceFile) -> str:
    sop_class = instance.sop_class_uid
    if sop_class.startswith(STRUCTURED_REPORT) and sop_class not in _NOT_WRITTEN:
        return content_text(instance.header)
    if sop_class.startswith(ENCAPSULATED) and sop_class not in _NO_DOCUMENTS:
        return document_text(instance.header)
    raise Unsupported("It is no report.", reason="no_report")


def _empty() -> Unsupported:
    return Unsupported("The report holds no text that tells what is seen.", reason="empty_report")


def _is_under(sentence: Sentence, headings: frozenset[str]) -> bool:
    return folded(sentence.heading) in headings


def _names(header: Dataset) -> frozenset[str]:
    """The folded words of every person's name in the header and the content tree, and of ids."""
    said = [text_of(header, keyword) for keyword in _NAMED_BY]
    waiting, seen = [header], 0
    while waiting and seen < MAX_ITEMS:
        dataset = waiting.pop()
        for element in _elements(dataset):
            seen += 1
            if element.VR == "PN":
                said.append(str(element.value).replace("^", " ").replace("=", " "))
            elif element.VR == "SQ":
                waiting += list(element.value)
    words = (word for text in said for word in folded(text).split())
    return frozenset(word for word in words if len(word) >= _SHORTEST_NAME)


def _elements(dataset: Dataset) -> Iterator[DataElement]:
    for tag in dataset.keys():  # noqa: SIM118 - iterating over a data set reads its values, one of which may be broken
        try:
            yield dataset[tag]
        except Exception:  # noqa: BLE001, S112 - a malformed value raises whatever its converter raises
            continue


def _without(names: frozenset[str], sentence: str) -> str:
    """The sentence without names that begin with a capital; empty where nothing is left of it."""
    untitled = _NUMBER.sub(" ", _TITLED.sub(" ", sentence))
    kept = _WORD.sub(lambda found: "" if _is_name(found[0], names) else found[0], untitled)
    kept = " ".join(kept.split())
    return kept if any(letter.isalpha() for letter in kept) else ""


def _is_name(word: str, names: frozenset[str]) -> bool:
    return word[0].isupper() and folded(word) in names
