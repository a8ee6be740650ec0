"""What is Orthanc's own: its pages, its log, its users, its slowness and its restarts."""

from __future__ import annotations

import base64
import http.server
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from pydicom import dcmread

from cbir.ports import free_port
from indexer.adapters.orthanc import OrthancArchive
from indexer.adapters.orthanc import archive as archive_module
from indexer.adapters.orthanc.probing import Probes
from indexer.adapters.orthanc.rest import OrthancRest
from indexer.domain import SeriesReference
from indexer.errors import ArchiveUnavailable, NotFound, TooLarge, Unavailable
from indexer.ports import Caller, Change, ChangePage, ListedSeries, StoredInstance
from tests.fakes.archive import orthanc_id
from tests.indexer.adapters.conftest import (
    LIMITED_PASSWORD,
    LIMITED_USER,
    PASSWORD,
    USER,
    RealOrthanc,
    ct_instance,
    dicom_bytes,
)

STORESCU = "/usr/bin/storescu"
SOME_ID = "01234567-01234567-01234567-01234567-01234567"
SOME_INSTANCE = StoredInstance(SOME_ID, "1.2", 1, 1, 10)


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def fill(orthanc: RealOrthanc, count: int) -> list[str]:
    """So many series of a study each; gives their identifiers."""
    for n in range(count):
        orthanc.store(dicom_bytes(ct_instance(1, study=f"1.5.{n}", series=f"1.5.{n}.1")))
    return [orthanc_id("P1", f"1.5.{n}", f"1.5.{n}.1") for n in range(count)]


def references(archive: OrthancArchive) -> list[SeriesReference]:
    return [listed.reference for listed in archive.list_series()]


