"""Attribute matching as PS3.4 C.2.2.2 has it."""

from __future__ import annotations

import time

import pytest

from indexer.ae.matching import is_universal, matches


@pytest.mark.parametrize(
    ("vr", "key", "value", "is_match"),
    [
        # Single value: with its case, without the spaces around it.
        ("CS", "MR", "MR", True),
        ("CS", "mr", "MR", False),
        ("LO", " CASE 1 ", "CASE 1", True),
        ("SH", "A", "AB", False),
        # A name is compared without case.
        ("PN", "doe^jane", "Doe^Jane^^", True),
        ("PN", "DOE^J*", "Doe^Jane", True),
        ("PN", "doe", "Doe^Jane", False),
        ("PN", "yamada*", "Yamada^Tarou=山田^太郎", True),
        # Wildcards.
        ("LO", "*alike*", "01  very alike, 99.4 %", True),
        ("LO", "0?  very*", "01  very alike", True),
        ("CS", "M?", "MR", True),
        ("CS", "M?", "M", False),
        ("LO", "a*b*c", "aXbXXc", True),
        ("LO", "a*b*c", "aXcXXb", False),
        ("LO", "[A-Z].", "AB", False),
        ("UI", "1.2.*", "1.2.3", False),
        # Dates and ranges of them.
        ("DA", "20200102", "20200102", True),
        ("DA", "20200103", "20200102", False),
        ("DA", "20200101-20200131", "20200102", True),
        ("DA", "20200103-20200131", "20200102", False),
        ("DA", "-20200102", "20200102", True),
        ("DA", "-20200101", "20200102", False),
        ("DA", "20200102-", "20200102", True),
        ("DA", "20200103-", "20200102", False),
        ("DA", "2020.01.01-2020.01.31", "20200102", True),
        # Times: a part of one is everything within it.
        ("TM", "10", "101112.5", True),
        ("TM", "1011-1012", "101112.5", True),
        ("TM", "1012-", "101112.5", False),
        ("TM", "10:11:12-10:11:13", "101112.5", True),
        # Numbers are numbers.
        ("IS", "2", "02", True),
        ("IS", "2", "3", False),
        # A case without a value is found by nothing but a universal key.
        ("DA", "20200101-", "", False),
        ("LO", "?*", "", False),
        ("LO", "*", "", True),
        ("LO", "", "", True),
    ],
)
def test_a_key_matches(vr: str, key: str, value: str, *, is_match: bool) -> None:
    assert matches(vr, (key,), (value,)) is is_match


def test_a_list_of_uids_matches_each_of_them() -> None:
    assert matches("UI", ("1.2", "1.3"), ("1.3",))
    assert not matches("UI", ("1.2", "1.3"), ("1.4",))


def test_one_of_several_values_is_enough() -> None:
    assert matches("CS", ("CT", "MR"), ("MR", "SR"))
    assert not matches("CS", ("CT",), ("MR", "SR"))


def test_nothing_and_asterisks_ask_for_nothing() -> None:
    assert all(is_universal(keys) for keys in ((), ("",), ("*",), ("**", " ")))
    assert not is_universal(("*a",))


def test_a_hostile_pattern_takes_no_time() -> None:
    started = time.thread_time()
    assert not matches("LO", ("*a" * 10_000 + "b",), ("a" * 64,))
    assert time.thread_time() - started < 5
