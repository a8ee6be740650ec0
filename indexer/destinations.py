"""Application entities that instances are sent to: the callers of our own, and other places by name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

FORM: Final = "AET=host:port, or AET=CALLED@host:port where the AE at that host has another title"

_ENTRY: Final = re.compile(
    r"(?P<aet>[^=]*)=(?:(?P<called>[^@]*)@)?(?:\[(?P<ipv6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\[\]@:\s]+)):(?P<port>\d{1,5})"
)
_AE_TITLE: Final = re.compile(r"[ !-\[\]-~]{1,16}")


@dataclass(frozen=True, slots=True)
class Destination:
    """One application entity that may ask, and the address its answers are sent to.

    `called_ae_title` is the title we call there; mostly the same as `ae_title`, under which it calls us.
    """

    ae_title: str
    host: str
    port: int
    called_ae_title: str

    @classmethod
    def parse(cls, text: str) -> Destination:
        """Read `WS1=10.0.0.5:104`, `WS1=ORTHANC@host:104` or `WS1=[fe80::1]:104`.

        Raises:
            ValueError: the text has another form; the message says which one is wanted.
        """
        found = _ENTRY.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text.strip()!r} does not name a caller: write {FORM}.")
        ae_title = _checked_title(found["aet"], text)
        called = ae_title if found["called"] is None else _checked_title(found["called"], text)
        port = int(found["port"])
        if not 1 <= port <= 65535:
            raise ValueError(f"{text.strip()!r} has port {port}: a port is between 1 and 65535.")
        return cls(ae_title=ae_title, host=found["ipv6"] or found["host"], port=port, called_ae_title=called)

    def __str__(self) -> str:
        """The text that `parse` reads back."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        called = "" if self.called_ae_title == self.ae_title else f"{self.called_ae_title}@"
        return f"{self.ae_title}={called}{host}:{self.port}"


def is_ae_title(text: str) -> bool:
    """Whether it is an AE title: 1 to 16 characters of ASCII, no backslash, not only spaces (PS3.5 6.2)."""
    return bool(text.strip()) and _AE_TITLE.fullmatch(text) is not None


def _checked_title(title: str, text: str) -> str:
    """Leading and trailing spaces of an AE title mean nothing (PS3.5 6.2)."""
    stripped = title.strip()
    if not is_ae_title(stripped):
        raise ValueError(
            f"{text.strip()!r}: an AE title has 1 to 16 characters of ASCII, no backslash; write {FORM}."
        )
    return stripped
