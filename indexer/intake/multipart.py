"""The parts of a multipart body, each written to the disk as its bytes come (RFC 2046 section 5.1)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from indexer.errors import Rejected, TooLarge

MAX_PARTS: Final = 20_000

_MAX_HEADERS: Final = 16
_MAX_HEADER_BYTES: Final = 4096

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, each with its value."""


class MultipartReader(ABC):
    """Writes each part of a body into a folder under a name of our own; what is a part, a kind of body says.

    Use as a context manager: `feed` every chunk, then `finish`. Leaving it closes the file that is open;
    removing the folder is the caller's.
    """

    body: str
    """What the body is called in a refusal."""
    suffix: str
    """Of the files."""

    def __init__(self, boundary: bytes, into: Path, *, max_bytes: int, max_parts: int = MAX_PARTS) -> None:
        """Prepare to read.

        Args:
            boundary: as the Content-Type names it.
            into: an empty folder.
            max_bytes: the largest body that is read, boundaries and headers included.
            max_parts: how many parts are read at most.

        Raises:
            Rejected: the boundary is too long.
        """
        self._into = into
        self._max_bytes = max_bytes
        self._max_parts = max_parts
        self._read_bytes = 0
        self._paths: list[Path] = []
        self._open: BinaryIO | None = None
        self._name = b""
        self._value = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._ended = False
        self._parser = self._parser_of(boundary)

    def __enter__(self) -> Self:
        """The reader itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file that is open."""
        self._end_part()

    @abstractmethod
    def check_part(self, number: int, headers: Headers) -> None:
        """Whether this part, from 1, may be in such a body. Raises Rejected."""

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes of the body.

        Raises:
            TooLarge: the body is larger, or has more parts, than allowed.
            Rejected: the body is no such body, or has a part that it may not have.
        """
        self._read_bytes += len(chunk)
        if self._read_bytes > self._max_bytes:
            raise TooLarge(f"The {self.body} is larger than {self._max_bytes} bytes: send fewer instances.")
        try:
            self._parser.write(chunk)
        except FormParserError as error:
            raise Rejected(
                f"The {self.body} is malformed near byte {self._read_bytes}.", reason="bad_multipart"
            ) from error

    def finish(self) -> tuple[Path, ...]:
        """The files written, in the order of their parts. Raises Rejected when the body was cut off."""
        if not self._ended:
            raise Rejected(f"The {self.body} was cut off: send it again.", reason="bad_multipart")
        return tuple(self._paths)

    def _parser_of(self, boundary: bytes) -> MultipartParser:
        try:
            return MultipartParser(
                boundary,
                {
                    "on_part_begin": self._headers.clear,
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
            raise Rejected(
                f"The boundary of the {self.body} is too long.", reason="bad_content_type"
            ) from error

    def _extend_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _extend_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers.append((self._name.lower(), self._value))
        self._name = self._value = b""

    def _begin_file(self) -> None:
        self.check_part(len(self._paths) + 1, self._headers)
        if len(self._paths) >= self._max_parts:
            raise TooLarge(f"The {self.body} holds more than {self._max_parts} files: send fewer.")
        path = self._into / f"{len(self._paths) + 1:06}{self.suffix}"
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
