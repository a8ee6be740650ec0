"""Sendings under way: each goes on by itself, whoever follows it, and is remembered for a while."""

from __future__ import annotations

import logging
import secrets
import threading
import traceback
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

from indexer.collecting import CalledOff, Sending, SentStudy, Shipment, Watch
from indexer.errors import CbirError, NotFound, Overloaded, Unavailable

logger = logging.getLogger(__name__)

State = Literal["sending", "done", "failed"]

AT_ONCE: Final = 2
UNFINISHED: Final = 4
KEPT: Final = 200
STOP_S: Final = 3.0


class Followed(Watch):
    """One sending: how far it is. Thread-safe."""

    def __init__(self, shipment: Shipment, stops: Callable[[], bool]) -> None:
        """Begin with nothing sent; the sending ends between two instances once it `stops`."""
        self.sending_id = secrets.token_hex(16)
        self.shipment = shipment
        self.state: State = "sending"
        self.error: CbirError | None = None
        self._studies = {uid: SentStudy(uid, 0, 0) for uid in shipment.parcels}
        self._stops = stops
        self._lock = threading.Lock()
        self._over = threading.Event()

    @property
    def studies(self) -> tuple[SentStudy, ...]:
        """How far each study is."""
        with self._lock:
            return tuple(self._studies.values())

    def wait(self, timeout_s: float) -> None:
        """Until it is over, or long enough."""
        self._over.wait(timeout_s)

    def so_far(self, study: SentStudy) -> None:
        """Remember it."""
        with self._lock:
            self._studies[study.study_instance_uid] = study
        if self._stops():
            raise CalledOff("The service stopped while this was sent: send again what is missing.")

    def run(self, sending: Sending) -> None:
        """Send. The broad except is the edge of a thread: whatever it is, the sending is over."""
        try:
            for study in sending.ship(self.shipment, self):
                with self._lock:
                    self._studies[study.study_instance_uid] = study
            self.state = "done"
        except CbirError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001
            place = "".join(traceback.format_tb(error.__traceback__))
            logger.error("sending_broken error=%s\n%s", type(error).__name__, place)  # noqa: TRY400
            self._failed(Unavailable("The service failed on this sending: its log says where."))
        finally:
            self._over.set()

    def _failed(self, error: CbirError) -> None:
        self.error = error
        self.state = "failed"


class Underway:
    """The sendings of every caller, the last 200 of them; two at once, and two more wait."""

    def __init__(self, kept: int = KEPT) -> None:
        """Remember this many; of those that are over the oldest are forgotten first."""
        self._kept = kept
        self._sendings: OrderedDict[str, tuple[str, Followed]] = OrderedDict()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    def begin(self, sending: Sending, shipment: Shipment) -> Followed:
        """Send in a thread of its own. Raises Overloaded when too many are under way."""
        followed = Followed(shipment, self._stopping.is_set)
        with self._lock:
            if len(self._unfinished()) >= UNFINISHED:
                raise Overloaded("Too many sendings are under way: try again when one of them is over.")
            self._sendings[followed.sending_id] = (shipment.caller, followed)
            for old in [i for i, (_, one) in self._sendings.items() if one.state != "sending"]:
                if len(self._sendings) <= self._kept:
                    break
                del self._sendings[old]

        def run() -> None:
            with self._turns:
                followed.run(sending)

        threading.Thread(target=run, name="sending", daemon=True).start()
        return followed

    def find(self, sending_id: str, caller: str) -> Followed:
        """A sending of this caller. Raises NotFound for any other, and for one that is forgotten."""
        with self._lock:
            whose, followed = self._sendings.get(sending_id, ("", None))
        if followed is None or whose != caller:
            raise NotFound("There is no such sending, or it is long over.", reason="unknown_sending")
        return followed

    def stop(self) -> None:
        """Call off what is under way, and wait a little for the instances on their way."""
        self._stopping.set()
        with self._lock:
            unfinished = self._unfinished()
        for followed in unfinished:
            followed.wait(STOP_S / len(unfinished))

    def _unfinished(self) -> list[Followed]:
        return [followed for _, followed in self._sendings.values() if followed.state == "sending"]
