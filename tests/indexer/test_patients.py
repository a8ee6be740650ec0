"""Pseudonyms tell patients apart without naming them."""

from __future__ import annotations

import multiprocessing
import re
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from indexer.errors import Rejected
from indexer.patients import KEY_FILE, Pseudonyms, key_name_of, load_key, replace_key

KEY = bytes(range(32))
IDS = st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=0x17F), min_size=1, max_size=12)


def test_the_same_patient_has_the_same_pseudonym_and_another_one_another() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.of("CITY", "4711") == pseudonyms.of("CITY", "4711")
    assert pseudonyms.of("CITY", "4711") != pseudonyms.of("CITY", "4712")
    assert pseudonyms.of("CITY", "4711") != pseudonyms.of("COUNTY", "4711")


def test_the_pseudonym_is_hmac_sha256_and_depends_on_the_key() -> None:
    pseudonym = Pseudonyms(KEY).of("CITY", "4711")
    digits = "7b03a586188eab9a32c3a603ba8ceb00a70efc57140463ef88a1780cb421c8c6"
    assert pseudonym == f"{Pseudonyms(KEY).key_name}:{digits}"
    assert pseudonym != Pseudonyms(KEY[::-1]).of("CITY", "4711")


def test_a_pseudonym_says_which_key_made_it_and_not_the_key() -> None:
    pseudonyms, others = Pseudonyms(KEY), Pseudonyms(KEY[::-1])
    pseudonym = pseudonyms.of("CITY", "4711")
    assert pseudonym is not None
    assert key_name_of(pseudonym) == pseudonyms.key_name != others.key_name
    assert pseudonyms.key_name not in KEY.hex()
    assert key_name_of("of no key") == ""


def test_a_case_has_a_word_and_uids_that_stay_the_same_while_the_key_does() -> None:
    mine, other = Pseudonyms(b"a key of the tests"), Pseudonyms(b"another key of the tests")
    patient = mine.of("", "P1") or ""
    assert re.fullmatch(r"CASE-[0-9A-F]{12}", mine.case_name(patient))
    assert mine.case_name(patient) == mine.case_name(patient) != other.case_name(patient)
    assert mine.case_name(patient)[5:].lower() not in patient
    assert re.fullmatch(r"2\.25\.[1-9]\d{0,38}", mine.uid("1.2.3"))
    assert len({mine.uid("1.2.3"), mine.uid("1.2.4"), other.uid("1.2.3")}) == 3
    made = uuid.UUID(int=int(mine.uid("1.2.3").removeprefix("2.25.")))
    assert (made.version, made.variant) == (8, uuid.RFC_4122)


def test_a_replaced_key_is_another_one_that_only_its_owner_reads(tmp_path: Path) -> None:
    old = load_key(tmp_path)
    replace_key(tmp_path)
    assert len(load_key(tmp_path)) == 32
    assert load_key(tmp_path) != old
    assert stat.S_IMODE((tmp_path / KEY_FILE).stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == [KEY_FILE]


def test_padding_says_nothing_and_case_does() -> None:
    pseudonyms = Pseudonyms(KEY)
    assert pseudonyms.of(" CITY", "4711a ") == pseudonyms.of("CITY", "4711a\0")
    assert pseudonyms.of("CITY", "4711a") != pseudonyms.of("CITY", "4711A")
    assert pseudonyms.of("", "Mu\u0308ller-1") == pseudonyms.of("", "M\u00fcller-1")


@pytest.mark.parametrize(
    "patient_id",
    [
        *("", "  ", "\0", "0", "000000", "0-0", "xxx", "-", "???", "999999", "n.a.", "N/A", "No ID"),
        *("anonymous", "ANONYMIZED", "Unknown", "None", "[null]", "<unspecified>"),
    ],
)
def test_a_blank_or_placeholder_id_is_never_the_same_patient(patient_id: str) -> None:
    assert Pseudonyms(KEY).of("CITY", patient_id) is None


@pytest.mark.parametrize("patient_id", ["1", "00010", "ANON0001", "TEST-17", "X1", "99", "NADIA"])
def test_an_id_that_only_looks_like_a_placeholder_is_an_id(patient_id: str) -> None:
    assert Pseudonyms(KEY).of("", patient_id) is not None


@given(IDS, IDS, IDS)
def test_issuer_and_id_never_run_into_each_other(first: str, middle: str, last: str) -> None:
    pseudonyms = Pseudonyms(KEY)
    one, other = pseudonyms.of(first, middle + last), pseudonyms.of(first + middle, last)
    assert one is None or one != other


def test_a_short_key_is_refused() -> None:
    with pytest.raises(Rejected, match="15 bytes"):
        Pseudonyms(b"x" * 15)


def test_the_key_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    key = load_key(tmp_path / "data")
    file = tmp_path / "data" / KEY_FILE
    assert len(key) == 32
    assert load_key(tmp_path / "data") == key == file.read_bytes()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [entry.name for entry in file.parent.iterdir()] == [KEY_FILE]


def test_processes_that_start_at_once_agree_on_one_key(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        keys = pool.map(load_key, [tmp_path / "data"] * 40, chunksize=1)
    assert len(set(keys)) == 1
    assert [entry.name for entry in (tmp_path / "data").iterdir()] == [KEY_FILE]


def test_a_configured_secret_is_the_key_and_nothing_is_kept(tmp_path: Path) -> None:
    key = load_key(tmp_path, "correct horse battery staple")
    assert key == load_key(tmp_path / "elsewhere", "correct horse battery staple")
    assert key != load_key(tmp_path, "correct horse battery stapler")
    assert list(tmp_path.iterdir()) == []


def test_a_short_secret_and_a_broken_file_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Rejected, match="CBIR_PATIENT_KEY"):
        load_key(tmp_path, "short")
    (tmp_path / KEY_FILE).write_bytes(b"")
    with pytest.raises(Rejected, match="backup"):
        load_key(tmp_path)
