"""A free port stays free until its program listens."""

from __future__ import annotations

import socket
import sys
from contextlib import ExitStack

import pytest

from cbir.ports import HELD, free_port

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a port be kept")


def test_no_port_is_given_twice() -> None:
    assert len({free_port() for _ in range(HELD)}) == HELD


def test_nobody_else_gets_it() -> None:
    port = free_port()
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind(("127.0.0.1", port))


def test_nobody_listens_on_it_until_its_program_does() -> None:
    port = free_port()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    with ExitStack() as stack:
        listening = stack.enter_context(socket.create_server(("127.0.0.1", port)))
        caller = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=5))
        answering = stack.enter_context(listening.accept()[0])
        answering.sendall(b"here")
        assert caller.recv(4) == b"here"


def test_a_program_that_ended_finds_it_again() -> None:
    port = free_port()
    for _ in range(2):
        with socket.create_server(("127.0.0.1", port)) as listening:
            assert listening.getsockname()[1] == port


def test_the_ports_given_long_ago_are_let_go() -> None:
    port = free_port()
    for _ in range(HELD):
        free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
