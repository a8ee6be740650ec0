"""The text of an encapsulated document: plain text, CDA, HTML, PDF."""

from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Final

from pydicom.dataset import Dataset

from indexer.errors import Unsupported
from inference.reading import text_of

MAX_PAGES: Final = 50
PDF: Final = "application/pdf"
_TEXT_TYPES: Final = ("text/plain", "text/xml", "application/xml", "text/html", "application/hl7-cda+xml")
_BLOCKS: Final = frozenset(
    ("text", "paragraph", "p", "br", "item", "li", "tr", "td", "title", "caption", "section", "div")
)
_HIDDEN: Final = frozenset(("style", "script", "head"))


def document_text(dataset: Dataset) -> str:
    """The words of an encapsulated document, empty where a PDF holds pictures of pages only.

    Of a CDA its narrative alone; of a PDF the first 50 pages. For a decoder process: a hostile document may
    take long, or ask for much memory, and is then ended with it.

    Raises:
        Unsupported: it is of another type (unknown_document).

    Source:
        DICOM PS3.3 C.24.2 (Encapsulated Document Module).
    """
    kind = text_of(dataset, "MIMETypeOfEncapsulatedDocument").lower()
    body = bytes(dataset.get("EncapsulatedDocument") or b"").rstrip(b"\0")
    if kind == PDF or body.startswith(b"%PDF"):
        return _pdf_text(body)
    if kind not in _TEXT_TYPES:
        raise Unsupported(
            "Of encapsulated documents plain text, CDA, HTML and PDF are read.", reason="unknown_document"
        )
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    return text if kind == "text/plain" else _marked_up(text)


def _pdf_text(body: bytes) -> str:
    from pypdf import PdfReader  # noqa: PLC0415 - only where there is a PDF

    pages = PdfReader(io.BytesIO(body)).pages
    return "\n\n".join(pages[number].extract_text() for number in range(min(len(pages), MAX_PAGES)))


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
