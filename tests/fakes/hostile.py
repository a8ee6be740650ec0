"""Files made to harm whoever reads them, each with the reasons that would be true of it."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from tests.fakes.instance_file import instance, ramp
from tests.inference.conftest import PYDICOM_FILES

GIANT = 60_000
MANY_FRAMES = 2**31 - 1
BOMB_BYTES = 2 * 2**30
DEPTH = 20_000
EMPTY_ITEMS = 2_000_000

_SEQUENCE = struct.pack("<HH2sHL", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF)
_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF)
_EMPTY_ITEM = struct.pack("<HHL", 0xFFFE, 0xE000, 0)

Build = Callable[[Dataset], bytes]


def whole(dataset: Dataset, transfer_syntax_uid: str = ExplicitVRLittleEndian) -> bytes:
    """A DICOM file."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = UID(transfer_syntax_uid)
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    file = BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def _body_of(content: bytes) -> int:
    """Where the data set begins, after the file meta information (PS3.10 7.1)."""
    return int(struct.unpack("<L", content[140:144])[0]) + 144


def _giant_header(dataset: Dataset) -> bytes:
    dataset.Rows = dataset.Columns = GIANT
    return whole(dataset)


def many_frames(dataset: Dataset) -> bytes:
    """One frame, and the claim that there are as many as Number of Frames can say."""
    dataset.NumberOfFrames = MANY_FRAMES
    return whole(dataset)


def _encapsulated(dataset: Dataset, frame: bytes, syntax: str, **elements: object) -> bytes:
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return whole(dataset, syntax)


def _frame_of(name: str) -> bytearray:
    dataset = pydicom.dcmread(PYDICOM_FILES / name)
    return bytearray(next(generate_frames(dataset.PixelData, number_of_frames=1)))


def _giant_jpeg2000(dataset: Dataset) -> bytes:
    frame = _frame_of("MR_small_jp2klossless.dcm")
    frame[8:16] = struct.pack(">2L", GIANT, GIANT)
    return _encapsulated(dataset, bytes(frame), JPEG2000Lossless)


def _giant_jpeg(dataset: Dataset) -> bytes:
    frame = _frame_of("SC_rgb_jpeg_dcmtk.dcm")
    at = frame.index(b"\xff\xc0") + 5
    frame[at : at + 4] = struct.pack(">2H", GIANT, GIANT)
    colour = {"SamplesPerPixel": 3, "PhotometricInterpretation": "YBR_FULL", "PlanarConfiguration": 0}
    depth = {"BitsAllocated": 8, "BitsStored": 8, "HighBit": 7}
    return _encapsulated(dataset, bytes(frame), JPEGBaseline8Bit, **colour, **depth)


def _run_length_bomb(dataset: Dataset) -> bytes:
    """Two segments of runs that together expand to a hundred times the frame."""
    run = b"\x81\x00" * 500_000
    header = struct.pack("<16L", 2, 64, 64 + len(run), *[0] * 13)
    return _encapsulated(dataset, header + run + run, RLELossless)


def _deflate_bomb(dataset: Dataset) -> bytes:
    content = whole(dataset, DeflatedExplicitVRLittleEndian)
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    block, packed = bytes(2**24), bytearray()
    packed += packer.compress(struct.pack("<HH2sHL", 0x0009, 0x1000, b"OB", 0, BOMB_BYTES))
    for _ in range(BOMB_BYTES // len(block)):
        packed += packer.compress(block)
    return content[: _body_of(content)] + bytes(packed + packer.flush())


def _cut_in_a_sequence(dataset: Dataset) -> bytes:
    content = whole(dataset)
    inside = struct.pack("<HH2sH", 0x0008, 0x1150, b"UI", 26) + b"1.2.840."
    return content[: _body_of(content)] + _SEQUENCE + _ITEM + inside


def _deep(dataset: Dataset) -> bytes:
    content = whole(dataset)
    return content[: _body_of(content)] + (_SEQUENCE + _ITEM) * DEPTH


def _endless_items(dataset: Dataset) -> bytes:
    content = whole(dataset)
    return content[: _body_of(content)] + _SEQUENCE + _EMPTY_ITEM * EMPTY_ITEMS


def _offsets_in_a_circle(dataset: Dataset) -> bytes:
    dataset.NumberOfFrames = 4
    dataset.ExtendedOffsetTable = struct.pack("<4Q", 2**63, 0, 2**40, 0)
    dataset.ExtendedOffsetTableLengths = struct.pack("<4Q", *[2**62] * 4)
    return _encapsulated(dataset, b"\xff\x4f\xff\x51" + bytes(64), JPEG2000Lossless)


def _cut_pixels(dataset: Dataset) -> bytes:
    return whole(dataset)[:-200]


HOSTILE: dict[str, tuple[Build, frozenset[str]]] = {
    "giant-header": (_giant_header, frozenset(["too_large"])),
    "giant-jpeg2000": (_giant_jpeg2000, frozenset(["too_large"])),
    "giant-jpeg": (_giant_jpeg, frozenset(["too_large"])),
    "run-length-bomb": (_run_length_bomb, frozenset(["undecodable_pixel_data", "blank_frame"])),
    "deflate-bomb": (_deflate_bomb, frozenset(["too_large"])),
    "cut-in-a-sequence": (_cut_in_a_sequence, frozenset(["truncated_header"])),
    "deep-sequences": (_deep, frozenset(["truncated_header", "unreadable_header", "too_large"])),
    "endless-items": (
        _endless_items,
        frozenset(["truncated_header", "unreadable_header", "too_large", "decode_timeout"]),
    ),
    "offsets-in-a-circle": (
        _offsets_in_a_circle,
        frozenset(["truncated_pixel_data", "undecodable_pixel_data"]),
    ),
    "cut-pixels": (_cut_pixels, frozenset(["truncated_pixel_data"])),
}
"""What is done to an honest instance, and what may truly be said of the result."""


def honest(number: int) -> Dataset:
    """A small instance with a study and a series of its own, alike to no other."""
    values = np.random.default_rng(number).integers(0, 4000, (16, 16)).astype("u2")
    uids = {"StudyInstanceUID": f"1.2.3.{number}", "SeriesInstanceUID": f"1.2.3.{number}.1"}
    return instance(values + ramp(), SOPInstanceUID=f"1.2.3.{number}.1.1", Modality="MR", **uids)
