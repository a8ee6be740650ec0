"""DICOM files out of a zip archive that nobody vouches for."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Final

from indexer.errors import Rejected, TooLarge

MAX_ENTRIES: Final = 20_000
MAX_DIRECTORY_BYTES: Final = 8 * 2**20

_CHUNK_BYTES: Final = 256 * 1024
_HEAD_BYTES: Final = 132
_ENCRYPTED: Final = 0x1
# Others want memory that the archive itself chooses.
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})

_END: Final = b"PK\x05\x06"
_END_FORM: Final = struct.Struct("<4s4H2LH")
_LOCATOR: Final = b"PK\x06\x07"
_LOCATOR_BYTES: Final = 20
_END64: Final = b"PK\x06\x06"
_END64_FORM: Final = struct.Struct("<4sQ2H2L4Q")


@dataclass(frozen=True, slots=True)
class Unpacked:
    """The DICOM files of an archive, their size, and how many entries are none."""

    paths: tuple[Path, ...]
    size_bytes: int
    ignored: int


def unpack(archive: Path, into: Path, *, max_bytes: int) -> Unpacked:
    """Write the DICOM entries of a zip archive into a folder, under names of our own.

    Entries that are no DICOM are not unpacked, archives in the archive and encrypted entries neither.

    Args:
        archive: the file.
        into: an empty folder.
        max_bytes: what the entries may take on the disk, as they say and as they are.

    Raises:
        TooLarge: there is more, or there are more than MAX_ENTRIES entries.
        Rejected: it is no zip archive, or a broken one.

    Source:
        APPNOTE.TXT 4.3.14 to 4.3.16 (the end of an archive).
    """
    try:
        _check_directory(archive)
        with zipfile.ZipFile(archive) as opened:
            return _unpack(opened, into, max_bytes)
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, NotImplementedError) as error:
        raise Rejected("The zip archive is broken: make it again.", reason="bad_zip") from error


def _unpack(opened: zipfile.ZipFile, into: Path, max_bytes: int) -> Unpacked:
    entries = [entry for entry in opened.infolist() if not entry.is_dir()]
    if len(entries) > MAX_ENTRIES:
        raise _too_many()
    readable = [entry for entry in entries if _is_readable(entry)]
    if sum(entry.file_size for entry in readable) > max_bytes:
        raise _too_large(max_bytes)
    paths: list[Path] = []
    written = 0
    for entry in readable:
        path = into / f"{len(paths) + 1:06}.dcm"
        with opened.open(entry) as source:
            size_bytes = _write_dicom(source, path, max_bytes - written)
        if size_bytes:
            written += size_bytes
            paths.append(path)
    return Unpacked(tuple(paths), written, len(entries) - len(paths))


def _is_readable(entry: zipfile.ZipInfo) -> bool:
    is_directory_record = Path(entry.filename).name.upper() == "DICOMDIR"
    is_encrypted = bool(entry.flag_bits & _ENCRYPTED)
    return entry.compress_type in _METHODS and not is_encrypted and not is_directory_record


def _write_dicom(source: IO[bytes], path: Path, max_bytes: int) -> int:
    """The size written; zero for an entry that is no DICOM, of which only the head is unpacked."""
    head = source.read(_HEAD_BYTES)
    if head[128:] != b"DICM":
        return 0
    written = len(head)
    with path.open("xb") as target:
        target.write(head)
        while chunk := source.read(_CHUNK_BYTES):
            written += len(chunk)
            if written > max_bytes:
                raise _too_large(max_bytes)
            target.write(chunk)
    return written


def _check_directory(archive: Path) -> None:
    """Refuse a directory that would fill the memory, before anybody reads it."""
    with archive.open("rb") as file:
        entries, size_bytes = _directory_of(file)
    if entries > MAX_ENTRIES or size_bytes > MAX_DIRECTORY_BYTES:
        raise _too_many()


def _directory_of(file: BinaryIO) -> tuple[int, int]:
    """Entries and bytes of the central directory, as the end of the archive says."""
    length = file.seek(0, 2)
    start = max(0, length - _END_FORM.size - 0xFFFF - _LOCATOR_BYTES - _END64_FORM.size)
    file.seek(start)
    tail = file.read()
    end = tail.rfind(_END)
    if end < 0:
        raise zipfile.BadZipFile
    *_, entries, size_bytes, _offset, _comment = _END_FORM.unpack_from(tail, end)
    locator = end - _LOCATOR_BYTES
    if locator >= 0 and tail[locator : locator + 4] == _LOCATOR:
        return _directory64_of(tail, locator - _END64_FORM.size)
    return int(entries), int(size_bytes)


def _directory64_of(tail: bytes, start: int) -> tuple[int, int]:
    """The record of a large archive, which we want right before its locator."""
    if start < 0 or tail[start : start + 4] != _END64:
        raise zipfile.BadZipFile
    *_, entries, size_bytes, _offset = _END64_FORM.unpack_from(tail, start)
    return int(entries), int(size_bytes)


def _too_many() -> TooLarge:
    return TooLarge(f"The zip archive holds more than {MAX_ENTRIES} files: send one study at a time.")


def _too_large(max_bytes: int) -> TooLarge:
    return TooLarge(f"Unpacked, the zip archive is larger than {max_bytes} bytes: send fewer instances.")
