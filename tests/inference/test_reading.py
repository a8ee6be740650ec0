from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomFileLike
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import ComprehensiveSRStorage, SegmentationStorage

from indexer.errors import Rejected, Unsupported
from inference.limits import Limits
from inference.reading import identity_of, open_instance
from tests.fakes.instance_file import instance, write
from tests.inference.conftest import PYDICOM_FILES, stored

DEFLATED = "1.2.840.10008.1.2.1.99"


def reason_of(path: Path, limits: Limits | None = None) -> str:
    with pytest.raises(Rejected) as refused, open_instance(path, limits or Limits()):
        pass
    return refused.value.reason


def deflated(body: bytes, path: Path) -> Path:
    """A deflated DICOM file around `body`, the data set after inflation."""
    whole = write(instance(), path).read_bytes()
    meta_bytes = struct.unpack("<L", whole[140:144])[0] + 144
    meta = whole[:meta_bytes].replace(b"1.2.840.10008.1.2.1\0", DEFLATED.encode()[:20])
    meta = meta.replace(
        struct.pack("<H", 20) + DEFLATED.encode()[:20], struct.pack("<H", 22) + DEFLATED.encode()
    )
    meta = meta[:140] + struct.pack("<L", len(meta) - 144) + meta[144:]
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    path.write_bytes(meta + squeezer.compress(body) + squeezer.flush())
    return path


def test_what_is_no_dicom_is_not_dicom(tmp_path: Path) -> None:
    for name, content in (("empty", b""), ("text", b"Dear colleague"), ("jpeg", b"\xff\xd8\xff\xe0" * 99)):
        path = tmp_path / name
        path.write_bytes(content)
        assert reason_of(path) == "not_dicom"


def test_a_file_larger_than_allowed_is_not_read(tmp_path: Path) -> None:
    path = write(instance(), tmp_path / "large.dcm")
    assert reason_of(path, Limits(max_instance_bytes=512)) == "too_large"


def test_a_deflated_file_is_inflated(tmp_path: Path) -> None:
    original = instance(np.arange(64, dtype="u2").reshape(8, 8))
    body = io.BytesIO()
    file = DicomFileLike(body)
    file.is_little_endian, file.is_implicit_VR = True, False
    original["PixelData"].VR = "OW"
    write_dataset(file, original)
    path = deflated(body.getvalue(), tmp_path / "deflated.dcm")
    np.testing.assert_array_equal(stored(path).values, np.arange(64).reshape(8, 8))
    np.testing.assert_array_equal(stored(PYDICOM_FILES / "image_dfl.dcm").values.shape, (512, 512))


def test_a_deflate_bomb_stops_at_the_limit(tmp_path: Path) -> None:
    path = deflated(bytes(300 * 2**20), tmp_path / "bomb.dcm")
    assert path.stat().st_size < 2**20
    assert reason_of(path, Limits(max_instance_bytes=2**24)) == "too_large"


def test_our_own_answers_are_never_read_as_images(tmp_path: Path) -> None:
    path = write(instance(Manufacturer="pacs-cbir"), tmp_path / "answer.dcm")
    assert reason_of(path) == "own_answer"


@pytest.mark.parametrize(
    ("sop_class_uid", "reason"),
    [
        (ComprehensiveSRStorage, "report"),
        (SegmentationStorage, "segmentation"),
        ("1.2.840.10008.5.1.4.1.1.88.59", "key_objects"),
        ("1.2.840.10008.5.1.4.1.1.11.1", "presentation_state"),
        ("1.2.840.10008.5.1.4.1.1.481.2", "dose_grid"),
        ("1.2.840.10008.5.1.4.1.1.481.3", "structure_set"),
        ("1.2.840.10008.5.1.4.1.1.30", "parametric_map"),
        ("1.2.840.10008.5.1.4.1.1.104.1", "encapsulated_document"),
        ("1.2.840.10008.5.1.4.1.1.9.1.1", "waveform"),
        ("1.2.840.10008.5.1.4.1.1.66", "raw_data"),
    ],
)
def test_what_is_no_clinical_image_is_skipped_with_its_own_reason(
    tmp_path: Path, sop_class_uid: str, reason: str
) -> None:
    path = write(instance(SOPClassUID=sop_class_uid), tmp_path / "other.dcm")
    with pytest.raises(Unsupported) as refused, open_instance(path, Limits()):
        pass
    assert refused.value.reason == reason


