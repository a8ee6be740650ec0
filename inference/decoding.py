"""Stored bytes to stored values of chosen frames, within limits."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.uid import (
    UID,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
)

from indexer.errors import NotFound, Rejected, TooLarge
from inference.codestream import declared_size, holds_ybr, is_complete, with_whole_blocks
from inference.limits import Limits
from inference.reading import InstanceFile, text_of

StoredValues = NDArray[Any]

_PLUGINS: Final[Mapping[str, tuple[str, ...]]] = {
    "1.2.840.10008.1.2.4.50": ("gdcm", "pylibjpeg", "pillow"),
    "1.2.840.10008.1.2.4.51": ("pylibjpeg", "gdcm", "pillow"),
    "1.2.840.10008.1.2.4.57": ("gdcm", "pylibjpeg"),
    "1.2.840.10008.1.2.4.70": ("gdcm", "pylibjpeg"),
    "1.2.840.10008.1.2.4.80": ("pyjpegls", "gdcm", "pylibjpeg"),
    "1.2.840.10008.1.2.4.81": ("pyjpegls", "gdcm", "pylibjpeg"),
    "1.2.840.10008.1.2.4.90": ("gdcm", "pylibjpeg", "pillow"),
    "1.2.840.10008.1.2.4.91": ("gdcm", "pylibjpeg", "pillow"),
    "1.2.840.10008.1.2.5": ("pylibjpeg", "pydicom"),
}
"""Fastest exact plugin first, by transfer syntax; whatever else is installed comes after."""

_EXTENDED_JPEG: Final = "1.2.840.10008.1.2.4.51"
_READ_AS: Final[Mapping[str, str]] = {
    "1.2.840.10008.1.2.4.53": _EXTENDED_JPEG,
    "1.2.840.10008.1.2.4.55": _EXTENDED_JPEG,
}
"""Retired syntaxes (spectral selection, full progression) that pydicom does not name, and whose frames the
codec of another one reads."""

_LOSSY_JPEG: Final = frozenset(("1.2.840.10008.1.2.4.50", _EXTENDED_JPEG, *_READ_AS))
_WITH_END_MARKER: Final = frozenset(
    [*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes, *_READ_AS]
)
_PHOTOMETRIC: Final = frozenset(
    ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
)
_ITEM_TAG: Final = b"\xfe\xff\x00\xe0"
_FLOAT_BITS: Final = {"FloatPixelData": 32, "DoubleFloatPixelData": 64}


@dataclass(frozen=True, slots=True)
class PixelDescription:
    """The Image Pixel Module (PS3.3 C.7.6.3) as plain checked numbers."""

    rows: int
    columns: int
    samples_per_pixel: int
    photometric_interpretation: str
    bits_allocated: int
    bits_stored: int
    pixel_representation: int
    planar_configuration: int
    number_of_frames: int

    @property
    def frame_bits(self) -> int:
        """Bits of one uncompressed frame; YBR_FULL_422 stores two of three samples (C.7.6.3.1.2)."""
        bits = self.rows * self.columns * self.samples_per_pixel * self.bits_allocated
        return bits * 2 // 3 if self.photometric_interpretation == "YBR_FULL_422" else bits


@dataclass(frozen=True, slots=True)
class StoredFrame:
    """Stored values of one frame, with the header they must be read by.

    `values` is (rows, columns) or (rows, columns, 3). `photometric_interpretation` and `bits_stored`
    are those of `values`: a decoder may have turned YBR into RGB.
    """

    header: Dataset
    frame_index: int
    values: StoredValues
    photometric_interpretation: str
    bits_stored: int


class StoredPixels:
    """The frames of one open instance, decoded one at a time."""

    def __init__(self, instance: InstanceFile, limits: Limits) -> None:
        """Check the header against the limits; nothing is allocated yet.

        Raises:
            TooLarge: a frame is larger than the limits allow.
            Rejected: the Image Pixel Module is incomplete or contradicts itself, or no decoder knows
                the transfer syntax.
        """
        if instance.pixels is None:
            raise Rejected("The instance has no pixel data.", reason="no_pixel_data")
        self._instance = instance
        self._element = instance.pixels
        self._limits = limits
        self.description = describe_pixels(instance, limits)
        self._decoder = _decoder_for(instance)

    def frame(self, frame_index: int) -> StoredFrame:
        """Decode one frame without decoding the others.

        Args:
            frame_index: 0-based.

        Raises:
            NotFound: there is no such frame.
            TooLarge: the codestream claims more than the limits allow.
            Rejected: the pixel data are cut short (truncated_pixel_data) or broken.
        """
        if not 0 <= frame_index < self.description.number_of_frames:
            raise NotFound(
                f"There is no frame {frame_index + 1}: the instance has {self.description.number_of_frames}."
            )
        self._refuse_mismatch()
        if self._decoder.is_native:
            self._refuse_missing_bytes(frame_index)
        else:
            self._refuse_hostile_codestream(frame_index)
        values, properties = self._decoded(frame_index)
        return StoredFrame(
            header=self._instance.header,
            frame_index=frame_index,
            values=values,
            photometric_interpretation=self._photometric(
                str(properties["photometric_interpretation"]), frame_index
            ),
            bits_stored=int(properties.get("bits_stored", self.description.bits_stored)),
        )

    def _photometric(self, decoded: str, frame_index: int) -> str:
        """What the values are: some toolkits call the YCbCr of a JPEG frame RGB."""
        if decoded != "RGB" or self._instance.transfer_syntax_uid not in _LOSSY_JPEG:
            return decoded
        called_rgb = self.description.photometric_interpretation == "RGB"
        return "YBR_FULL" if called_rgb and holds_ybr(self._encoded(frame_index)) else decoded

    def _refuse_mismatch(self) -> None:
        """Encapsulated pixel data have no length, native ones do (PS3.5 A.4); some writers forget."""
        encapsulated = self._element.length is None
        if not encapsulated and not self._decoder.is_native:
            self._instance.stream.seek(self._element.offset)
            encapsulated = self._instance.stream.read(4) == _ITEM_TAG
        if encapsulated == self._decoder.is_native:
            raise Rejected(
                "The pixel data are not encoded as the transfer syntax says.",
                reason="transfer_syntax_mismatch",
            )

    def _refuse_missing_bytes(self, frame_index: int) -> None:
        length = self._element.length or 0
        available = min(length, self._instance.size_bytes - self._element.offset)
        if math.ceil(self.description.frame_bits * (frame_index + 1) / 8) > available:
            raise Rejected("The pixel data end before the frame does.", reason="truncated_pixel_data")

    def _refuse_hostile_codestream(self, frame_index: int) -> None:
        if self._instance.transfer_syntax_uid not in _WITH_END_MARKER:
            return
        encoded = self._encoded(frame_index)
        if not is_complete(encoded):
            raise Rejected("The encoded frame is cut short.", reason="truncated_pixel_data")
        size = declared_size(encoded)
        if size is not None and size[0] * size[1] > self._limits.max_frame_pixels:
            raise TooLarge(f"The codestream claims {size[0]} x {size[1]} pixels.")

    def _encoded(self, frame_index: int) -> bytes:
        stream = self._instance.stream
        stream.seek(self._element.offset)
        try:
            return get_frame(
                stream,
                frame_index,
                number_of_frames=self.description.number_of_frames,
                extended_offsets=_extended_offsets(self._instance.header),
            )
        except Exception as error:  # pydicom raises anything over a broken item structure
            raise Rejected("The frame is not among the pixel data.", reason="truncated_pixel_data") from error

    def _decoded(self, frame_index: int) -> tuple[StoredValues, Mapping[str, Any]]:
        if self._decoder.is_native and self.description.bits_allocated == 1:
            return self._unpacked(frame_index), {
                "photometric_interpretation": self.description.photometric_interpretation
            }
        stream, offset, index, options = self._source(frame_index)
        failure: BaseException | None = None
        for plugin in _plugins_of(self._decoder):
            stream.seek(offset)
            try:
                return self._decoder.as_array(stream, index=index, decoding_plugin=plugin, **options)
            except MemoryError as error:
                raise TooLarge("The frame does not fit into the memory a decoder may use.") from error
            except (KeyboardInterrupt, SystemExit):
                raise
            except BaseException as error:  # noqa: BLE001 - codecs raise anything; those in Rust panic
                failure = error
        self._say_what_is_not_installed()
        raise Rejected(
            f"No decoder can read the frame ({type(failure).__name__}).", reason="undecodable_pixel_data"
        ) from failure

    def _say_what_is_not_installed(self) -> None:
        """The one decoder that is optional: of lossy JPEG beyond 8 bits and of the retired kinds (GPL)."""
        wanted = self.description.bits_stored > 8 or self._instance.transfer_syntax_uid in _READ_AS
        if (
            wanted
            and self._decoder.UID == _EXTENDED_JPEG
            and "pylibjpeg" not in self._decoder.available_plugins
        ):
            raise Rejected(
                "12-bit lossy JPEG needs the optional decoder: pip install -r requirements/jpeg12.lock.",
                reason="missing_decoder",
            )

    def _source(self, frame_index: int) -> tuple[BinaryIO, int, int, dict[str, Any]]:
        """Where a decoder reads the frame: stream, offset, index and options.

        The file's pixel data, or one frame by itself where it had to be put right.
        """
        options = self._options()
        if self._instance.transfer_syntax_uid in _LOSSY_JPEG:
            whole = with_whole_blocks(self._encoded(frame_index))
            if whole is not None:
                alone = io.BytesIO(encapsulate([whole], has_bot=False))
                options.pop("extended_offsets", None)
                return alone, 0, 0, {**options, "number_of_frames": 1}
        return self._instance.stream, self._element.offset, frame_index, options

    def _unpacked(self, frame_index: int) -> StoredValues:
        """Single bits: a frame may begin inside a byte, where pydicom 3.0.2 loses the last of them."""
        description = self.description
        first = description.frame_bits * frame_index
        last = first + description.frame_bits
        stream = self._instance.stream
        stream.seek(self._element.offset + first // 8)
        packed = np.frombuffer(stream.read(-(-last // 8) - first // 8), dtype=np.uint8)
        bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + description.frame_bits]
        return bits.reshape(description.rows, description.columns)

    def _options(self) -> dict[str, Any]:
        description = self.description
        options: dict[str, Any] = {
            name: getattr(description, name) for name in PixelDescription.__dataclass_fields__
        }
        options["pixel_keyword"] = self._element.keyword
        options["pixel_vr"] = self._element.vr
        offsets = _extended_offsets(self._instance.header)
        if offsets is not None:
            options["extended_offsets"] = offsets
        return options


def describe_pixels(instance: InstanceFile, limits: Limits) -> PixelDescription:
    """The checked Image Pixel Module.

    Planar Configuration, Pixel Representation, Bits Stored and Number of Frames may be missing; the
    others may not. Raises Rejected (invalid_header) or TooLarge.
    """
    header = instance.header
    keyword = instance.pixels.keyword if instance.pixels else "PixelData"
    bits_allocated = _FLOAT_BITS.get(keyword) or _number(header, "BitsAllocated")
    description = PixelDescription(
        rows=_number(header, "Rows"),
        columns=_number(header, "Columns"),
        samples_per_pixel=_number(header, "SamplesPerPixel"),
        photometric_interpretation=text_of(header, "PhotometricInterpretation"),
        bits_allocated=bits_allocated,
        bits_stored=_number(header, "BitsStored", bits_allocated),
        pixel_representation=_number(header, "PixelRepresentation", 0),
        planar_configuration=_number(header, "PlanarConfiguration", 0),
        number_of_frames=max(_number(header, "NumberOfFrames", 1), 1),
    )
    _refuse_contradictions(description)
    _refuse_excess(description, limits)
    return description


def _refuse_contradictions(description: PixelDescription) -> None:
    checks = {
        "Rows": 0 < description.rows < 2**16,
        "Columns": 0 < description.columns < 2**16,
        "SamplesPerPixel": description.samples_per_pixel in (1, 3),
        "PhotometricInterpretation": description.photometric_interpretation in _PHOTOMETRIC,
        "BitsAllocated": description.bits_allocated in (1, 8, 16, 32, 64),
        "BitsStored": 0 < description.bits_stored <= description.bits_allocated,
        "PixelRepresentation": description.pixel_representation in (0, 1),
        "PlanarConfiguration": description.planar_configuration in (0, 1),
    }
    for keyword, holds in checks.items():
        if not holds:
            raise Rejected(f"{keyword} is missing or has no valid value.", reason="invalid_header")
    grey = description.photometric_interpretation in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
    colour_bits = not grey and description.bits_allocated == 1
    if grey != (description.samples_per_pixel == 1) or colour_bits:
        raise Rejected(
            "SamplesPerPixel, PhotometricInterpretation and BitsAllocated contradict each other.",
            reason="invalid_header",
        )


def _refuse_excess(description: PixelDescription, limits: Limits) -> None:
    pixels = description.rows * description.columns
    if pixels > limits.max_frame_pixels:
        raise TooLarge(f"A frame has {pixels} pixels; {limits.max_frame_pixels} are allowed.")
    frame_bytes = pixels * description.samples_per_pixel * max(description.bits_allocated, 8) // 8
    if frame_bytes > limits.max_frame_bytes:
        raise TooLarge(f"A frame has {frame_bytes} bytes; {limits.max_frame_bytes} are allowed.")


def _number(header: Dataset, keyword: str, default: int | None = None) -> int:
    """A whole number of the header; 0, which no check lets pass, when it is missing or nonsense."""
    text = text_of(header, keyword)
    if not text and default is not None:
        return default
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return 0


def _decoder_for(instance: InstanceFile) -> Decoder:
    syntax = instance.transfer_syntax_uid
    try:
        decoder = get_decoder(UID(_READ_AS.get(syntax, syntax)))
    except NotImplementedError as error:
        raise Rejected(
            "No decoder knows the transfer syntax of the pixel data.", reason="unsupported_transfer_syntax"
        ) from error
    return decoder


def _plugins_of(decoder: Decoder) -> tuple[str, ...]:
    """Decoding plugins in the order to try them; one empty name for native pixel data."""
    if decoder.is_native:
        return ("",)
    available = decoder.available_plugins
    wanted = [name for name in _PLUGINS.get(decoder.UID, ()) if name in available]
    return tuple(wanted + [name for name in available if name not in wanted])


def _extended_offsets(header: Dataset) -> tuple[bytes, bytes] | None:
    offsets, lengths = header.get("ExtendedOffsetTable"), header.get("ExtendedOffsetTableLengths")
    if isinstance(offsets, bytes) and isinstance(lengths, bytes) and len(offsets) == len(lengths):
        return offsets, lengths
    return None
