"""What somebody uploads becomes DICOM files in a folder: streamed to the disk, within limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol

from python_multipart.multipart import parse_options_header

from indexer.errors import Rejected, TooLarge
from indexer.intake.form_data import FormReader
from indexer.intake.multipart_related import DICOM, RelatedReader
from indexer.intake.zip_archive import unpack

ZIP: Final = "application/zip"
KINDS: Final = (DICOM, ZIP, "multipart/related", "multipart/form-data")

_PREAMBLE_BYTES: Final = 128
_ZIP_MAGIC: Final = b"PK\x03\x04"
_ZIP_NAMES: Final = frozenset({ZIP, "application/x-zip-compressed"})


@dataclass(frozen=True, slots=True)
class Received:
    """DICOM files that were uploaded; `ignored` counts what came with them and is no DICOM."""

    paths: tuple[Path, ...]
    ignored: int


class Reader(Protocol):
    """Takes a body as its bytes come; a context manager, so that no file stays open."""

    def __enter__(self) -> Reader: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def feed(self, chunk: bytes) -> None:
        """Take the next bytes. Raises TooLarge, or Rejected for bytes that are no such body."""
        ...

    def finish(self) -> tuple[Path, ...]:
        """The files written. Raises Rejected when the body was cut off."""
        ...


class WholeBody:
    """A body that is one file as it is."""

    def __init__(self, into: Path, *, max_bytes: int) -> None:
        """Open the one file in the folder `into`."""
        self._path = into / "body"
        self._file = self._path.open("xb")
        self._left = max_bytes
        self._max_bytes = max_bytes

    def __enter__(self) -> WholeBody:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def feed(self, chunk: bytes) -> None:
        """Write the next bytes. Raises TooLarge."""
        self._left -= len(chunk)
        if self._left < 0:
            raise TooLarge(f"The upload is larger than {self._max_bytes} bytes: send fewer instances.")
        self._file.write(chunk)

    def finish(self) -> tuple[Path, ...]:
        """The file."""
        self._file.close()
        return (self._path,)


def reader_for(content_type: str, into: Path, *, max_bytes: int) -> Reader:
    """The reader of one kind of body.

    Args:
        content_type: the request's Content-Type header.
        into: an empty folder.
        max_bytes: the largest body that is read.

    Raises:
        Rejected: the kind is none of those we read.
    """
    kind = parse_options_header(content_type)[0].decode("latin-1").lower()
    readers: dict[str, Callable[[], Reader]] = {
        "multipart/related": lambda: RelatedReader(content_type, into, max_bytes=max_bytes),
        "multipart/form-data": lambda: FormReader(content_type, into, max_bytes=max_bytes),
        DICOM: lambda: WholeBody(into, max_bytes=max_bytes),
    }
    if kind in _ZIP_NAMES:
        kind = DICOM
    if kind not in readers:
        raise Rejected(f"Send the example as {', '.join(KINDS)}.", reason="bad_content_type")
    return readers[kind]()


def received(files: Sequence[Path], into: Path, *, max_bytes: int) -> Received:
    """The DICOM among the files of a body; a zip archive counts as what it holds.

    Args:
        files: as a reader gave them.
        into: an empty folder for what archives hold.
        max_bytes: the most that all of it may take on the disk.

    Raises:
        TooLarge: an archive holds more than allowed.
        Rejected: there is no DICOM at all.
    """
    paths: list[Path] = []
    ignored = 0
    left = max_bytes
    for number, file in enumerate(files):
        if _is_zip(file):
            unpacked = unpack(file, _folder(into, number), max_bytes=left)
            file.unlink()
            left -= unpacked.size_bytes
            paths.extend(unpacked.paths)
            ignored += unpacked.ignored
        elif is_dicom(file):
            paths.append(file)
        else:
            ignored += 1
    if not paths:
        also = f" among {ignored} files" if ignored > 1 else ""
        raise Rejected(
            f"There is no DICOM file in the upload{also}: one has DICM after a preamble of 128 bytes.",
            reason="no_dicom",
        )
    return Received(tuple(paths), ignored)


def is_dicom(path: Path) -> bool:
    """Whether a file begins as PS3.10 7.1 wants it."""
    with path.open("rb") as file:
        return file.read(_PREAMBLE_BYTES + 4)[_PREAMBLE_BYTES:] == b"DICM"


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_ZIP_MAGIC)) == _ZIP_MAGIC and not is_dicom(path)


def _folder(into: Path, number: int) -> Path:
    folder = into / f"archive-{number:06}"
    folder.mkdir()
    return folder