@pytest.mark.orthanc
class TestWithARealOrthanc:
    def test_what_dcmtk_sends_is_listed_and_fetched(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive, tmp_path: Path
    ) -> None:
        if not Path(STORESCU).exists():
            pytest.skip("no dcmtk on this machine")
        (tmp_path / "out").mkdir()
        (tmp_path / "in").mkdir()
        for n in range(1, 6):
            (tmp_path / "out" / f"{n}.dcm").write_bytes(dicom_bytes(ct_instance(n, fill=n)))
        port = str(orthanc.dicom_port)
        send = [
            STORESCU,
            "-aet",
            "SENDER",
            "-aec",
            "ARCHIVE",
            "127.0.0.1",
            port,
            "+sd",
            str(tmp_path / "out"),
        ]
        subprocess.run(send, check=True, timeout=120, env={**os.environ, "TCP_NODELAY": "1"})
        (listed,) = orthanc_archive.list_series()
        series = orthanc_archive.series(listed.reference.archive_id)
        fetched = list(orthanc_archive.fetch(series.instances, tmp_path / "in"))
        assert sorted(int(dcmread(f.path).pixel_array.max()) for f in fetched) == [1, 2, 3, 4, 5]

    def test_more_series_than_a_page_are_listed_once_each(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive_module, "PAGE", 3)
        expected = fill(orthanc, 10)
        listed = [reference.archive_id for reference in references(orthanc_archive)]
        assert sorted(listed) == sorted(expected)

    def test_a_series_deleted_while_listing_hides_no_other(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(archive_module, "PAGE", 3)
        expected = fill(orthanc, 9)
        listing = orthanc_archive.list_series()
        first = next(listing).reference.archive_id
        orthanc.client.delete(f"/series/{first}").raise_for_status()
        listed = [first, *(series.reference.archive_id for series in listing)]
        assert sorted(listed) == sorted(expected)

    def test_the_same_series_uid_of_two_patients_is_two_series(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        orthanc.store(dicom_bytes(ct_instance(1, patient="P1")))
        orthanc.store(dicom_bytes(ct_instance(1, patient="P2")))
        found = references(orthanc_archive)
        assert {r.series_instance_uid for r in found} == {"1.2.3.1"}
        assert len({r.archive_id for r in found}) == 2
        assert len(orthanc_archive.series_of_study("1.2.3")) == 2
        twice = {orthanc_archive.find_instance("1.2.3.1.1").archive_id for _ in range(3)}
        assert len(twice) == 1

    def test_a_series_that_becomes_stable_says_so_in_another_revision(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        (archive_id,) = fill(orthanc, 1)
        before = orthanc_archive.series(archive_id)
        after = self.stable(orthanc_archive, archive_id)
        if not before.listed.stable:
            assert before.listed.revision != after.revision
        assert next(iter(orthanc_archive.list_series())) == after
        assert orthanc_archive.series(archive_id).fingerprint == before.fingerprint

    def test_the_log_tells_of_new_and_of_stable_series(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        start = orthanc_archive.changes(2**31 - 1, 10).last
        (archive_id,) = fill(orthanc, 1)
        self.stable(orthanc_archive, archive_id)
        told = self.told_until_stable(orthanc_archive, start, archive_id)
        assert [(c.kind, c.archive_id) for c in told] == [("new", archive_id), ("stable", archive_id)]
        assert [c.sequence for c in told] == sorted(c.sequence for c in told)

    def test_the_log_is_read_in_pieces_without_a_gap(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        start = orthanc_archive.changes(2**31 - 1, 10).last
        expected = fill(orthanc, 4)
        pages: list[ChangePage] = []
        cursor = start
        while not pages or not pages[-1].done:
            pages.append(orthanc_archive.changes(cursor, 3))
            cursor = pages[-1].last
        new = [c.archive_id for page in pages for c in page.changes if c.kind == "new"]
        assert len(pages) > 3
        assert new == expected

    def test_the_log_forgets_what_is_deleted(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        start = orthanc_archive.changes(2**31 - 1, 10).last
        (archive_id,) = fill(orthanc, 1)
        orthanc.empty()
        page = orthanc_archive.changes(start, 100)
        assert archive_id not in {c.archive_id for c in page.changes}
        assert page.done

    def test_a_caller_sees_what_orthanc_shows_to_these_credentials(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        everything = frozenset(fill(orthanc, 40))
        asked = references(orthanc_archive)
        mine = orthanc_archive.visible(Caller("all", basic(USER, PASSWORD)), asked)
        limited = orthanc_archive.visible(Caller("limited", basic(LIMITED_USER, LIMITED_PASSWORD)), asked)
        assert mine == everything
        assert limited == {archive_id for archive_id in everything if archive_id[0] in "01234567"}
        assert 0 < len(limited) < len(everything)

    @pytest.mark.parametrize("credentials", [{}, basic(USER, "wrong"), basic("nobody", PASSWORD)])
    def test_a_caller_with_wrong_credentials_or_none_sees_nothing(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive, credentials: dict[str, str]
    ) -> None:
        fill(orthanc, 3)
        assert orthanc_archive.visible(Caller("x", credentials), references(orthanc_archive)) == frozenset()

    def test_a_trusted_caller_sees_everything(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        everything = frozenset(fill(orthanc, 3))
        assert orthanc_archive.visible(Caller("local"), references(orthanc_archive)) == everything

    def test_what_one_caller_sees_is_not_remembered_for_another(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        everything = frozenset(fill(orthanc, 3))
        asked = references(orthanc_archive)
        for _ in range(2):
            assert orthanc_archive.visible(Caller("x", basic(USER, PASSWORD)), asked) == everything
            assert orthanc_archive.visible(Caller("x", basic(USER, "wrong")), asked) == frozenset()

    def test_a_series_that_is_gone_is_not_visible(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        gone = SeriesReference("1.2", "1.3", SOME_ID)
        strange = SeriesReference("1.2", "1.3", "../system")
        assert orthanc_archive.visible(Caller("x", basic(USER, PASSWORD)), [gone, strange]) == frozenset()

    def test_a_wrong_password_of_ours_names_the_settings(self, orthanc: RealOrthanc) -> None:
        with (
            OrthancArchive(orthanc.url, user=USER, password="wrong") as archive,
            pytest.raises(ArchiveUnavailable, match="CBIR_ORTHANC_USER and CBIR_ORTHANC_PASSWORD"),
        ):
            list(archive.list_series())

    def test_a_file_over_the_limit_is_too_large(self, orthanc: RealOrthanc, tmp_path: Path) -> None:
        orthanc.store(dicom_bytes(ct_instance(1, size=128)))
        with OrthancArchive(orthanc.url, user=USER, password=PASSWORD, max_instance_bytes=10_000) as archive:
            instance = archive.find_instance("1.2.3.1.1")
            with pytest.raises(TooLarge, match="CBIR_MAX_INSTANCE_BYTES"):
                list(archive.fetch([instance], tmp_path))
        assert list(tmp_path.iterdir()) == []

    def test_a_fetch_that_is_left_writes_nothing_more(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive, tmp_path: Path
    ) -> None:
        for n in range(1, 41):
            orthanc.store(dicom_bytes(ct_instance(n, size=256)))
        (listed,) = orthanc_archive.list_series()
        fetching = orthanc_archive.fetch(
            orthanc_archive.series(listed.reference.archive_id).instances, tmp_path
        )
        next(iter(fetching))
        fetching.close()  # type: ignore[attr-defined]
        there = sorted(path.name for path in tmp_path.iterdir())
        time.sleep(0.3)
        assert sorted(path.name for path in tmp_path.iterdir()) == there
        assert all(name.endswith(".dcm") for name in there)

    def test_a_full_disk_is_no_fault_of_the_series(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive, tmp_path: Path
    ) -> None:
        orthanc.store(dicom_bytes(ct_instance(1)))
        instance = orthanc_archive.find_instance("1.2.3.1.1")
        with pytest.raises(Unavailable, match="Cannot write"):
            list(orthanc_archive.fetch([instance], tmp_path / "not there"))

    def test_it_is_asked_from_many_threads_at_once(
        self, orthanc: RealOrthanc, orthanc_archive: OrthancArchive
    ) -> None:
        expected = sorted(fill(orthanc, 8))
        answers: list[list[str]] = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(sorted(r.archive_id for r in references(orthanc_archive)))
            )
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert answers == [expected] * 8

    @pytest.mark.usefixtures("orthanc")
    def test_orthanc_going_and_coming_back_is_met_without_a_new_archive(self, tmp_path: Path) -> None:
        orthanc = RealOrthanc(tmp_path)
        orthanc.start()
        try:
            with OrthancArchive(orthanc.url, user=USER, password=PASSWORD, timeout_s=60) as archive:
                orthanc.store(dicom_bytes(ct_instance(1)))
                before = archive.find_instance("1.2.3.1.1")
                orthanc.stop()
                with pytest.raises(ArchiveUnavailable):
                    archive.find_instance("1.2.3.1.1")
                orthanc.start()
                assert archive.find_instance("1.2.3.1.1") == before
        finally:
            orthanc.stop()
            orthanc.client.close()

    def stable(self, archive: OrthancArchive, archive_id: str) -> ListedSeries:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            listed = archive.series(archive_id).listed
            if listed.stable:
                return listed
            time.sleep(0.1)
        raise AssertionError("the series never became stable")

    def told_until_stable(self, archive: OrthancArchive, since: int, archive_id: str) -> list[Change]:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            told = [c for c in archive.changes(since, 1000).changes if c.archive_id == archive_id]
            if told and told[-1].kind == "stable":
                return told
            time.sleep(0.1)
        raise AssertionError("no stable series was ever told of")


class Impostor(http.server.BaseHTTPRequestHandler):
    """Something at Orthanc's address that answers as the test wants, and notes how it was asked."""

    protocol_version = "HTTP/1.1"
    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b"[]"
    headers_sent: ClassVar[dict[str, str]] = {}
    may_answer: ClassVar[threading.Event]
    promised_bytes: ClassVar[int | None] = None
    asked: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append({name.lower(): value for name, value in self.headers.items()})
        self.may_answer.wait(120)
        self.send_response(self.status)
        for name, value in self.headers_sent.items():
            self.send_header(name, value)
        promised = len(self.body) if self.promised_bytes is None else self.promised_bytes
        self.send_header("Content-Length", str(promised))
        self.end_headers()
        self.wfile.write(self.body)
        self.close_connection = promised != len(self.body)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def impostor(
    *,
    status: int = 200,
    body: bytes = b"[]",
    headers_sent: dict[str, str] | None = None,
    hangs: bool = False,
    promised_bytes: int | None = None,
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    asked: list[dict[str, str]] = []
    may_answer = threading.Event()
    if not hangs:
        may_answer.set()
    answers = type(
        "Answers",
        (Impostor,),
        {
            "status": status,
            "body": body,
            "headers_sent": headers_sent or {},
            "may_answer": may_answer,
            "promised_bytes": promised_bytes,
            "asked": asked,
        },
    )
    with answering(answers) as url:
        try:
            yield url, asked
        finally:
            may_answer.set()


@contextmanager
def answering(handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[str]:
    """Serve with such handlers; gives the address."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def test_nobody_at_the_address_is_unavailable(tmp_path: Path) -> None:
    caller = Caller("x", basic("a", "b"))
    with OrthancArchive(f"http://127.0.0.1:{free_port()}") as archive:
        for ask in (
            lambda: list(archive.list_series()),
            lambda: archive.series(SOME_ID),
            lambda: list(archive.fetch([SOME_INSTANCE], tmp_path)),
            lambda: archive.find_instance("1.2"),
            lambda: archive.series_of_study("1.2"),
            lambda: archive.changes(0, 10),
            lambda: archive.visible(caller, [SeriesReference("1", "2", SOME_ID)]),
        ):
            with pytest.raises(ArchiveUnavailable):
                ask()
    assert list(tmp_path.iterdir()) == []


def test_an_orthanc_that_hangs_is_unavailable_after_the_timeout() -> None:
    """Here it answers only when both were given up."""
    with impostor(hangs=True) as (url, _), OrthancArchive(url, timeout_s=0.3) as archive:
        with pytest.raises(ArchiveUnavailable, match="in time"):
            archive.changes(0, 10)
        with pytest.raises(ArchiveUnavailable, match="in time"):
            archive.visible(Caller("x", {}), [SeriesReference("1", "2", SOME_ID)])


@pytest.mark.parametrize("status", [500, 503, 301])
def test_an_ill_orthanc_is_unavailable(status: int) -> None:
    with (
        impostor(status=status) as (url, _),
        OrthancArchive(url) as archive,
        pytest.raises(ArchiveUnavailable, match=str(status)),
    ):
        archive.series(SOME_ID)


def test_an_ill_orthanc_shows_nothing_rather_than_everything() -> None:
    with (
        impostor(status=503) as (url, _),
        OrthancArchive(url) as archive,
        pytest.raises(ArchiveUnavailable),
    ):
        archive.visible(Caller("x", {}), [SeriesReference("1", "2", SOME_ID)])


def test_a_redirect_does_not_make_a_series_visible() -> None:
    with (
        impostor(status=302, headers_sent={"Location": "/login"}) as (url, _),
        OrthancArchive(url) as archive,
    ):
        seen = archive.visible(Caller("x", {}), [SeriesReference("1", "2", SOME_ID)])
    assert seen == frozenset()


def test_something_that_is_no_orthanc_is_unavailable() -> None:
    with (
        impostor(body=b"<html>") as (url, _),
        OrthancArchive(url) as archive,
        pytest.raises(ArchiveUnavailable, match="no Orthanc"),
    ):
        archive.series(SOME_ID)


def test_a_file_that_breaks_off_is_unavailable_and_leaves_nothing(tmp_path: Path) -> None:
    with (
        impostor(body=b"DICM", promised_bytes=1000) as (url, _),
        OrthancArchive(url) as archive,
        pytest.raises(ArchiveUnavailable),
    ):
        list(archive.fetch([SOME_INSTANCE], tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_compression_is_never_asked_for(tmp_path: Path) -> None:
    with impostor(body=b"{}") as (url, asked), OrthancArchive(url, user="u", password="p") as archive:
        list(archive.fetch([SOME_INSTANCE], tmp_path))
        archive.visible(Caller("x", {"Accept-Encoding": "gzip"}), [SeriesReference("1", "2", SOME_ID)])
    assert [headers["accept-encoding"] for headers in asked] == ["identity", "identity"]


def test_a_probe_carries_the_callers_credentials_and_never_ours() -> None:
    with impostor(body=b"{}") as (url, asked), OrthancArchive(url, user="u", password="p") as archive:
        archive.visible(Caller("x", {"token": "theirs"}), [SeriesReference("1", "2", SOME_ID)])
    assert [(h.get("authorization"), h.get("token")) for h in asked] == [(None, "theirs")]


def test_a_cookie_that_orthanc_sets_is_sent_to_nobody() -> None:
    with (
        impostor(body=b"{}", headers_sent={"Set-Cookie": "session=1; Path=/"}) as (url, asked),
        OrthancArchive(url) as archive,
    ):
        archive.visible(Caller("x", {"token": "a"}), [SeriesReference("1", "2", SOME_ID)])
        archive.visible(Caller("y", {"token": "b"}), [SeriesReference("1", "2", SOME_ID)])
    assert len(asked) == 2
    assert all("cookie" not in headers for headers in asked)


def test_an_answer_is_remembered_for_its_caller_only() -> None:
    with impostor(body=b"{}") as (url, asked):
        rest = OrthancRest(url, user="", password="", timeout_s=60, max_file_bytes=1)
        probes = Probes(rest, remembered_s=600)
        for token in ("a", "a", "b"):
            assert probes.visible({"token": token}, {SOME_ID}) == {SOME_ID}
        rest.close()
    assert [headers["token"] for headers in asked] == ["a", "b"]


def test_the_archive_remembers_what_a_caller_sees() -> None:
    with impostor(body=b"{}") as (url, asked), OrthancArchive(url) as archive:
        for _ in range(20):
            archive.visible(Caller("x", {"token": "a"}), [SeriesReference("1", "2", SOME_ID)])
    assert 1 <= len(asked) < 20


def test_a_question_that_met_a_connection_being_closed_is_asked_again() -> None:
    """Orthanc closes what is idle for a second, and may do so while we send."""
    met: list[str] = []

    class Leaving(Impostor):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            met.append(self.path)
            self.close_connection = len(met) == 2
            if self.close_connection:
                return
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]")

    with answering(Leaving) as url, OrthancArchive(url) as archive:
        for _ in range(2):
            with pytest.raises(NotFound):
                archive.find_instance("1.2")
    assert met == ["/tools/lookup"] * 3


def test_a_name_that_is_no_identifier_reaches_no_path() -> None:
    with impostor() as (url, asked), OrthancArchive(url) as archive:
        for name in ("../tools/now", "a/b", "", "%2e%2e", SOME_ID + "/x", SOME_ID + "?expand"):
            with pytest.raises(NotFound):
                archive.series(name)
    assert asked == []


def test_an_archive_that_is_closed_answers_no_more() -> None:
    archive = OrthancArchive(f"http://127.0.0.1:{free_port()}")
    archive.close()
    archive.close()
    with pytest.raises(RuntimeError, match="closed"):
        archive.changes(0, 1)


def test_a_stranger_who_knows_nothing_is_not_taken_for_orthanc() -> None:
    """A proxy's 404 would cost a series its vectors."""
    with (
        impostor(status=404) as (url, _),
        OrthancArchive(url) as archive,
        pytest.raises(ArchiveUnavailable, match="/system"),
    ):
        archive.series(SOME_ID)
