"""DICOM instances as a multipart/related body, read and written as a stream (PS3.18 section 8.6.1.2)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from python_multipart.multipart import parse_options_header

from indexer.errors import Rejected
from indexer.intake.multipart import MAX_PARTS, Headers, MultipartReader

DICOM: Final = "application/dicom"
CHUNK_BYTES: Final = 256 * 1024


def boundary_of(content_type: str) -> bytes:
    """The boundary that a Content-Type names.

    Raises:
        Rejected: it is not multipart/related of application/dicom, or has no boundary.
    """
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    wanted = options.get(b"type", DICOM.encode()).lower() == DICOM.encode()
    if kind.lower() != b"multipart/related" or not wanted or not boundary:
        raise Rejected(
            'Send Content-Type: multipart/related; type="application/dicom"; boundary=…',
            reason="bad_content_type",
        )
    return boundary


class RelatedReader(MultipartReader):
    """Writes each instance of a multipart/related body into a folder."""

    body = "multipart/related body"
    suffix = ".dcm"

    def __init__(
        self, content_type: str, into: Path, *, max_bytes: int, max_instances: int = MAX_PARTS
    ) -> None:
        """Prepare to read.

        Args:
            content_type: the request's Content-Type header.
            into: an empty folder.
            max_bytes: the largest body that is read, boundaries and headers included.
            max_instances: how many parts are read at most.

        Raises:
            Rejected: the content type is another.
        """
        super().__init__(boundary_of(content_type), into, max_bytes=max_bytes, max_parts=max_instances)

    def check_part(self, number: int, headers: Headers) -> None:
        """A part that says what it is, is DICOM."""
        for name, value in headers:
            if name == b"content-type" and parse_options_header(value)[0].lower() != DICOM.encode():
                raise Rejected(f"Part {number} of the body is not {DICOM}.", reason="bad_content_type")

    def finish(self) -> tuple[Path, ...]:
        """The files written, in the order of their parts.

        Raises:
            Rejected: the body was cut off, or holds no instance.
        """
        paths = super().finish()
        if not paths:
            raise Rejected(f"The {self.body} holds no instance.", reason="bad_multipart")
        return paths


class RelatedBody:
    """DICOM files as one multipart/related body, read from the disk while it is sent."""

    def __init__(self, paths: Sequence[Path]) -> None:
        """Name the files; their sizes are read now, their bytes when the body is iterated."""
        self._paths = tuple(paths)
        self._boundary = secrets.token_hex(16)
        sizes = sum(path.stat().st_size for path in self._paths)
        self.length_bytes = sizes + len(self._paths) * len(self._opening) + len(self._closing)

    @property
    def content_type(self) -> str:
        """The Content-Type header that goes with the body."""
        return f'multipart/related; type="{DICOM}"; boundary={self._boundary}'

    def __iter__(self) -> Iterator[bytes]:
        """The bytes, in chunks; iterate again to send again."""
        for path in self._paths:
            yield self._opening
            with path.open("rb") as file:
                while chunk := file.read(CHUNK_BYTES):
                    yield chunk
        yield self._closing

    @property
    def _opening(self) -> bytes:
        return f"\r\n--{self._boundary}\r\nContent-Type: {DICOM}\r\n\r\n".encode()

    @property
    def _closing(self) -> bytes:
        return f"\r\n--{self._boundary}--\r\n".encode()
