"""The first few attributes of a DICOM file, read without trusting it and without building anything.

pydicom builds every sequence that it passes: a hostile megabyte of empty items becomes hundreds. This
walk keeps nothing but what is wanted, steps a bounded number of times and never recurses.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Collection
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, Final

from indexer.errors import Rejected

MAX_STEPS: Final = 50_000
MAX_DEPTH: Final = 64
MAX_VALUE_BYTES: Final = 1024
MAX_INFLATED_BYTES: Final = 4 * 2**20

TRANSFER_SYNTAX_UID: Final = 0x00020010
_IMPLICIT: Final = b"1.2.840.10008.1.2"
_BIG_ENDIAN: Final = b"1.2.840.10008.1.2.2"
DEFLATED: Final = b"1.2.840.10008.1.2.1.99"

_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
_UNDEFINED: Final = 0xFFFFFFFF
_LONG_VRS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)


class Malformed(Rejected):
    """It begins as DICOM and goes on as something else."""

    reason = "malformed"


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written (PS3.5 section 7.1)."""

    implicit: bool
    byte_order: str


@dataclass(frozen=True, slots=True)
class _Element:
    tag: int
    vr: bytes
    length: int


EXPLICIT_LITTLE: Final = Encoding(implicit=False, byte_order="<")
IMPLICIT_LITTLE: Final = Encoding(implicit=True, byte_order="<")


def read_elements(file: BinaryIO, wanted: Collection[int]) -> dict[int, bytes] | None:
    """The values of the wanted tags as far as they are there, File Meta Information included.

    Args:
        file: a seekable file, at its beginning.
        wanted: tags as numbers, (0008,0018) being 0x00080018; attributes of the top level only.

    Returns:
        Values without padding; None when this is no DICOM file.

    Raises:
        Malformed: it cannot be walked, or wants more steps than an honest file.

    Source:
        DICOM PS3.5 section 7 (elements), 7.5 (sequences), PS3.10 section 7.1 (the file).
    """
    start = _start_of(file)
    if start is None:
        return None
    walk = _Walk(file, start)
    meta = walk.values({*wanted, TRANSFER_SYNTAX_UID}, EXPLICIT_LITTLE, last=0x0002FFFF)
    syntax = meta.get(TRANSFER_SYNTAX_UID, b"")
    if syntax == DEFLATED:
        walk = _Walk(_inflated(file, walk.position), 0)
    byte_order = ">" if syntax == _BIG_ENDIAN else "<"
    encoding = Encoding(implicit=walk.looks_implicit(), byte_order=byte_order)
    return meta | walk.values(wanted, encoding, last=max(wanted))


def _start_of(file: BinaryIO) -> int | None:
    """Where the first element is; files of old have no preamble and begin with group 0002 or 0008."""
    head = file.read(132)
    if head[128:] == b"DICM":
        return 132
    if len(head) < 8 or head[:2] not in (b"\x02\x00", b"\x08\x00"):
        return None
    explicit = head[4:6] in (b"UL", b"UI", b"CS", b"OB")
    implicit = head[3] == 0 and struct.unpack_from("<I", head, 4)[0] <= 64
    return 0 if explicit or implicit else None


def _inflated(file: BinaryIO, position: int) -> BinaryIO:
    file.seek(position)
    try:
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        return BytesIO(inflater.decompress(file.read(MAX_INFLATED_BYTES), MAX_INFLATED_BYTES))
    except zlib.error as error:
        raise Malformed("the deflated dataset cannot be inflated") from error


class _Walk:
    """A position in a file that only goes forward."""

    def __init__(self, file: BinaryIO, position: int) -> None:
        self._file = file
        self._steps = 0
        self.position = position

    def looks_implicit(self) -> bool:
        """Whether the next element has no VR, whatever the transfer syntax says."""
        self._file.seek(self.position)
        return not _is_vr(self._file.read(6)[4:6])

    def values(self, wanted: Collection[int], encoding: Encoding, *, last: int) -> dict[int, bytes]:
        """Walk the elements up to the tag `last`, and keep the wanted; stay before what follows."""
        found: dict[int, bytes] = {}
        while True:
            before = self.position
            element = self._next(encoding)
            if element is None or element.tag > last:
                self.position = before
                return found
            if element.length == _UNDEFINED:
                self._skip_sequence(element, encoding)
                continue
            if element.tag in wanted and element.length <= MAX_VALUE_BYTES:
                self._file.seek(self.position)
                found[element.tag] = self._file.read(element.length).strip(b"\0 ")
            self.position += element.length

    def _next(self, encoding: Encoding) -> _Element | None:
        """The element here, with the position at its value; None at the end of the file."""
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise Malformed("more elements than an honest header has")
        self._file.seek(self.position)
        head = self._file.read(12)
        if len(head) < 8:
            return None
        group, number = struct.unpack_from(f"{encoding.byte_order}HH", head)
        tag = group << 16 | number
        vr = b"" if encoding.implicit or not _is_vr(head[4:6]) else head[4:6]
        size, form, offset = 8, "I", 4
        if vr in _LONG_VRS:
            size, form, offset = 12, "I", 8
        elif vr:
            size, form, offset = 8, "H", 6
        if len(head) < size:
            return None
        self.position += size
        length: int = struct.unpack_from(f"{encoding.byte_order}{form}", head, offset)[0]
        return _Element(tag=tag, vr=vr, length=length)

    def _skip_sequence(self, sequence: _Element, encoding: Encoding) -> None:
        """Pass a sequence of undefined length, whatever it holds.

        `within` are the open sequences and items, each with the encoding of what is inside: a sequence
        of VR UN is written as implicit little endian (PS3.5 section 6.2.2).
        """
        within = [_inside(sequence, encoding)]
        while within:
            element = self._next(within[-1])
            if element is None:
                raise Malformed("a sequence does not end")
            if element.tag in (_ITEM_END, _SEQUENCE_END):
                within.pop()
            elif element.length == _UNDEFINED:
                within.append(_inside(element, within[-1]))
                if len(within) > MAX_DEPTH:
                    raise Malformed("sequences are nested too deeply")
            else:
                self.position += element.length


def _is_vr(letters: bytes) -> bool:
    return len(letters) == 2 and letters.isalpha() and letters.isupper()


def _inside(element: _Element, encoding: Encoding) -> Encoding:
    return IMPLICIT_LITTLE if element.vr == b"UN" else encoding
