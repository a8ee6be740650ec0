"""Who may associate: a configured AE title, from that caller's own address, by one of our AE titles."""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from typing import Final

from indexer.destinations import Destination

CALLING_AE_TITLE_NOT_RECOGNISED: Final = 0x03
CALLED_AE_TITLE_NOT_RECOGNISED: Final = 0x07


class NotAdmitted(Exception):
    """The association is rejected; the text is for the log, `diagnostic` for the peer (PS3.8 9.3.4)."""

    def __init__(self, reason: str, diagnostic: int = CALLING_AE_TITLE_NOT_RECOGNISED) -> None:
        super().__init__(reason)
        self.diagnostic = diagnostic


@dataclass(frozen=True, slots=True)
class Admitted:
    """Who calls, and by which of our AE titles."""

    caller: Destination
    called: str


@dataclass(frozen=True, slots=True)
class Admission:
    """The callers that may ask us, and the titles by which they may call us, the first one first."""

    ae_titles: tuple[str, ...]
    callers: tuple[Destination, ...]

    def admit(self, calling_ae_title: str, called_ae_title: str, address: str) -> Admitted:
        """Find the caller behind an association request.

        Raises:
            NotAdmitted: nobody configured matches.
        """
        if not self.callers:
            raise NotAdmitted("nobody may ask: name the callers in CBIR_CALLERS")
        called = called_ae_title.strip()
        if called not in self.ae_titles:
            raise NotAdmitted("the called AE title is not ours", CALLED_AE_TITLE_NOT_RECOGNISED)
        named = [caller for caller in self.callers if caller.ae_title == calling_ae_title.strip()]
        if not named:
            raise NotAdmitted("the calling AE title is not in CBIR_CALLERS")
        for caller in named:
            if is_address_of(address, caller.host):
                return Admitted(caller, called)
        raise NotAdmitted("the address is not that of this caller in CBIR_CALLERS")


def is_address_of(address: str, host: str) -> bool:
    """Whether a peer's address belongs to a host name or address; every loopback address is the same."""
    peer = _ip(address)
    if peer is None:
        return False
    own = _addresses(host)
    return peer in own or (peer.is_loopback and any(one.is_loopback for one in own))


_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def _addresses(host: str) -> set[_Address]:
    """The addresses of a host; none when its name cannot be resolved."""
    literal = _ip(host)
    if literal is not None:
        return {literal}
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return set()
    return {ip for _, _, _, _, address in found if (ip := _ip(str(address[0]))) is not None}


def _ip(text: str) -> _Address | None:
    """An address, an IPv4 address in IPv6 clothes taken out of them."""
    try:
        ip = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    return ip
