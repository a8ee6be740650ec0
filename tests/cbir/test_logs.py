"""A log line says where something failed and of what kind, and never what the file said."""

from __future__ import annotations

import logging
import threading

import pytest

from cbir.logs import configure_logging

SECRET = "Doe^Jane"


def fail() -> None:
    try:
        int(SECRET)
    except ValueError as error:
        raise RuntimeError(f"cannot read {SECRET}") from error


def test_an_error_is_logged_with_its_place_and_kinds_and_without_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("DEBUG")
    try:
        fail()
    except RuntimeError:
        logging.getLogger("indexer").exception("something_failed step=%d", 3)
    said = capsys.readouterr().err
    assert "something_failed step=3" in said
    assert "in fail" in said
    assert "RuntimeError < ValueError" in said
    assert SECRET not in said


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_dies_is_logged_without_the_text_of_its_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging("INFO")
    thread = threading.Thread(target=fail, name="lane-1")
    thread.start()
    thread.join()
    said = capsys.readouterr().err
    assert "thread_died name=lane-1" in said
    assert "RuntimeError" in said
    assert SECRET not in said
