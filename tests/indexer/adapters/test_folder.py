"""A folder holds what it holds: strangers, copies, broken files and traps included."""

from __future__ import annotations

import os
import random
import shutil
import struct
import tracemalloc
import zlib
from io import BytesIO
from pathlib import Path
from typing import BinaryIO

import pydicom.data
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
)

from indexer.adapters.folder import FolderArchive, RejectedFile, scan
from indexer.adapters.folder.header import Header, NoHeader, read_header
from indexer.domain import SeriesReference
from indexer.errors import ArchiveUnavailable, NotFound
from indexer.ports import Caller
from tests.indexer.adapters.conftest import ct_instance, dicom_bytes

PYDICOM_FILES = sorted(
    path for path in (Path(pydicom.data.__file__).parent / "test_files").rglob("*") if path.is_file()
)
ITEM = b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
SEQUENCE = b"\x08\x00\x15\x11SQ\x00\x00\xff\xff\xff\xff"
TO_DATASET = dicom_bytes(ct_instance())[:132]


def header_of(content: bytes) -> Header | NoHeader:
    return read_header(BytesIO(content))


def refusal_of(content: bytes) -> str:
    header = header_of(content)
    assert isinstance(header, NoHeader)
    return header.reason


def preamble(transfer_syntax: bytes = b"1.2.840.10008.1.2.1\0") -> bytes:
    meta = b"\x02\x00\x10\x00UI" + struct.pack("<H", len(transfer_syntax)) + transfer_syntax
    return b"\0" * 128 + b"DICM" + meta


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


