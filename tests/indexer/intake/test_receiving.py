"""What somebody uploads: what is taken, what is ignored, what is refused."""

from __future__ import annotations

import io
import struct
import zipfile
from pathlib import Path

import pytest

from indexer.errors import Rejected, TooLarge
from indexer.intake import Received, reader_for, received, zip_archive
from indexer.intake.multipart_related import RelatedBody
from tests.fakes.answers import instance

MIB = 2**20


def dicom(study: str = "1", number: int = 1) -> bytes:
    buffer = io.BytesIO()
    instance(study, number=number).save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def archive(entries: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as opened:
        for name, content in entries.items():
            opened.writestr(name, content)
    return buffer.getvalue()


def form(files: dict[str, bytes], boundary: str = "edge") -> tuple[str, bytes]:
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files.items()
    ]
    return f"multipart/form-data; boundary={boundary}", b"".join(parts) + f"--{boundary}--\r\n".encode()


def take(
    tmp_path: Path, content_type: str, body: bytes, *, max_bytes: int = MIB, step: int = 1000
) -> Received:
    parts = tmp_path / "parts"
    parts.mkdir()
    with reader_for(content_type, parts, max_bytes=max_bytes) as reader:
        for start in range(0, len(body), step):
            reader.feed(body[start : start + step])
        files = reader.finish()
    return received(files, tmp_path, max_bytes=max_bytes)


def contents(found: Received) -> list[bytes]:
    return [path.read_bytes() for path in found.paths]


def test_one_dicom_file_is_taken_as_it_is(tmp_path: Path) -> None:
    found = take(tmp_path, "application/dicom", dicom())
    assert contents(found) == [dicom()]
    assert found.ignored == 0


def test_a_zip_archive_is_taken_for_what_it_holds_and_the_rest_is_counted(tmp_path: Path) -> None:
    body = archive({"a/1.dcm": dicom(number=1), "a/readme.txt": b"hello", "2": dicom(number=2)})
    found = take(tmp_path, "application/zip", body)
    assert contents(found) == [dicom(number=1), dicom(number=2)]
    assert found.ignored == 1


def test_a_zip_archive_may_be_called_dicom_or_by_its_name_in_windows(tmp_path: Path) -> None:
    found = take(tmp_path, "application/x-zip-compressed; charset=binary", archive({"1": dicom()}))
    assert contents(found) == [dicom()]


def test_a_multipart_related_body_gives_its_parts(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b"]
    for number, path in enumerate(files, start=1):
        path.write_bytes(dicom(number=number))
    body = RelatedBody(files)
    found = take(tmp_path, body.content_type, b"".join(body))
    assert contents(found) == [dicom(number=1), dicom(number=2)]


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_a_form_gives_its_files_however_its_bytes_come(tmp_path: Path, step: int) -> None:
    content_type, body = form({"1.dcm": dicom(number=1), "notes.txt": b"hello", "2.dcm": dicom(number=2)})
    found = take(tmp_path, content_type, body, step=step)
    assert contents(found) == [dicom(number=1), dicom(number=2)]
    assert found.ignored == 1


def test_a_form_may_carry_an_archive_beside_files(tmp_path: Path) -> None:
    content_type, body = form({"1.dcm": dicom(number=1), "x.zip": archive({"2": dicom(number=2)})})
    assert contents(take(tmp_path, content_type, body)) == [dicom(number=1), dicom(number=2)]


def test_a_field_that_is_no_file_is_refused_not_ignored(tmp_path: Path) -> None:
    body = b'--edge\r\nContent-Disposition: form-data; name="limit"\r\n\r\n3\r\n--edge--\r\n'
    with pytest.raises(Rejected, match="into the query"):
        take(tmp_path, "multipart/form-data; boundary=edge", body)


@pytest.mark.parametrize(
    ("content_type", "body", "reason"),
    [
        ("application/pdf", b"%PDF", "bad_content_type"),
        ("", b"", "bad_content_type"),
        ("multipart/form-data", b"", "bad_content_type"),
        ("multipart/form-data; boundary=edge", b"no form", "bad_multipart"),
        ("multipart/form-data; boundary=edge", b"--edge\r\nContent-Dis", "bad_multipart"),
        ("application/dicom", b"this is no DICOM file", "no_dicom"),
        ("application/dicom", b"", "no_dicom"),
        ("application/zip", b"PK\x03\x04 and then nothing", "bad_zip"),
        ("application/zip", b"PK\x03\x04" + b"\0" * 30 + b"PK\x05\x06", "bad_zip"),
    ],
)
def test_what_is_none_of_it_is_refused_with_a_reason(
    tmp_path: Path, content_type: str, body: bytes, reason: str
) -> None:
    with pytest.raises(Rejected) as refused:
        take(tmp_path, content_type, body)
    assert refused.value.reason == reason


def test_an_upload_without_any_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="no DICOM file"):
        take(tmp_path, "application/zip", archive({"readme.txt": b"hello"}))


