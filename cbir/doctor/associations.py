"""Do the application entities reach each other: our own, the callers, Orthanc's."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pynetdicom.ae import ApplicationEntity
from pynetdicom.association import Association
from pynetdicom.sop_class import (  # type: ignore[attr-defined]
    ComprehensiveSRStorage,
    SecondaryCaptureImageStorage,
    Verification,
)

from cbir.doctor.finding import Finding, ok, problem, warning
from cbir.settings import Settings
from indexer.ae.admission import CALLED_AE_TITLE_NOT_RECOGNISED
from indexer.destinations import Destination

WAIT_S = 20
_FORMS: Final = {"sheet": SecondaryCaptureImageStorage, "report": ComprehensiveSRStorage}
_NAMES: Final = {
    "sheet": "contact sheets (Secondary Capture)",
    "report": "reports (Comprehensive SR)",
}
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104 - what is asked in its place


@dataclass(frozen=True, slots=True)
class Greeting:
    """How a peer took our association.

    `diagnostic` is the reason of a rejection (PS3.8 9.3.4), None when it was none; `echoed` says that it
    answered C-ECHO, `takes` which forms of an answer it would store.
    """

    established: bool = False
    diagnostic: int | None = None
    echoed: bool = False
    takes: frozenset[str] = frozenset()


def greet(host: str, port: int, *, calling: str, called: str) -> Greeting:
    """Associate, offer C-ECHO, contact sheets and reports, say C-ECHO where it was taken, and let go."""
    entity = ApplicationEntity(calling)
    entity.connection_timeout = entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = WAIT_S
    for offered in (Verification, *_FORMS.values()):
        entity.add_requested_context(offered)
    association = entity.associate(host, port, ae_title=called)
    if not association.is_established:
        return Greeting(diagnostic=_diagnostic(association))
    try:
        taken = {str(context.abstract_syntax) for context in association.accepted_contexts}
        echoed = str(Verification) in taken and association.send_c_echo().get("Status") == 0
        return Greeting(
            True, None, echoed, frozenset(form for form, kind in _FORMS.items() if str(kind) in taken)
        )
    finally:
        association.release()


def own_host(settings: Settings) -> str:
    """Where we reach ourselves."""
    return "127.0.0.1" if settings.dimse_host in ANY_ADDRESS else settings.dimse_host


def examine_own_entity(settings: Settings, *, serving: bool) -> Finding:
    """C-ECHO to ourselves; being turned away as a stranger says as well that we listen."""
    host = own_host(settings)
    where = f"{settings.ae_title} on port {settings.dimse_port}"
    if not serving:
        return warning(
            "own_entity", f"{where} was not asked: `cbir serve` does not run.", "Start it and ask again."
        )
    if settings.dimse_tls_certificate is not None:
        return _listens(where, host, settings.dimse_port)
    greeting = greet(host, settings.dimse_port, calling=settings.ae_title, called=settings.ae_title)
    if greeting.established:
        return ok("own_entity", f"{where} answers.")
    if greeting.diagnostic is None:
        return _unreachable(where)
    if greeting.diagnostic == CALLED_AE_TITLE_NOT_RECOGNISED:
        return problem(
            "own_entity",
            f"What listens there is not {where}.",
            "Another service has the port, or runs with another CBIR_AE_TITLE.",
        )
    return ok("own_entity", f"{where} listens, and turns away who is not in CBIR_CALLERS.")


def _listens(where: str, host: str, port: int) -> Finding:
    """Over TLS no more is asked: we hold no caller's certificate."""
    try:
        with socket.create_connection((host, port), timeout=WAIT_S):
            return ok("own_entity", f"{where} listens; it speaks TLS, so it was not greeted.")
    except OSError:
        return _unreachable(where)


def _unreachable(where: str) -> Finding:
    return problem(
        "own_entity",
        f"{where} cannot be reached.",
        "See the log of `cbir serve`; compare CBIR_DIMSE_HOST and CBIR_DIMSE_PORT.",
    )


