"""A DICOM file on disk, read up to its pixel data: header, identity and where the pixels are."""

from __future__ import annotations

import io
import re
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from indexer.errors import Rejected, TooLarge, Unavailable, Unsupported
from inference.kinds import no_image_reason
from inference.limits import Limits

_PREAMBLE_BYTES: Final = 132
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_PIXEL_KEYWORDS: Final = {
    0x7FE00008: "FloatPixelData",
    0x7FE00009: "DoubleFloatPixelData",
    0x7FE00010: "PixelData",
}
_UID_PATTERN: Final = re.compile(r"[0-9.]{1,64}")
_FIRST_GROUPS: Final = (b"\x02\x00", b"\x08\x00", b"\x00\x08", b"\x00\x02")
_CHUNK_BYTES: Final = 2**20


@dataclass(frozen=True, slots=True)
class PixelElement:
    """Where the pixels are in `StoredInstanceFile.stream`; `length` is None when it is undefined."""

    keyword: str
    vr: str
    offset: int
    length: int | None


@dataclass(frozen=True, slots=True)
class Identity:
    """The UIDs by which an instance is referred to."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str
    sop_class_uid: str


@dataclass(frozen=True, slots=True)
class InstanceFile:
    """An open instance: its header without pixels, and a stream to read the pixels from.

    `size_bytes` is the size of `stream`: the file's, or the inflated size of a deflated one.
    `transfer_syntax_uid` is how the pixels in `stream` are encoded: never the deflated one.
    """

    header: Dataset
    transfer_syntax_uid: UID
    pixels: PixelElement | None
    stream: BinaryIO
    size_bytes: int

    @property
    def sop_class_uid(self) -> str:
        """Of the data set, else of the file meta information, else empty."""
        meta = getattr(self.header, "file_meta", Dataset())
        return _uid(self.header, "SOPClassUID") or _uid(meta, "MediaStorageSOPClassUID")


class _Clipped(io.BufferedReader):
    """A file that never allocates for more bytes than it has, whatever length an element claims."""

    def __init__(self, raw: io.FileIO) -> None:
        super().__init__(raw)
        self.size_bytes = self.seek(0, io.SEEK_END)

    def read(self, size: int | None = -1, /) -> bytes:
        left = self.size_bytes - self.tell()
        return super().read(left if size is None or size < 0 else min(size, max(left, 0)))


@contextmanager
def tolerant() -> Iterator[None]:
    """Read what can be read: pydicom's warnings about malformed values are not ours to repeat."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def open_instance(path: Path, limits: Limits) -> Iterator[InstanceFile]:
    """Open a DICOM file, with or without preamble and file meta information, for its pixels.

    Raises:
        TooLarge: the file, or what it inflates to, exceeds the limits.
        Unsupported: a report, a segmentation, our own answer: anything that is not a clinical image.
        Rejected: it is not DICOM, or its header cannot be read.
    """
    with open_whole(path, limits) as instance:
        _refuse_other_kinds(instance)
        yield instance


@contextmanager
def open_whole(path: Path, limits: Limits) -> Iterator[InstanceFile]:
    """Open a DICOM file of any kind: everything before its pixels is its header, documents too.

    Raises:
        TooLarge: the file, or what it inflates to, exceeds the limits.
        Rejected: it is not DICOM, or its header cannot be read.
    """
    with tolerant(), path.open("rb", buffering=0) as raw, _Clipped(raw) as file:
        size_bytes = file.size_bytes
        if size_bytes > limits.max_instance_bytes:
            raise TooLarge(f"The file has {size_bytes} bytes; {limits.max_instance_bytes} are allowed.")
        yield _read(file, size_bytes, limits)


def identity_of(instance: InstanceFile) -> Identity:
    """The instance's UIDs. Raises Rejected when one of them is missing or malformed."""
    header = instance.header
    return Identity(
        study_instance_uid=_wanted_uid("StudyInstanceUID", _uid(header, "StudyInstanceUID")),
        series_instance_uid=_wanted_uid("SeriesInstanceUID", _uid(header, "SeriesInstanceUID")),
        sop_instance_uid=_wanted_uid("SOPInstanceUID", _uid(header, "SOPInstanceUID")),
        sop_class_uid=_wanted_uid("SOPClassUID", instance.sop_class_uid),
    )


def text_of(header: Dataset, keyword: str) -> str:
    """The first value of an element as stripped text; empty when it is missing or unreadable."""
    try:
        value = header.get(keyword)
    except Exception:  # noqa: BLE001 - a malformed value raises whatever its converter raises
        return ""
    if value is None:
        return ""
    if isinstance(value, list | tuple) or (hasattr(value, "__iter__") and not isinstance(value, str | bytes)):
        value = next(iter(value), "")
    return str(value).strip("\0 \t\r\n")


def _uid(header: Dataset, keyword: str) -> str:
    return text_of(header, keyword)


def _wanted_uid(keyword: str, value: str) -> str:
    if not value:
        raise Rejected(f"The instance has no {keyword}.", reason="missing_uid")
    if not _UID_PATTERN.fullmatch(value):
        raise Rejected(f"The {keyword} is not a DICOM UID.", reason="invalid_uid")
    return value


def _refuse_other_kinds(instance: InstanceFile) -> None:
    sop_class_uid = instance.sop_class_uid
    manufacturer = text_of(instance.header, "Manufacturer")
    reason = no_image_reason(sop_class_uid, manufacturer, str(instance.transfer_syntax_uid))
    if reason is not None:
        raise Unsupported(f"Not a clinical image: {reason.replace('_', ' ')}.", reason=reason)
    if instance.pixels is None or instance.pixels.length == 0:
        raise Unsupported("The instance has no pixel data.", reason="no_pixel_data")


