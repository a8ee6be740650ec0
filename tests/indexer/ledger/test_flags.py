"""What a caller flagged is kept for its question about one study, and forgotten with the answers."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError

from indexer.ledger import KeptAnswer, KeptFlag, Ledger

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def flag(
    series: str, said: Literal["more", "less", "none"] = "more", age: timedelta = timedelta()
) -> KeptFlag:
    return KeptFlag("WS1", "1.9", series, said, NOW - age)


def flags(ledger: Ledger, caller: str = "WS1", study: str = "1.9", limit: int = 20) -> list[KeptFlag]:
    return ledger.flags_of(caller, study, NOW - 9 * HOUR, limit)


def test_the_newest_flag_comes_first_and_no_more_than_are_wanted(ledger: Ledger) -> None:
    ledger.keep_flags([flag("1.1", age=HOUR), flag("1.2", "less"), flag("1.3", age=2 * HOUR)])
    assert flags(ledger) == [flag("1.2", "less"), flag("1.1", age=HOUR), flag("1.3", age=2 * HOUR)]
    assert flags(ledger, limit=1) == [flag("1.2", "less")]
    assert ledger.flags_of("WS1", "1.9", NOW - HOUR / 2, 20) == [flag("1.2", "less")]


def test_a_series_that_is_flagged_the_other_way_changes_sides(ledger: Ledger) -> None:
    ledger.keep_flags([flag("1.1", age=HOUR)])
    ledger.keep_flags([flag("1.1", "less")])
    assert flags(ledger) == [flag("1.1", "less")]


def test_that_a_flag_was_taken_back_is_kept(ledger: Ledger) -> None:
    ledger.keep_flags([flag("1.1", age=HOUR)])
    ledger.keep_flags([flag("1.1", "none")])
    assert flags(ledger) == [flag("1.1", "none")]


def test_what_was_flagged_later_stands_whichever_is_kept_first(ledger: Ledger) -> None:
    ledger.keep_flags([flag("1.1", "less")])
    ledger.keep_flags([flag("1.1", "more", age=HOUR)])
    assert flags(ledger) == [flag("1.1", "less")]


def test_what_is_said_again_at_once_is_as_old_as_it_was(ledger: Ledger) -> None:
    ledger.keep_flags([flag("1.1", age=HOUR), flag("1.2", age=timedelta(minutes=9))])
    ledger.keep_flags([flag("1.1"), flag("1.2")])
    assert flags(ledger) == [flag("1.1"), flag("1.2", age=timedelta(minutes=9))]


def test_the_same_series_can_be_flagged_by_many_at_once(ledger: Ledger) -> None:
    """As several key objects of one sending are noted at a time."""
    ages = [timedelta(seconds=n) for n in range(40)]

    def keep(age: timedelta) -> None:
        series = [flag(f"1.{n}", "less" if age == ages[0] else "more", age=age) for n in range(8)]
        ledger.keep_flags(series if age.seconds % 2 else series[::-1])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(keep, reversed(ages)))
    assert [(one.flag, one.flagged_at) for one in flags(ledger)] == [("less", NOW)] * 8


def test_what_another_caller_or_about_another_study_flagged_is_not_found(ledger: Ledger) -> None:
    ledger.keep_flags([flag("1.1"), replace(flag("1.1", "less"), caller="WS2")])
    ledger.keep_flags([replace(flag("1.1", "less"), study_instance_uid="1.8")])
    assert flags(ledger) == [flag("1.1")]
    assert [one.flag for one in flags(ledger, caller="WS2")] == ["less"]
    assert flags(ledger, study="1.7") == []
    assert flags(ledger, caller="ws1") == []


def test_flags_are_forgotten_with_the_answers(ledger: Ledger) -> None:
    ledger.keep_answer(KeptAnswer("q", "WS1", NOW - 3 * HOUR, "1.9"))
    ledger.keep_flags([flag("1.1", age=2 * HOUR), flag("1.2")])
    assert ledger.forget_answers(NOW - HOUR) == 1
    assert flags(ledger) == [flag("1.2")]


def test_a_flag_of_no_kind_is_not_kept(ledger: Ledger, database_url: str) -> None:
    ledger.keep_flags([flag("1.1")])
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with pytest.raises(IntegrityError), engine.begin() as connection:
        connection.execute(text("UPDATE flags SET flag = 'perhaps'"))
    engine.dispose()


def test_a_ledger_from_before_there_were_flags_is_brought_up_to_date(database_url: str) -> None:
    with Ledger.open(database_url) as ledger:
        ledger.keep_answer(KeptAnswer("q", "WS1", NOW, "1.9"))
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:", 1))
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE flags"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0002'"))
    engine.dispose()
    with Ledger.open(database_url) as ledger:
        ledger.keep_flags([flag("1.1")])
        assert flags(ledger) == [flag("1.1")]
        assert [kept.question_id for kept in ledger.answers_of("WS1", NOW - HOUR)] == ["q"]