def examine_callers(settings: Settings) -> Iterator[Finding]:
    """Whether the answers would reach everyone who may ask."""
    for caller in settings.callers:
        yield _examine_caller(caller, settings)


def _examine_caller(caller: Destination, settings: Settings) -> Finding:
    own_title = settings.ae_title
    check = f"caller_{caller.ae_title}"
    try:
        socket.getaddrinfo(caller.host, caller.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return problem(
            check,
            f"The name {caller.host} of {caller.ae_title} cannot be resolved: nobody can ask from there.",
            "Correct CBIR_CALLERS, or write the address instead of the name.",
        )
    greeting = greet(caller.host, caller.port, calling=own_title, called=caller.called_ae_title)
    if greeting.diagnostic is not None:
        return problem(
            check,
            f"{caller} turns {own_title} away.",
            f"Enter {own_title} there as a known AE title, or write AET=CALLED@host:port in CBIR_CALLERS.",
        )
    if not greeting.established:
        return problem(
            check,
            f"{caller} cannot be reached: its answers would wait, and be dropped in the end.",
            "Start its DICOM receiver, open the firewall, or correct CBIR_CALLERS.",
        )
    return _taken(check, caller, greeting, settings.answer_forms)


def _taken(check: str, caller: Destination, greeting: Greeting, forms: Sequence[str]) -> Finding:
    """Whether what we answer with is stored there."""
    missing = [_NAMES[form] for form in forms if form not in greeting.takes]
    if len(missing) == len(forms):
        return problem(
            check,
            f"{caller} does not take {' or '.join(missing)}: no answer can be delivered.",
            "Let its DICOM receiver store them, or answer another AE (AET=CALLED@host:port).",
        )
    if missing:
        return warning(
            check,
            f"{caller} does not take {' or '.join(missing)}: it gets the rest of each answer.",
            "Let its DICOM receiver store them, or name what it takes in CBIR_ANSWER_FORMS.",
        )
    taken = " and ".join(_NAMES[form] for form in forms)
    return ok(check, f"{caller} takes {taken}" + (" and answers C-ECHO." if greeting.echoed else "."))


def examine_destinations(settings: Settings) -> Iterator[Finding]:
    """Whether cases could be sent to each of the other destinations."""
    for destination in settings.destinations:
        yield _examine_destination(destination, settings.ae_title)


def _examine_destination(destination: Destination, own_title: str) -> Finding:
    check = f"destination_{destination.ae_title}"
    try:
        greeting = greet(
            destination.host, destination.port, calling=own_title, called=destination.called_ae_title
        )
    except OSError:
        greeting = Greeting()
    if greeting.established:
        return ok(check, f"{destination} takes associations of {own_title}.")
    if greeting.diagnostic is not None:
        return problem(
            check,
            f"{destination} turns {own_title} away.",
            f"Enter {own_title} there as a known AE title, or write AET=CALLED@host:port for it.",
        )
    return problem(
        check,
        f"{destination} cannot be reached: no case can be sent there.",
        "Start its DICOM receiver, open the firewall, or correct CBIR_DESTINATIONS.",
    )


def examine_orthanc_entity(settings: Settings, host: str, port: int, ae_title: str) -> Finding:
    """C-ECHO from us to Orthanc."""
    greeting = greet(host, port, calling=settings.ae_title, called=ae_title)
    if greeting.established:
        return ok(
            "echo_to_orthanc",
            f"Orthanc ({ae_title} on {host}:{port}) takes associations of {settings.ae_title}.",
        )
    why = "turns us away" if greeting.diagnostic is not None else "cannot be reached"
    return warning(
        "echo_to_orthanc",
        f"Orthanc ({ae_title} on {host}:{port}) {why}: it could not be sent an answer.",
        f'Enter {settings.ae_title} under "DicomModalities" there, or leave Orthanc out of CBIR_CALLERS.',
    )


def _diagnostic(association: Association) -> int | None:
    if not association.is_rejected:
        return None
    answer = association.acceptor.primitive
    return int(getattr(answer, "diagnostic", 0) or 0)
