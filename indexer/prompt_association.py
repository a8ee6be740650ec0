"""Associations that send at once, and that hear what they are answered."""

from __future__ import annotations

import socket
import threading
from typing import Any, Final, Protocol

from pynetdicom import evt
from pynetdicom.events import Event


class Paused(Protocol):
    """What pynetdicom's reactor says of itself before it waits at its checkpoint."""

    _is_paused: bool


class Checkpoint(threading.Event):
    """Where pynetdicom's reactor waits while another thread sends and takes the response.

    The reactor calls itself paused before it waits, and wakes before it says otherwise: cleared just then, a
    plain Event lets it run on, and it takes the response away from the sender, who hears nothing until the
    association times out (seen once in some 4,000 instances). Here it stops being paused in the same step in
    which it is let through.
    """

    def __init__(self, association: Paused) -> None:
        """Open, as pynetdicom begins."""
        super().__init__()
        self._association = association
        self._step = threading.Lock()
        self.set()

    def clear(self) -> None:
        """Let nobody through from now on."""
        with self._step:
            super().clear()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is open, and pass."""
        while super().wait(timeout):
            with self._step:
                if self.is_set():
                    self._association._is_paused = False
                    return True
        return False


def send_at_once(event: Event) -> None:
    """Switch Nagle's algorithm off on a connection that was just opened.

    A C-STORE is two writes: with it every instance waits for the peer's delayed acknowledgement, 40 ms on
    Linux.
    """
    opened = event.assoc.dul.socket
    if opened is not None and opened.socket is not None:
        opened.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def hear_answers(event: Event) -> None:
    """Give an association that was just opened a checkpoint that holds."""
    event.assoc._reactor_checkpoint = Checkpoint(event.assoc)


PROMPT: Final[list[Any]] = [(evt.EVT_CONN_OPEN, send_at_once), (evt.EVT_CONN_OPEN, hear_answers)]
"""What pynetdicom is given as `evt_handlers`."""
