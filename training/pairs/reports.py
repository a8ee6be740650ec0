"""The text of reports: Structured Reports and encapsulated documents of an archive, or a table."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from pydicom import dcmread
from pydicom.dataset import Dataset

from indexer.answers.identity import is_own_answer
from indexer.errors import Rejected, TooLarge, Unsupported
from inference.reading import text_of, tolerant
from training.errors import TrainingError

MAX_REPORT_BYTES: Final = 16 * 2**20
STRUCTURED_REPORT: Final = "1.2.840.10008.5.1.4.1.1.88."
ENCAPSULATED: Final = "1.2.840.10008.5.1.4.1.1.104."
KEY_OBJECTS: Final = "1.2.840.10008.5.1.4.1.1.88.59"
REPORT_COLUMNS: Final = ("study_instance_uid", "text")
_MAX_DEPTH: Final = 32
_MAX_ITEMS: Final = 20_000
_TEXT_TYPES: Final = ("text/plain", "text/xml", "application/xml", "text/html", "application/hl7-cda+xml")
_BLOCKS: Final = frozenset(
    ("text", "paragraph", "p", "br", "item", "li", "tr", "td", "title", "caption", "section", "div")
)
_HIDDEN: Final = frozenset(("style", "script", "head"))


@dataclass(frozen=True, slots=True)
class Report:
    """The text of one report of a study; it is patient data."""

    study_instance_uid: str
    text: str


def read_report(path: Path) -> Report:
    """Read the text of one DICOM instance.

    Of a Structured Report every TEXT item of the content tree, under the names of its containers; of an
    encapsulated document its text or CDA. A decoder process may call it: it is bounded in size and depth.

    Raises:
        Unsupported: it is no report (no_report), a PDF (pdf_report), which is not read, or our own answer.
        TooLarge: the file is over 16 MiB.
        Rejected: it cannot be read, or holds no text.
    """
    if path.stat().st_size > MAX_REPORT_BYTES:
        raise TooLarge(f"The report has more than {MAX_REPORT_BYTES} bytes.")
    with tolerant():
        try:
            dataset = dcmread(path, force=True)
            text = _text_of(dataset)
        except Rejected:
            raise
        except Exception as error:  # a malformed file makes pydicom raise anything
            raise Rejected(
                f"The report cannot be read ({type(error).__name__}).", reason="unreadable_report"
            ) from error
    study = text_of(dataset, "StudyInstanceUID")
    if not study or not text.strip():
        raise Rejected("The report holds no text, or names no study.", reason="empty_report")
    return Report(study, text.strip())


def read_table(path: Path) -> dict[str, str]:
    """Reports by Study Instance UID, from a CSV file with the columns study_instance_uid and text.

    Several rows of one study are put one after the other.

    Raises:
        TrainingError: a column is missing, or there is no row with text.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            missing = [name for name in REPORT_COLUMNS if name not in (table.fieldnames or ())]
            if missing:
                raise TrainingError(f"{path} lacks the columns {', '.join(missing)}.")
            reports = [Report(row["study_instance_uid"].strip(), row["text"] or "") for row in table]
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"{path} cannot be read as a CSV file in UTF-8.") from error
    joined = by_study(report for report in reports if report.study_instance_uid and report.text.strip())
    if not joined:
        raise TrainingError(f"{path} holds no report.")
    return joined


def by_study(reports: Iterator[Report]) -> dict[str, str]:
    """The text of each study's reports, a blank line between two, the same text once."""
    texts: dict[str, list[str]] = {}
    for report in reports:
        own = texts.setdefault(report.study_instance_uid, [])
        if report.text not in own:
            own.append(report.text)
    return {study: "\n\n".join(own) for study, own in texts.items()}


def _text_of(dataset: Dataset) -> str:
    sop_class = text_of(dataset, "SOPClassUID")
    if is_own_answer(text_of(dataset, "Manufacturer")):
        raise Unsupported("It is an answer of this system.", reason="own_answer")
    if sop_class.startswith(STRUCTURED_REPORT) and sop_class != KEY_OBJECTS:
        return "\n\n".join(_text_items(dataset))
    if sop_class.startswith(ENCAPSULATED):
        return _document(dataset)
    raise Unsupported("It is no report.", reason="no_report")


def _text_items(root: Dataset) -> Iterator[str]:
    """The TEXT items in the order of the tree, each container's name before its own.

    Source:
        DICOM PS3.3 C.17.3 (SR Document Content Module), C.18.8 (Container Macro), C.18.1 (Text Macro).
    """
    waiting: list[tuple[Dataset, int, str]] = [(root, 0, "")]
    heading, seen = "", 0
    while waiting:
        item, depth, name = waiting.pop()
        seen += 1
        if seen > _MAX_ITEMS or depth > _MAX_DEPTH:
            raise Rejected("The content tree is too large.", reason="unreadable_report")
        kind, own = text_of(item, "ValueType"), _concept_name(item)
        if kind == "TEXT":
            section = name or own
            if section != heading and section:
                yield f"{section}:"
            heading = section
            yield str(item.get("TextValue") or "")
        below = own if kind == "CONTAINER" and depth else name
        children = item.get("ContentSequence") or []
        waiting += [(child, depth + 1, below) for child in reversed(list(children))]


def _concept_name(item: Dataset) -> str:
    names = item.get("ConceptNameCodeSequence") or []
    return text_of(names[0], "CodeMeaning").replace(":", " ") if len(names) else ""


def _document(dataset: Dataset) -> str:
    """The text of an encapsulated document (PS3.3 C.24.2)."""
    kind = text_of(dataset, "MIMETypeOfEncapsulatedDocument").lower()
    body = bytes(dataset.get("EncapsulatedDocument") or b"").rstrip(b"\0")
    if kind == "application/pdf" or body.startswith(b"%PDF"):
        raise Unsupported("Encapsulated PDF is not read: give its text in a table.", reason="pdf_report")
    if kind not in _TEXT_TYPES:
        raise Unsupported(f"Encapsulated {kind or 'document'} is not read.", reason="unknown_document")
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    return text if kind == "text/plain" else _marked_up(text)


def _marked_up(text: str) -> str:
    reader = _Narrative(only="text" if "ClinicalDocument" in text[:4096] else "")
    reader.feed(text)
    return "".join(reader.parts)


class _Narrative(HTMLParser):
    """The words between marks; of a CDA only its narrative blocks and the titles of their sections.

    It builds no tree and knows no entities but characters', so that a hostile document is only long.
    """

    def __init__(self, only: str) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._only = only
        self._inside = 0
        self._hidden = 0
        self._title = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._count(tag.rpartition(":")[2], 1)

    def handle_endtag(self, tag: str) -> None:
        self._count(tag.rpartition(":")[2], -1)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag.rpartition(":")[2] in _BLOCKS:
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if self._title and data.strip():
            self.parts.append(f"\n\n{data.strip().rstrip(':')}:\n")
        elif not self._hidden and (self._inside or not self._only):
            self.parts.append(data)

    def _count(self, tag: str, step: int) -> None:
        self._inside = max(0, self._inside + step * (tag == self._only))
        self._hidden = max(0, self._hidden + step * (tag in _HIDDEN))
        self._title = max(0, self._title + step * (tag == "title"))
        if tag in _BLOCKS:
            self.parts.append("\n")
