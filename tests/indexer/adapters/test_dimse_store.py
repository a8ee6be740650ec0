"""Bringing instances to real application entities: what they take, refuse, and how they fail."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    MRImageStorage,
    RLELossless,
)
from pynetdicom import evt
from pynetdicom.ae import ApplicationEntity
from pynetdicom.events import Event

from cbir.ports import free_port
from indexer.adapters.dimse_store import MAX_CONTEXTS, DimseCarrier, NotTaken, contexts_for
from indexer.destinations import Destination
from indexer.ports import Coding
from tests.fakes.answers import instance, write

CT = Coding(CTImageStorage, ExplicitVRLittleEndian)


class Peer:
    """An SCP that answers with `status`, and remembers how instances came."""

    def __init__(self, *syntaxes: str, status: int = 0) -> None:
        self.status = status
        self.came: list[str] = []
        self.entity = ApplicationEntity("PEER")
        self.entity.require_called_aet = True
        self.entity.add_supported_context(CTImageStorage, list(syntaxes))

    @contextmanager
    def listening(self) -> Iterator[Destination]:
        server = self.entity.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        assert server is not None
        try:
            yield Destination("PEER", "127.0.0.1", int(server.server_address[1]), "PEER")
        finally:
            server.shutdown()

    def _store(self, event: Event) -> int:
        if self.status == -1:
            event.assoc.abort()
            return 0
        self.came.append(str(event.context.transfer_syntax))
        return self.status


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write(tmp_path, instance("prior"))[0]


def test_an_instance_arrives(path: Path) -> None:
    peer = Peer(ExplicitVRLittleEndian)
    with peer.listening() as destination, DimseCarrier("CBIR").open(destination, [CT]) as way:
        assert way.taken == {CT}
        assert way.store(path)
    assert peer.came == [ExplicitVRLittleEndian]


def test_what_a_peer_takes_is_known_before_anything_is_sent() -> None:
    wanted = {CT, Coding(CTImageStorage, RLELossless), Coding(MRImageStorage, JPEG2000Lossless)}
    peer = Peer(ImplicitVRLittleEndian, RLELossless)
    with peer.listening() as destination, DimseCarrier("CBIR").open(destination, wanted) as way:
        assert way.taken == {
            Coding(CTImageStorage, ImplicitVRLittleEndian),
            Coding(CTImageStorage, RLELossless),
        }


def test_uncompressed_instances_are_rewritten_as_the_peer_wants_them(path: Path) -> None:
    peer = Peer(ImplicitVRLittleEndian)
    with peer.listening() as destination, DimseCarrier("CBIR").open(destination, [CT]) as way:
        assert way.store(path)
    assert peer.came == [ImplicitVRLittleEndian]


@pytest.mark.parametrize(("status", "arrived"), [(0, True), (0xB007, True), (0xA700, False)])
def test_a_warning_is_stored_and_a_refusal_is_not(path: Path, status: int, *, arrived: bool) -> None:
    with (
        Peer(ExplicitVRLittleEndian, status=status).listening() as destination,
        DimseCarrier("CBIR").open(destination, [CT]) as way,
    ):
        assert way.store(path) is arrived


def test_a_way_that_broke_is_no_refusal_of_one_instance(path: Path) -> None:
    with (
        Peer(ExplicitVRLittleEndian, status=-1).listening() as destination,
        DimseCarrier("CBIR").open(destination, [CT]) as way,
    ):
        for _ in range(2):
            with pytest.raises(NotTaken, match="broke off"):
                way.store(path)


def test_what_is_no_instance_is_not_sent(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.dcm"
    nothing.write_bytes(b"nothing")
    peer = Peer(ExplicitVRLittleEndian)
    with peer.listening() as destination, DimseCarrier("CBIR").open(destination, [CT]) as way:
        assert not way.store(nothing)
    assert peer.came == []


def test_a_peer_that_does_not_know_us_says_so() -> None:
    with Peer(ExplicitVRLittleEndian).listening() as destination:
        wrong = Destination("PEER", destination.host, destination.port, "OTHER")
        with pytest.raises(NotTaken, match="AE title"), DimseCarrier("CBIR").open(wrong, [CT]):
            pass


def test_a_peer_that_is_down_cannot_be_reached() -> None:
    down = Destination("PEER", "127.0.0.1", free_port(), "PEER")
    with pytest.raises(NotTaken, match="reached"), DimseCarrier("CBIR").open(down, [CT]):
        pass


def test_more_kinds_than_an_association_has_room_for_are_cut() -> None:
    many = [
        Coding(f"1.2.{number}", syntax) for number in range(80) for syntax in (RLELossless, JPEG2000Lossless)
    ]
    assert len(contexts_for(many)) == MAX_CONTEXTS
