"""TLS in which both sides show a certificate, for the application entity's second port."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any, Final

STALLED_S: Final = 60.0


class _PatientContext(ssl.SSLContext):
    """Shakes hands when the association's own thread first reads.

    pynetdicom wraps a connection in the thread that accepts all of them: a peer that connects and says
    nothing would keep everybody else out.
    """

    def wrap_socket(self, sock: socket.socket, *args: Any, **options: Any) -> ssl.SSLSocket:  # noqa: ANN401
        """As the base class; `do_handshake_on_connect` is always off."""
        sock.settimeout(STALLED_S)
        options["do_handshake_on_connect"] = False
        return super().wrap_socket(sock, *args, **options)


def mutual_tls(certificate: Path, key: Path, callers_ca: Path) -> ssl.SSLContext:
    """The server's side of mutual TLS: a caller without a certificate of `callers_ca` is turned away.

    Args:
        certificate: our certificate with its chain, PEM.
        key: its private key, PEM, without a passphrase.
        callers_ca: the authorities whose callers are trusted, PEM.

    Raises:
        OSError: a file is missing or is not what it should be (ssl.SSLError is an OSError).

    Source:
        DICOM PS3.15 B.12 (BCP 195 RFC 8996, 9325 TLS Profile): TLS 1.2 or newer.
    """
    context = _PatientContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(callers_ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context
