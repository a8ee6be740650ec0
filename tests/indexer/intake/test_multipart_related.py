"""DICOM instances travel as multipart/related bodies, in any chunks, whatever they hold."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from indexer.errors import Rejected, TooLarge
from indexer.intake.multipart_related import RelatedBody, RelatedReader

CONTENT_TYPE = 'multipart/related; type="application/dicom"; boundary="b"'


def read(
    body: bytes,
    into: Path,
    *,
    content_type: str = CONTENT_TYPE,
    chunk: int = 7,
    max_bytes: int = 10**6,
    max_instances: int = 100,
) -> list[bytes]:
    with RelatedReader(content_type, into, max_bytes=max_bytes, max_instances=max_instances) as reader:
        for start in range(0, len(body), chunk):
            reader.feed(body[start : start + chunk])
        return [path.read_bytes() for path in reader.finish()]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(
    contents=st.lists(st.binary(max_size=200), min_size=1, max_size=5),
    chunk=st.integers(min_value=1, max_value=400),
)
def test_what_is_written_is_read_back_in_any_chunks(
    tmp_path: Path, contents: list[bytes], chunk: int
) -> None:
    folder = tmp_path / secrets.token_hex(8)
    (folder / "in").mkdir(parents=True)
    (folder / "out").mkdir()
    for index, content in enumerate(contents):
        (folder / "in" / str(index)).write_bytes(content)
    sent = RelatedBody(sorted((folder / "in").iterdir()))
    body = b"".join(sent)
    assert len(body) == sent.length_bytes
    assert read(body, folder / "out", content_type=sent.content_type, chunk=chunk) == contents


def test_a_part_that_holds_almost_the_boundary_is_kept_whole(tmp_path: Path) -> None:
    content = b"\r\n--\r\n-\r\n--a\r\n\r\n--"
    body = b"--b\r\nContent-Type: application/dicom\r\n\r\n" + content + b"\r\n--b--"
    assert read(body, tmp_path, chunk=1) == [content]


def test_part_headers_other_than_the_type_are_ignored(tmp_path: Path) -> None:
    body = b"\r\n--b\r\nContent-ID: <1>\r\nMIME-Version: 1.0\r\n\r\nDICM\r\n--b--\r\n"
    assert read(body, tmp_path) == [b"DICM"]


def test_a_transfer_syntax_parameter_is_accepted(tmp_path: Path) -> None:
    body = b"\r\n--b\r\nContent-Type: application/dicom; transfer-syntax=*\r\n\r\nDICM\r\n--b--\r\n"
    assert read(body, tmp_path) == [b"DICM"]


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/dicom",
        "multipart/form-data; boundary=b",
        "multipart/related; type=application/dicom",
        'multipart/related; type="application/dicom+json"; boundary=b',
        "multipart/related; boundary=" + "b" * 5000,
    ],
)
def test_another_content_type_is_refused(tmp_path: Path, content_type: str) -> None:
    with pytest.raises(Rejected) as refusal:
        RelatedReader(content_type, tmp_path, max_bytes=100)
    assert refusal.value.reason == "bad_content_type"


def test_a_part_that_is_not_dicom_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="Part 1"):
        read(b"--b\r\nContent-Type: text/html\r\n\r\n<p>\r\n--b--\r\n", tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\nDICM",
        b"\r\n--b\r\nContent-Type: application/dicom\r\n\r\nDICM\r\n--b",
        b"\r\n--b--\r\n",
        b"--c\r\n\r\nDICM\r\n--c--\r\n",
        b"--b\r\nno colon\r\n\r\nDICM\r\n--b--\r\n",
        b"--b\r\nA: " + b"a" * 10_000 + b"\r\n\r\nDICM\r\n--b--\r\n",
        b"--b\r\n" + b"A: a\r\n" * 100 + b"\r\nDICM\r\n--b--\r\n",
    ],
)
def test_a_body_that_is_cut_off_empty_or_malformed_is_refused(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(Rejected) as refusal:
        read(body, tmp_path)
    assert refusal.value.reason == "bad_multipart"


def test_a_body_over_the_limit_is_too_large_before_it_is_written(tmp_path: Path) -> None:
    body = b"--b\r\n\r\n" + b"x" * 10_000 + b"\r\n--b--\r\n"
    with pytest.raises(TooLarge, match="1000 bytes"):
        read(body, tmp_path, max_bytes=1000, chunk=100)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 1000


def test_more_parts_than_allowed_are_too_large(tmp_path: Path) -> None:
    body = b"--b\r\n\r\n1\r\n" * 3 + b"--b--\r\n"
    with pytest.raises(TooLarge, match="more than 2"):
        read(body, tmp_path, max_instances=2)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_reader_left_by_an_error_leaves_no_file_open(tmp_path: Path) -> None:
    with (
        pytest.raises(RuntimeError, match="caller"),
        RelatedReader(CONTENT_TYPE, tmp_path, max_bytes=1000) as reader,
    ):
        reader.feed(b"--b\r\n\r\nhalf")
        raise RuntimeError("the caller's own trouble")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"half"]
