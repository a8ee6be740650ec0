"""Associations that send at once, that hear what they are answered, and that can be ended at any moment."""

from __future__ import annotations

import socket
import threading
from typing import Any, Final, Protocol, cast

from pynetdicom import evt
from pynetdicom.events import Event
from pynetdicom.fsm import AA_2, TRANSITION_TABLE, StateMachine

IDLE: Final = "Sta1"
AWAITING_REQUEST: Final = "Sta2"
AWAITING_CLOSE: Final = "Sta13"
ABORT: Final = "Evt15"
OF_OURS: Final = frozenset({"Evt7", "Evt8", "Evt9", "Evt11", "Evt14", ABORT})
"""To accept, reject, send, release, confirm a release, abort: what we ask a machine for (PS3.8 9.2)."""


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


class PatientMachine(StateMachine):
    """pynetdicom's state machine, which is asked for nothing at a wrong moment.

    What its table does not know breaks the thread of the connection: to abort where a peer connected and
    said nothing, or where it was rejected; to answer or to release where it has just broken off. Here a
    connection without an association is closed, and what comes too late is left out. Whoever waits for the
    request of a peer that hung up without one hears so at once, and not when its time is over.
    """

    def do_action(self, event: str) -> None:
        """As the base class, for every event in every state."""
        before = self.current_state
        if event not in OF_OURS or (event, before) in TRANSITION_TABLE:
            super().do_action(event)
        else:
            self.dul.to_provider_queue.get(block=False)
            if event == ABORT and before in (AWAITING_REQUEST, AWAITING_CLOSE):
                self.transition(AA_2(self.dul))
        if before == AWAITING_REQUEST and self.current_state == IDLE:
            cast(Any, self.dul.to_user_queue).put(None)


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


def end_at_any_moment(event: Event) -> None:
    """Give an association that was just opened a state machine that does not break.

    The machine is at work while it is told so, so it is changed in its place.
    """
    event.assoc.dul.state_machine.__class__ = PatientMachine


PROMPT: Final[list[Any]] = [
    (evt.EVT_CONN_OPEN, opened) for opened in (send_at_once, hear_answers, end_at_any_moment)
]
"""What pynetdicom is given as `evt_handlers`."""
