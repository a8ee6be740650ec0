"""Orthanc from outside: does it answer, which version, is the plugin there, does the way back work."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from cbir.doctor.associations import examine_orthanc_entity
from cbir.doctor.finding import Finding, ok, problem, warning
from cbir.doctor.plugin import examine_plugin
from cbir.settings import LOOPBACK, Settings

WAIT_S: Final = 20.0
SAFE_VERSION: Final = (1, 12, 11)
LARGEST_SKEW_S: Final = 30.0
_CHECK_SETTINGS: Final = (
    "Compare CBIR_ORTHANC_URL, CBIR_ORTHANC_USER and CBIR_ORTHANC_PASSWORD with orthanc.json."
)


@dataclass(frozen=True, slots=True)
class Examined:
    """The Orthanc that is examined; `serving` says whether `cbir serve` runs beside it."""

    settings: Settings
    client: httpx.Client
    serving: bool


def examine_orthanc(settings: Settings, *, serving: bool) -> Iterator[Finding]:
    """Everything about Orthanc; after a first problem with reaching it, nothing more."""
    user, password = settings.orthanc_user, settings.orthanc_password.get_secret_value()
    with httpx.Client(
        base_url=str(settings.orthanc_url),
        auth=(user, password) if user else None,
        timeout=WAIT_S,
        trust_env=False,
        headers={"Accept-Encoding": "identity"},
    ) as client:
        try:
            yield from _examine(Examined(settings, client, serving))
        except httpx.HTTPError as error:
            yield problem(
                "orthanc",
                f"Orthanc does not answer at {settings.orthanc_url} ({type(error).__name__}).",
                f"Start it, or open the way to it. {_CHECK_SETTINGS}",
            )


def _examine(orthanc: Examined) -> Iterator[Finding]:
    answer = orthanc.client.get("/system")
    refusal = _refusal(orthanc, answer)
    if refusal is not None:
        yield refusal
        return
    system: Mapping[str, Any] = answer.json()
    yield ok("orthanc", f"Orthanc answers at {orthanc.settings.orthanc_url}.")
    yield _transport(orthanc.settings)
    yield _version(str(system["Version"]))
    yield _clock(orthanc, answer)
    yield examine_plugin(client=orthanc.client, serving=orthanc.serving)
    yield _way_to_us(orthanc, str(system.get("DicomAet", "")))
    host = urlsplit(str(orthanc.settings.orthanc_url)).hostname or "127.0.0.1"
    yield examine_orthanc_entity(
        orthanc.settings, host, int(system.get("DicomPort", 4242)), str(system.get("DicomAet", ""))
    )
    if host in LOOPBACK:
        yield from _no_delay()


def _refusal(orthanc: Examined, answer: httpx.Response) -> Finding | None:
    if answer.status_code in (401, 403):
        return problem(
            "orthanc", "Orthanc refuses our account.", f"Name or password is wrong. {_CHECK_SETTINGS}"
        )
    try:
        known = answer.is_success and "Version" in answer.json()
    except ValueError:
        known = False
    if known:
        return None
    return problem(
        "orthanc", f"What answers at {orthanc.settings.orthanc_url} is no Orthanc.", _CHECK_SETTINGS
    )


def _transport(settings: Settings) -> Finding:
    url = urlsplit(str(settings.orthanc_url))
    if url.scheme == "http" and url.hostname not in LOOPBACK:
        return warning(
            "orthanc_transport",
            "Images and our password travel from Orthanc without encryption.",
            "Use https in CBIR_ORTHANC_URL, or keep both in a network of their own.",
        )
    return ok("orthanc_transport", "Nothing travels unencrypted over a network between Orthanc and us.")


def _version(version: str) -> Finding:
    numbers = tuple(int(n) for n in re.findall(r"\d+", version)[:3])
    if numbers and numbers < SAFE_VERSION:
        safe = ".".join(map(str, SAFE_VERSION))
        return warning(
            "orthanc_version",
            f"Orthanc is {version}; before {safe} hostile files and requests are known to crash it.",
            f"Upgrade to {safe} or newer, or let in trusted senders only (CVE-2026-5437 to 5445).",
        )
    return ok("orthanc_version", f"Orthanc is {version}.")


def _clock(orthanc: Examined, answer: httpx.Response) -> Finding:
    """Its Date header where it sends one, else what its /tools/now says, in UTC."""
    theirs = _date_header(answer) or _tools_now(orthanc)
    if theirs is None:
        return warning("clock", "Orthanc does not tell its time.", "Compare the clocks by hand.")
    apart_s = abs((datetime.now(UTC) - theirs).total_seconds())
    if apart_s > LARGEST_SKEW_S:
        return warning(
            "clock",
            f"Orthanc's clock and ours are {apart_s:.0f} s apart.",
            "Let both machines follow the same time server (NTP): leases and reports carry the time.",
        )
    return ok("clock", "Orthanc's clock and ours agree.")


def _date_header(answer: httpx.Response) -> datetime | None:
    try:
        return parsedate_to_datetime(answer.headers["Date"])
    except (KeyError, ValueError):
        return None


def _tools_now(orthanc: Examined) -> datetime | None:
    answer = orthanc.client.get("/tools/now")
    try:
        return datetime.strptime(answer.text.strip(), "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def _way_to_us(orthanc: Examined, orthanc_title: str) -> Finding:
    """C-ECHO from Orthanc to us, for "Send to DICOM modality"."""
    settings = orthanc.settings
    advice = f'Enter {settings.ae_title} under "DicomModalities" in orthanc.json, as the example there does.'
    answer = orthanc.client.get("/modalities", params={"expand": ""})
    known = answer.json() if answer.is_success else {}
    names = [n for n, entry in known.items() if _title_of(entry) == settings.ae_title]
    if not names:
        return warning(
            "echo_from_orthanc",
            f"Orthanc knows no modality {settings.ae_title}.",
            advice,
        )
    if not orthanc.serving:
        return warning(
            "echo_from_orthanc", "Orthanc was not asked to greet us: `cbir serve` does not run.", "Start it."
        )
    if all(caller.ae_title != orthanc_title for caller in settings.callers):
        return warning(
            "echo_from_orthanc",
            f"{orthanc_title} (Orthanc) is not in CBIR_CALLERS: a study sent from there is refused.",
            f"Add {orthanc_title}=host:port to CBIR_CALLERS, if studies are to be sent from there.",
        )
    if orthanc.client.post(f"/modalities/{names[0]}/echo", content=b"{}").is_success:
        return ok("echo_from_orthanc", f"Orthanc reaches {settings.ae_title} by C-ECHO.")
    return problem(
        "echo_from_orthanc",
        f"Orthanc does not reach {settings.ae_title}, which it calls {names[0]}.",
        f"Compare its host and port there with CBIR_DIMSE_HOST and CBIR_DIMSE_PORT. {advice}",
    )


def _title_of(entry: object) -> str:
    """An entry is an object, or in old configurations a list that begins with the title."""
    if isinstance(entry, dict):
        return str(entry.get("AET", ""))
    return str(entry[0]) if isinstance(entry, list) and entry else ""


def _no_delay() -> Iterator[Finding]:
    """TCP_NODELAY of an Orthanc on this machine, where its environment may be read."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().strip() != "Orthanc":
                continue
            environment = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"TCP_NODELAY=1" in environment:
            continue
        yield warning(
            "tcp_nodelay",
            f"Orthanc (process {process.name}) runs without TCP_NODELAY=1: each C-STORE waits some 40 ms.",
            "Set TCP_NODELAY=1 in the environment that Orthanc is started with.",
        )
        return
    yield ok("tcp_nodelay", "No Orthanc that can be seen from here waits for acknowledgements.")
