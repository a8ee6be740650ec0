"""DICOM instances as a multipart/related body, read and written as a stream (PS3.18 section 8.6.1.2)."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from indexer.errors import Rejected, TooLarge

DICOM: Final = "application/dicom"
MAX_INSTANCES: Final = 20_000
CHUNK_BYTES: Final = 256 * 1024

_MAX_HEADERS: Final = 16
_MAX_HEADER_BYTES: Final = 4096


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


class RelatedReader:
    """Writes each part of a multipart/related body into a folder of its own file, as the bytes come.

    Use as a context manager: `feed` every chunk, then `finish`. Leaving it closes the file that is open;
    removing the folder is the caller's.
    """

    def __init__(
        self, content_type: str, into: Path, *, max_bytes: int, max_instances: int = MAX_INSTANCES
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
        self._into = into
        self._max_bytes = max_bytes
        self._max_instances = max_instances
        self._read_bytes = 0
        self._paths: list[Path] = []
        self._open: BinaryIO | None = None
        self._header_name = b""
        self._header_value = b""
        self._ended = False
        self._parser = self._parser_of(boundary_of(content_type))

    def __enter__(self) -> RelatedReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_part()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            TooLarge: the body is larger, or has more parts, than allowed.
            Rejected: the body is no multipart/related of application/dicom.
        """
        self._read_bytes += len(chunk)
        if self._read_bytes > self._max_bytes:
            raise TooLarge(f"The body is larger than {self._max_bytes} bytes: send fewer instances.")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Rejected(
                f"The multipart/related body is malformed near byte {self._read_bytes}.",
                reason="bad_multipart",
            ) from error

    def finish(self) -> tuple[Path, ...]:
        """The files written, in the order of their parts.

        Raises:
            Rejected: the body was cut off, or holds no instance.
        """
        if not self._ended:
            raise Rejected("The multipart/related body was cut off: send it again.", reason="bad_multipart")
        if not self._paths:
            raise Rejected("The multipart/related body holds no instance.", reason="bad_multipart")
        return tuple(self._paths)

    def _parser_of(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._extend_header_name,
                    "on_header_value": self._extend_header_value,
                    "on_header_end": self._end_header,
                    "on_part_data": self._write,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise Rejected("The boundary of the body is too long.", reason="bad_content_type") from error

    def _begin_part(self) -> None:
        if len(self._paths) >= self._max_instances:
            raise TooLarge(f"The body holds more than {self._max_instances} instances: send fewer.")
        path = self._into / f"{len(self._paths) + 1:06}.dcm"
        self._open = path.open("xb")
        self._paths.append(path)

    def _extend_header_name(self, data: bytes, start: int, end: int) -> None:
        self._header_name += data[start:end]

    def _extend_header_value(self, data: bytes, start: int, end: int) -> None:
        self._header_value += data[start:end]

    def _end_header(self) -> None:
        name, value = self._header_name.lower(), self._header_value
        self._header_name = self._header_value = b""
        if name == b"content-type" and parse_options_header(value)[0].lower() != DICOM.encode():
            raise Rejected(f"Part {len(self._paths)} of the body is not {DICOM}.", reason="bad_content_type")

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _end(self) -> None:
        self._ended = True


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
