"""Associations that send at once: a C-STORE is two writes, and the second waits for no acknowledgement."""

from __future__ import annotations

import socket
from typing import Any, Final

from pynetdicom import evt
from pynetdicom.events import Event


def send_at_once(event: Event) -> None:
    """Switch Nagle's algorithm off on a connection that was just opened.

    With it every instance waits for the peer's delayed acknowledgement, 40 ms on Linux.
    """
    opened = event.assoc.dul.socket
    if opened is not None and opened.socket is not None:
        opened.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


PROMPT: Final[list[Any]] = [(evt.EVT_CONN_OPEN, send_at_once)]
"""What pynetdicom is given as `evt_handlers`."""