def _read(file: BinaryIO, size_bytes: int, limits: Limits) -> InstanceFile:
    try:
        meta = _read_meta(file, size_bytes)
        declared = text_of(meta, "TransferSyntaxUID")
        stream, size_bytes, syntax = _body(file, size_bytes, declared, limits)
        header = read_dataset(
            stream, syntax.is_implicit_VR, syntax.is_little_endian, stop_when=_at_pixel_data
        )
        header.file_meta = FileMetaDataset(meta)
        _refuse_nonsense(header, at_end=stream.tell() >= size_bytes)
        pixels = _pixel_element(stream, header)
    except (Rejected, Unavailable):
        raise
    except MemoryError as error:
        raise TooLarge("The header does not fit into the memory a decoder may use.") from error
    except (EOFError, OSError) as error:  # those of pydicom come from the end of the file, without a number
        if isinstance(error, OSError) and error.errno is not None:
            raise Unavailable("A fetched file cannot be read from this machine's disk.") from error
        raise Rejected("The file ends inside its header.", reason="truncated_header") from error
    except Exception as error:  # a malformed header makes pydicom raise anything
        raise Rejected(
            f"The header cannot be read ({type(error).__name__}).", reason="unreadable_header"
        ) from error
    return InstanceFile(
        header=header,
        transfer_syntax_uid=_pixel_syntax(declared, syntax),
        pixels=pixels,
        stream=stream,
        size_bytes=size_bytes,
    )


def _read_meta(file: BinaryIO, size_bytes: int) -> Dataset:
    """The file meta information, empty where there is none; leaves `file` at the data set."""
    file.seek(0)
    head = file.read(_PREAMBLE_BYTES)
    has_preamble = head[128:] == b"DICM"
    if not has_preamble:
        if size_bytes < 8 or head[:2] not in _FIRST_GROUPS:
            raise Rejected("The file is not DICOM.", reason="not_dicom")
        file.seek(0)
    return read_dataset(file, is_implicit_VR=False, is_little_endian=True, stop_when=_after_meta)


def _body(file: BinaryIO, size_bytes: int, declared: str, limits: Limits) -> tuple[BinaryIO, int, UID]:
    """The stream that the data set is read from, its size, and the syntax of the data set.

    Every syntax that is not known here encodes its data set in Explicit VR Little Endian (PS3.5 A.4);
    only its pixels need a decoder.
    """
    if declared == DeflatedExplicitVRLittleEndian:
        inflated = _inflate(file, limits.max_instance_bytes)
        return io.BytesIO(inflated), len(inflated), ExplicitVRLittleEndian
    if not declared:
        return file, size_bytes, _guessed_syntax(file)
    known = declared in (ImplicitVRLittleEndian, ExplicitVRBigEndian)
    return file, size_bytes, UID(declared) if known else ExplicitVRLittleEndian


def _pixel_syntax(declared: str, read_as: UID) -> UID:
    inflated = declared == DeflatedExplicitVRLittleEndian
    return UID(declared) if declared and not inflated else read_as


def _inflate(file: BinaryIO, limit_bytes: int) -> bytes:
    """Inflate the rest of the file, and stop where it grows beyond the limit (PS3.5 A.5)."""
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    inflated = bytearray()
    while not inflater.eof:
        chunk = inflater.unconsumed_tail or file.read(_CHUNK_BYTES)
        if not chunk:
            break
        inflated += inflater.decompress(chunk, _CHUNK_BYTES)
        if len(inflated) > limit_bytes:
            raise TooLarge(f"The deflated file inflates to more than {limit_bytes} bytes.")
    return bytes(inflated)


def _guessed_syntax(file: BinaryIO) -> UID:
    """The syntax of a data set without file meta information, from its first element.

    Source:
        DICOM PS3.5 7.1.2 (explicit VR: two upper-case letters after the tag).
    """
    start = file.tell()
    tag, vr = file.read(4), file.read(2)
    file.seek(start)
    if not (vr.isalpha() and vr.isupper()):
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if tag[:1] == b"\0" else ExplicitVRLittleEndian


def _after_meta(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag.group != 2


def _at_pixel_data(tag: BaseTag, _vr: str | None, _length: int) -> bool:
    return tag in _PIXEL_KEYWORDS


def _refuse_nonsense(header: Dataset, *, at_end: bool) -> None:
    tags = sorted(header.keys())
    if not any(tag.group in (4, 8) for tag in tags):
        raise Rejected(
            "Nothing in the data set can be read: its transfer syntax is not what the file says.",
            reason="unreadable_header",
        )
    last = header.get_item(tags[-1])
    length, value = getattr(last, "length", None), getattr(last, "value", None)
    if at_end and isinstance(value, bytes) and length not in (None, _UNDEFINED_LENGTH, len(value)):
        raise Rejected("The file ends inside its header.", reason="truncated_header")


def _pixel_element(stream: BinaryIO, header: Dataset) -> PixelElement | None:
    """The element at which reading stopped; None at the end of the file (PS3.5 7.1).

    Some files are written with implicit VR under an explicit transfer syntax: what was found counts.
    """
    implicit, little = header.original_encoding
    order = "<" if little else ">"
    head = stream.read(8)
    if len(head) < 8:
        return None
    group, element = struct.unpack(f"{order}HH", head[:4])
    keyword = _PIXEL_KEYWORDS.get(group << 16 | element)
    if keyword is None:
        return None
    vr = "OW"
    if implicit:
        (length,) = struct.unpack(f"{order}L", head[4:])
    else:
        vr = head[4:6].decode("ascii", "replace")
        (length,) = struct.unpack(f"{order}L", stream.read(4))
    return PixelElement(
        keyword=keyword,
        vr=vr,
        offset=stream.tell(),
        length=None if length == _UNDEFINED_LENGTH else length,
    )