class TestWhatIsFound:
    def test_series_lie_anywhere_under_any_name(self, folder: Path) -> None:
        (folder / "a" / "b c").mkdir(parents=True)
        (folder / "IM0001").write_bytes(dicom_bytes(ct_instance(1)))
        (folder / "a" / "b c" / "ünder.xyz").write_bytes(dicom_bytes(ct_instance(2)))
        archive = FolderArchive(folder)
        (listed,) = archive.list_series()
        assert listed.reference == SeriesReference("1.2.3", "1.2.3.1", "1.2.3/1.2.3.1")
        assert len(archive.series("1.2.3/1.2.3.1").instances) == 2

    def test_the_files_are_given_where_they_are(self, folder: Path, tmp_path: Path) -> None:
        path = folder / "one.dcm"
        path.write_bytes(dicom_bytes(ct_instance(1)))
        into = tmp_path / "into"
        into.mkdir()
        archive = FolderArchive(folder)
        (fetched,) = archive.fetch(archive.series("1.2.3/1.2.3.1").instances, into)
        assert fetched.path == path
        assert list(into.iterdir()) == []

    def test_what_is_not_dicom_is_counted_and_nothing_else(self, folder: Path) -> None:
        (folder / "notes.txt").write_text("DICM is written here")
        (folder / "empty").touch()
        (folder / "noise").write_bytes(random.Random(1).randbytes(5000))
        archive = FolderArchive(folder)
        assert list(archive.list_series()) == []
        assert (archive.not_dicom, archive.rejected) == (3, ())

    def test_a_dicomdir_is_passed_over(self, folder: Path) -> None:
        directory = ct_instance(1)
        directory.SOPClassUID = MediaStorageDirectoryStorage
        (folder / "DICOMDIR").write_bytes(dicom_bytes(directory))
        archive = FolderArchive(folder)
        assert list(archive.list_series()) == []
        assert (archive.not_dicom, archive.rejected) == (1, ())

    @pytest.mark.parametrize("missing", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
    def test_dicom_without_uids_is_rejected_with_that_reason(self, folder: Path, missing: str) -> None:
        dataset = ct_instance(1)
        delattr(dataset, missing)
        buffer = BytesIO()
        dataset.file_meta.MediaStorageSOPInstanceUID = UID("1.2")
        dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        dataset.save_as(buffer, enforce_file_format=False)
        (folder / "x.dcm").write_bytes(TO_DATASET[:132] + buffer.getvalue()[132:])
        archive = FolderArchive(folder)
        assert list(archive.list_series()) == []
        assert archive.rejected == (RejectedFile("x.dcm", "no_uids"),)

    def test_of_two_files_with_one_uid_the_first_by_path_is_the_instance(self, folder: Path) -> None:
        for name, fill in (("z.dcm", 1), ("b/x.dcm", 2), ("b.dcm", 3)):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(dicom_bytes(ct_instance(1, fill=fill)))
        archive = FolderArchive(folder)
        (instance,) = archive.series("1.2.3/1.2.3.1").instances
        assert instance.archive_id == "b.dcm"
        assert archive.duplicates == 2
        assert archive.find_instance("1.2.3.1.1") == instance
        (folder / "b.dcm").unlink()
        assert archive.find_instance("1.2.3.1.1").archive_id == "b/x.dcm"

    def test_a_link_to_a_folder_is_no_endless_loop(self, folder: Path) -> None:
        (folder / "one.dcm").write_bytes(dicom_bytes(ct_instance(1)))
        (folder / "loop").symlink_to(folder, target_is_directory=True)
        (folder / "dangling").symlink_to(folder / "nowhere")
        assert len(list(FolderArchive(folder).list_series())) == 1

    def test_a_pipe_is_not_waited_for(self, folder: Path) -> None:
        os.mkfifo(folder / "pipe")
        assert list(FolderArchive(folder).list_series()) == []

    def test_a_folder_that_is_not_there_is_unavailable_rather_than_empty(self, folder: Path) -> None:
        (folder / "a file").touch()
        for missing in (folder / "unmounted", folder / "a file"):
            with pytest.raises(ArchiveUnavailable):
                list(FolderArchive(missing).list_series())

    def test_a_folder_that_goes_away_is_unavailable(self, folder: Path) -> None:
        (folder / "x").mkdir()
        (folder / "x" / "one.dcm").write_bytes(dicom_bytes(ct_instance(1)))
        archive = FolderArchive(folder / "x")
        assert len(list(archive.list_series())) == 1
        shutil.rmtree(folder / "x")
        with pytest.raises(ArchiveUnavailable):
            archive.series("1.2.3/1.2.3.1")

    def test_two_folders_have_two_names_that_say_nothing_of_their_paths(self, folder: Path) -> None:
        names = {FolderArchive(folder / name).name for name in ("Doe^Jane", "Doe^John", "Doe^Jane")}
        assert len(names) == 2
        assert not any("doe" in name.lower() for name in names)

    def test_a_name_of_strange_bytes_is_a_name(self, folder: Path) -> None:
        strange = os.fsencode(folder) + b"/\xff\xfe.dcm"
        with open(strange, "wb") as file:  # noqa: PTH123
            file.write(dicom_bytes(ct_instance(1)))
        archive = FolderArchive(folder)
        (fetched,) = archive.fetch(archive.series("1.2.3/1.2.3.1").instances, folder)
        assert fetched.path.read_bytes() == dicom_bytes(ct_instance(1))

    def test_everybody_sees_everything(self, folder: Path) -> None:
        (folder / "one.dcm").write_bytes(dicom_bytes(ct_instance(1)))
        archive = FolderArchive(folder)
        references = [listed.reference for listed in archive.list_series()]
        for credentials in (None, {}, {"token": "x"}):
            assert archive.visible(Caller("x", credentials), references) == {"1.2.3/1.2.3.1"}


class TestLookingAgain:
    def test_only_what_changed_is_read_again(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for n in range(1, 4):
            (folder / f"{n}.dcm").write_bytes(dicom_bytes(ct_instance(n)))
        archive = FolderArchive(folder)
        list(archive.list_series())
        read: list[str] = []

        def noting(file: BinaryIO) -> Header | NoHeader:
            read.append(Path(file.name).name)
            return read_header(file)

        monkeypatch.setattr(scan, "read_header", noting)
        list(archive.list_series())
        assert read == []
        (folder / "2.dcm").write_bytes(dicom_bytes(ct_instance(2, size=20)))
        list(archive.list_series())
        assert read == ["2.dcm"]

    def test_a_file_in_another_folder_joins_its_series_at_the_next_listing(self, folder: Path) -> None:
        (folder / "a").mkdir()
        (folder / "a" / "1.dcm").write_bytes(dicom_bytes(ct_instance(1)))
        archive = FolderArchive(folder)
        (before,) = archive.list_series()
        (folder / "b").mkdir()
        (folder / "b" / "2.dcm").write_bytes(dicom_bytes(ct_instance(2)))
        (after,) = archive.list_series()
        assert before.revision != after.revision
        assert len(archive.series("1.2.3/1.2.3.1").instances) == 2

    def test_moving_the_whole_folder_changes_no_fingerprint(self, folder: Path) -> None:
        (folder / "x").mkdir()
        (folder / "x" / "1.dcm").write_bytes(dicom_bytes(ct_instance(1)))
        before = FolderArchive(folder / "x").series("1.2.3/1.2.3.1").fingerprint
        (folder / "x").rename(folder / "y")
        assert FolderArchive(folder / "y").series("1.2.3/1.2.3.1").fingerprint == before

    def test_an_instance_that_was_deleted_is_not_found_from_memory(self, folder: Path) -> None:
        (folder / "1.dcm").write_bytes(dicom_bytes(ct_instance(1)))
        archive = FolderArchive(folder)
        archive.find_instance("1.2.3.1.1")
        (folder / "1.dcm").unlink()
        with pytest.raises(NotFound):
            archive.find_instance("1.2.3.1.1")
        assert archive.series_of_study("1.2.3") == ()


@pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
@pytest.mark.parametrize("path", PYDICOM_FILES, ids=lambda path: path.name)
def test_every_file_of_pydicom_is_read_as_pydicom_reads_it(path: Path) -> None:
    with path.open("rb") as file:
        header = read_header(file)
    try:
        dataset = dcmread(path, stop_before_pixels=True)
        uids = tuple(str(dataset[name].value) for name in ("StudyInstanceUID", "SeriesInstanceUID"))
        uids += (str(dataset["SOPInstanceUID"].value),)
        frames = int(dataset.get("NumberOfFrames", 1) or 1)
    except (InvalidDicomError, KeyError, ValueError, NotImplementedError, EOFError):
        return
    if isinstance(header, NoHeader):
        assert header.reason in ("dicomdir", "no_uids")
        return
    assert (header.study_instance_uid, header.series_instance_uid, header.sop_instance_uid) == uids
    assert header.number_of_frames == frames


@pytest.mark.parametrize(
    "transfer_syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
)
def test_a_header_is_read_in_every_encoding(transfer_syntax: UID) -> None:
    dataset = ct_instance(4)
    inner = Dataset()
    inner.ReferencedSOPInstanceUID = "9.9.9"
    dataset.ReferencedStudySequence = [inner, inner]
    dataset["ReferencedStudySequence"].is_undefined_length = True
    inner.is_undefined_length_sequence_item = True
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    header = header_of(dicom_bytes(dataset))
    assert isinstance(header, Header)
    assert (header.sop_instance_uid, header.instance_number) == ("1.2.3.1.4", 4)
    assert header.position_mm == 10.0


class TestTraps:
    def test_a_million_nested_items_are_given_up_on(self) -> None:
        assert refusal_of(preamble() + SEQUENCE + (ITEM + SEQUENCE) * 1_000_000) == "malformed"

    def test_a_million_empty_items_are_given_up_on_without_keeping_them(self) -> None:
        content = preamble() + SEQUENCE + b"\xfe\xff\x00\xe0\0\0\0\0" * 1_000_000
        tracemalloc.start()
        try:
            reason = refusal_of(content)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert reason == "malformed"
        assert peak_bytes < 4_000_000 + len(content)

    def test_a_sequence_that_never_ends_is_malformed(self) -> None:
        assert refusal_of(preamble() + SEQUENCE + ITEM) == "malformed"

    def test_a_length_beyond_the_file_is_the_end_of_it(self) -> None:
        content = preamble() + b"\x08\x00\x18\x00OB\x00\x00\xfe\xff\xff\xff" + b"1.2.3"
        assert refusal_of(content) == "no_uids"

    def test_a_gigabyte_in_a_uid_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "sparse.dcm"
        with path.open("wb") as file:
            file.write(preamble() + b"\x08\x00\x18\x00UN\x00\x00" + struct.pack("<I", 2**30))
            file.truncate(2**30 + 1000)
        tracemalloc.start()
        try:
            with path.open("rb") as file:
                header = read_header(file)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert header == NoHeader("no_uids")
        assert peak_bytes < 1_000_000

    def test_a_bomb_of_zeros_is_inflated_only_a_little(self) -> None:
        deflater = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        bomb = b"".join(deflater.compress(b"\0" * 2**20) for _ in range(512)) + deflater.flush()
        content = preamble(b"1.2.840.10008.1.2.1.99") + bomb
        tracemalloc.start()
        try:
            refused = header_of(content)
            _, peak_bytes = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert isinstance(refused, NoHeader)
        assert peak_bytes < 32 * 2**20

    def test_a_uid_that_would_climb_out_of_its_place_is_no_uid(self) -> None:
        dataset = ct_instance(1)
        content = dicom_bytes(dataset).replace(b"1.2.3.1\0", b"../../..")
        assert refusal_of(content) == "no_uids"

    @settings(max_examples=300, deadline=60_000)
    @given(st.binary(max_size=600))
    def test_noise_after_a_preamble_is_survived(self, noise: bytes) -> None:
        header_of(preamble() + noise)

    @settings(max_examples=300, deadline=60_000)
    @given(st.integers(min_value=132, max_value=900), st.binary(min_size=1, max_size=12))
    def test_a_damaged_header_is_survived(self, position: int, damage: bytes) -> None:
        content = bytearray(dicom_bytes(ct_instance(1)))
        content[position : position + len(damage)] = damage
        header = header_of(bytes(content))
        assert isinstance(header, Header | NoHeader)

    @settings(max_examples=100, deadline=60_000)
    @given(st.integers(min_value=0, max_value=1200))
    def test_a_file_that_breaks_off_is_survived(self, length: int) -> None:
        header = header_of(dicom_bytes(ct_instance(1))[:length])
        assert isinstance(header, Header | NoHeader)
