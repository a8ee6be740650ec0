"""Files of a multipart/form-data body, written to the disk as the bytes come (RFC 7578)."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from indexer.errors import Rejected, TooLarge

MAX_FILES: Final = 20_000

_MAX_HEADERS: Final = 16
_MAX_HEADER_BYTES: Final = 4096


class FormReader:
    """Writes each file of a form into a folder under a name of our own.

    Use as a context manager: `feed` every chunk, then `finish`. Fields that are no files are refused:
    the options of a question stand in the query, where they are checked.
    """

    def __init__(self, content_type: str, into: Path, *, max_bytes: int) -> None:
        """Prepare to read.

        Args:
            content_type: the request's Content-Type header.
            into: an empty folder.
            max_bytes: the largest body that is read, boundaries and headers included.

        Raises:
            Rejected: the content type has no boundary.
        """
        self._into = into
        self._max_bytes = max_bytes
        self._read_bytes = 0
        self._paths: list[Path] = []
        self._open: BinaryIO | None = None
        self._name = b""
        self._value = b""
        self._has_filename = False
        self._ended = False
        self._parser = self._parser_of(content_type)

    def __enter__(self) -> FormReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_part()

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            TooLarge: the body is larger, or has more files, than allowed.
            Rejected: the body is no form, or has a field that is no file.
        """
        self._read_bytes += len(chunk)
        if self._read_bytes > self._max_bytes:
            raise TooLarge(f"The upload is larger than {self._max_bytes} bytes: send fewer instances.")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Rejected(
                f"The form is malformed near byte {self._read_bytes}.", reason="bad_multipart"
            ) from error

    def finish(self) -> tuple[Path, ...]:
        """The files written. Raises Rejected when the body was cut off."""
        if not self._ended:
            raise Rejected("The form was cut off: send it again.", reason="bad_multipart")
        return tuple(self._paths)

    def _parser_of(self, content_type: str) -> MultipartParser:
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        try:
            if not boundary:
                raise Rejected("The Content-Type has no boundary.", reason="bad_content_type")
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._begin_part,
                    "on_header_field": self._extend_name,
                    "on_header_value": self._extend_value,
                    "on_header_end": self._end_header,
                    "on_headers_finished": self._begin_file,
                    "on_part_data": self._write,
                    "on_part_end": self._end_part,
                    "on_end": self._end,
                },
                max_header_count=_MAX_HEADERS,
                max_header_size=_MAX_HEADER_BYTES,
            )
        except FormParserError as error:
            raise Rejected("The boundary of the form is too long.", reason="bad_content_type") from error

    def _begin_part(self) -> None:
        self._has_filename = False

    def _extend_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _extend_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        name, value = self._name.lower(), self._value
        self._name = self._value = b""
        if name == b"content-disposition" and b"filename" in parse_options_header(value)[1]:
            self._has_filename = True

    def _begin_file(self) -> None:
        if not self._has_filename:
            raise Rejected(
                "The form has a field that is no file: put options into the query.", reason="bad_multipart"
            )
        if len(self._paths) >= MAX_FILES:
            raise TooLarge(f"The form holds more than {MAX_FILES} files: send fewer.")
        path = self._into / f"{len(self._paths) + 1:06}.upload"
        self._open = path.open("xb")
        self._paths.append(path)

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._open is not None:
            self._open.write(memoryview(data)[start:end])

    def _end_part(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    def _end(self) -> None:
        self._ended = True