def test_an_image_without_pixel_data_is_skipped(tmp_path: Path) -> None:
    path = write(instance(PixelData=b""), tmp_path / "none.dcm")
    assert reason_of(path) == "no_pixel_data"


def test_a_header_that_is_cut_short_is_called_so(tmp_path: Path) -> None:
    whole = write(instance(AdditionalPatientHistory="x" * 400), tmp_path / "whole.dcm").read_bytes()
    path = tmp_path / "cut.dcm"
    path.write_bytes(whole[: whole.index(b"x" * 400) + 100])
    assert reason_of(path) == "truncated_header"


def test_a_header_nested_beyond_reason_is_refused(tmp_path: Path) -> None:
    opening = struct.pack("<HH2sHL", 0x0008, 0x1115, b"SQ", 0, 0xFFFFFFFF) + struct.pack(
        "<HHL", 0xFFFE, 0xE000, 0xFFFFFFFF
    )
    path = write(instance(), tmp_path / "nested.dcm")
    meta_bytes = struct.unpack("<L", path.read_bytes()[140:144])[0] + 144
    path.write_bytes(path.read_bytes()[:meta_bytes] + opening * 20_000)
    assert reason_of(path) in ("unreadable_header", "truncated_header")


def test_files_without_preamble_and_meta_information_are_read(tmp_path: Path) -> None:
    whole = (PYDICOM_FILES / "CT_small.dcm").read_bytes()
    meta_bytes = struct.unpack("<L", whole[140:144])[0] + 144
    bare = tmp_path / "bare.dcm"
    bare.write_bytes(whole[meta_bytes:])
    np.testing.assert_array_equal(stored(bare).values, stored(PYDICOM_FILES / "CT_small.dcm").values)


def test_missing_and_malformed_uids_have_their_own_reasons(tmp_path: Path) -> None:
    for uid, reason in ((None, "missing_uid"), ("", "missing_uid")):
        path = write(instance(SeriesInstanceUID=uid), tmp_path / "instance.dcm")
        with open_instance(path, Limits()) as opened, pytest.raises(Rejected) as refused:
            identity_of(opened)
        assert refused.value.reason == reason


def test_a_uid_that_is_a_path_is_refused(tmp_path: Path) -> None:
    path = write(instance(), tmp_path / "instance.dcm")
    content = path.read_bytes().replace(b"1.2.826.0.1.3680043.8.498.1.1", b"../../../../../../etc/passwd2")
    path.write_bytes(content)
    with open_instance(path, Limits()) as opened, pytest.raises(Rejected) as refused:
        identity_of(opened)
    assert refused.value.reason == "invalid_uid"


def test_an_icon_is_not_taken_for_the_pixel_data(tmp_path: Path) -> None:
    icon = Dataset()
    icon.Rows, icon.Columns, icon.BitsAllocated, icon.PixelData = 2, 2, 8, b"\1\2\3\4"
    icon["PixelData"].VR = "OB"
    path = write(instance(IconImageSequence=Sequence([icon])), tmp_path / "icon.dcm")
    assert stored(path).values.shape == (16, 16)


def test_no_refusal_quotes_the_file(tmp_path: Path) -> None:
    path = write(instance(PatientName="DOE^JANE", Rows=0), tmp_path / "named.dcm")
    with pytest.raises(Rejected) as refused:
        stored(path)
    assert "DOE" not in str(refused.value)