@pytest.mark.parametrize("kind", ["application/dicom", "multipart/form-data; boundary=edge"])
def test_a_body_larger_than_allowed_is_stopped_on_the_way(tmp_path: Path, kind: str) -> None:
    body = dicom() if kind == "application/dicom" else form({"1.dcm": dicom()})[1]
    with pytest.raises(TooLarge):
        take(tmp_path, kind, body, max_bytes=500)


def test_an_archive_that_declares_too_much_is_not_unpacked(tmp_path: Path) -> None:
    bomb = archive({"bomb.dcm": bytes(128) + b"DICM" + bytes(10 * MIB)})
    assert len(bomb) < MIB
    with pytest.raises(TooLarge, match="Unpacked"):
        take(tmp_path, "application/zip", bomb)
    assert not list(tmp_path.rglob("*.dcm"))


def test_an_archive_that_lies_about_its_sizes_is_stopped(tmp_path: Path) -> None:
    honest = archive({"bomb.dcm": bytes(128) + b"DICM" + bytes(10 * MIB)})
    size = struct.pack("<L", 132 + 10 * MIB)
    assert honest.count(size) == 2
    lying = honest.replace(size, struct.pack("<L", 200))
    with pytest.raises(Rejected):
        take(tmp_path, "application/zip", lying)
    assert sum(path.stat().st_size for path in tmp_path.rglob("*") if path.is_file()) <= MIB + len(lying)


def test_archives_of_one_upload_share_the_limit(tmp_path: Path) -> None:
    half = archive({"1": bytes(128) + b"DICM" + bytes(600_000)})
    content_type, body = form({"a.zip": half, "b.zip": half})
    with pytest.raises(TooLarge):
        take(tmp_path, content_type, body)


def test_an_archive_of_too_many_entries_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zip_archive, "MAX_ENTRIES", 3)
    with pytest.raises(TooLarge, match="more than 3 files"):
        take(tmp_path, "application/zip", archive({str(number): b"" for number in range(4)}))


def test_a_directory_that_would_fill_the_memory_is_refused_before_it_is_read(tmp_path: Path) -> None:
    body = bytearray(archive({"1": dicom()}))
    end = body.rfind(b"PK\x05\x06")
    struct.pack_into("<L", body, end + 12, 512 * MIB)
    with pytest.raises(TooLarge):
        take(tmp_path, "application/zip", bytes(body))


def test_a_large_archives_record_counts_as_well(tmp_path: Path) -> None:
    body = archive({"1": dicom()})
    end = body.rfind(b"PK\x05\x06")
    record = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10**9, 10**9, 10**11, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    with pytest.raises(TooLarge):
        take(tmp_path, "application/zip", body[:end] + record + locator + body[end:])


def test_names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    body = archive({"../../escape.dcm": dicom(number=1), "/etc/passwd": dicom(number=2)})
    found = take(inside, "application/zip", body)
    assert len(found.paths) == 2
    assert all(path.resolve().is_relative_to(inside.resolve()) for path in found.paths)
    assert not list(tmp_path.glob("*.dcm"))


def test_archives_in_an_archive_and_directory_records_are_ignored(tmp_path: Path) -> None:
    entries = {"inner.zip": archive({"1": dicom()}), "DICOMDIR": dicom(number=2), "3": dicom(number=3)}
    found = take(tmp_path, "application/zip", archive(entries))
    assert contents(found) == [dicom(number=3)]
    assert found.ignored == 2


def test_entries_packed_in_a_way_that_wants_memory_are_ignored(tmp_path: Path) -> None:
    body = archive({"1": dicom()}, zipfile.ZIP_LZMA)
    with pytest.raises(Rejected, match="no DICOM file"):
        take(tmp_path, "application/zip", body)


def test_an_encrypted_entry_is_ignored(tmp_path: Path) -> None:
    body = bytearray(archive({"1": dicom(number=1), "2": dicom(number=2)}))
    directory = body.find(b"PK\x01\x02")
    body[directory + 8] |= 1
    found = take(tmp_path, "application/zip", bytes(body))
    assert contents(found) == [dicom(number=2)]
    assert found.ignored == 1


def test_a_damaged_entry_refuses_the_archive(tmp_path: Path) -> None:
    body = bytearray(archive({"1": dicom()}, zipfile.ZIP_STORED))
    body[400] ^= 0xFF
    with pytest.raises(Rejected, match="broken"):
        take(tmp_path, "application/zip", bytes(body))
