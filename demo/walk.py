"""The walk: an archive is filled, its series are indexed, a workstation asks, and is answered."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from cbir.ports import free_port
from cbir.progress import progress_bar, watch_until_done
from demo.material import Material
from demo.orthanc import LocalOrthanc
from demo.report import ReportedCase, print_cases, reported_cases
from demo.workstation import Workstation
from indexer.ledger import State

CBIR = "CBIR"
WORKSTATION = "WORKSTATION"
READY_WAIT_S = 180.0
INDEX_WAIT_S = 900.0
SETTLED_S = 3.0
ANSWER_WAIT_S = 120.0
STOP_WAIT_S = 60.0


class DemoFailed(Exception):
    """The walk did not end as it should; the text says where."""


@dataclass
class Service:
    """`cbir serve` as a child process, on free ports."""

    folder: Path
    environment: Mapping[str, str]
    http_port: int = field(default_factory=free_port)
    dimse_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def log_path(self) -> Path:
        """Everything it wrote."""
        return self.folder / "cbir.log"

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it, and wait until it answers. Raises DemoFailed when it does not."""
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "CBIR_DATA_DIR": str(self.folder / "data"),
            "CBIR_HTTP_PORT": str(self.http_port),
            "CBIR_DIMSE_PORT": str(self.dimse_port),
            **self.environment,
        }
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "cbir", "serve"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._wait_until_ready()

    def counts(self) -> Mapping[State, int]:
        """How many series are in each state."""
        answer = httpx.get(f"{self.url}/api/status", timeout=120.0, trust_env=False)
        return {State(state): count for state, count in answer.raise_for_status().json()["series"].items()}

    def kill(self) -> None:
        """End it by SIGKILL, as a power cut would; its children notice by themselves."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stop(self) -> None:
        """End it in good order."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(STOP_WAIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_WAIT_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            try:
                if httpx.get(f"{self.url}/healthz", timeout=5.0, trust_env=False).is_success:
                    return
            except httpx.TransportError:
                pass  # it does not listen yet
            time.sleep(0.1)
        raise DemoFailed(f"cbir serve did not start:\n{self.log_path.read_text()[-2000:]}")


@dataclass(frozen=True, slots=True)
class Walk:
    """A private hospital: Orthanc with the plugin, the service, and a workstation."""

    orthanc: LocalOrthanc
    service: Service
    workstation: Workstation


@contextmanager
def hospital(
    folder: Path,
    environment: Mapping[str, str] | None = None,
    **orthanc_options: Any,  # noqa: ANN401 - whatever LocalOrthanc takes
) -> Iterator[Walk]:
    """Everything on free loopback ports, for as long as the block lasts.

    Args:
        folder: where it keeps everything.
        environment: more options of `cbir serve`.
        orthanc_options: more of LocalOrthanc's.

    Raises:
        OrthancMissing: there is no Orthanc on this machine.
    """
    secret, workstation_port = secrets.token_urlsafe(24), free_port()
    with ExitStack() as stack:
        service = Service(folder / "cbir", {})
        orthanc = LocalOrthanc(
            folder / "orthanc",
            indexer_url=service.url,
            secret=secret,
            modalities={
                WORKSTATION: ("127.0.0.1", workstation_port),
                CBIR: ("127.0.0.1", service.dimse_port),
            },
            **orthanc_options,
        )
        service.environment = {
            "CBIR_ORTHANC_URL": orthanc.http_url,
            "CBIR_ORTHANC_USER": orthanc.user,
            "CBIR_ORTHANC_PASSWORD": orthanc.password,
            "CBIR_PLUGIN_SECRET": secret,
            "CBIR_CALLERS": f"{WORKSTATION}=127.0.0.1:{workstation_port},"
            f"{orthanc.ae_title}=127.0.0.1:{orthanc.dicom_port}",
            "CBIR_ENCODERS_DIR": str(Path(__file__).parent.parent / "models"),
            **(environment or {}),
        }
        stack.enter_context(orthanc)
        stack.callback(service.stop)
        service.start()
        workstation = stack.enter_context(Workstation(WORKSTATION, workstation_port))
        yield Walk(orthanc, service, workstation)


def fill(walk: Walk, paths: Sequence[Path], console: Console) -> None:
    """Send files to the archive by C-STORE, and wait until every series has been looked at."""
    with progress_bar(console, "Sending to Orthanc", len(paths)) as progress:
        sent = walk.workstation.send(
            paths,
            port=walk.orthanc.dicom_port,
            called_ae_title=walk.orthanc.ae_title,
            progress=progress,
        )
    console.print(f"Orthanc took {sent.accepted} instances and refused {sent.refused}.")
    try:
        counts = watch_until_done(console, walk.service.counts, settled_s=SETTLED_S, limit_s=INDEX_WAIT_S)
    except TimeoutError as late:
        raise DemoFailed(f"{late} See {walk.service.log_path}") from late
    console.print("  ".join(f"{state} {count}" for state, count in counts.items()))


def ask(walk: Walk, example: Sequence[Path]) -> list[ReportedCase]:
    """Send a study to CBIR as a workstation would, and read the report that comes back.

    Raises:
        DemoFailed: CBIR refused the study, or no report came.
    """
    sent = walk.workstation.send(example, port=walk.service.dimse_port, called_ae_title=CBIR)
    if sent.refused or not sent.accepted:
        raise DemoFailed(f"CBIR refused {sent.refused} instances. See {walk.service.log_path}")
    report = walk.workstation.next_report(ANSWER_WAIT_S)
    if report is None:
        raise DemoFailed(f"No report came within {ANSWER_WAIT_S:.0f} s. See {walk.service.log_path}")
    return reported_cases(report)


def run_walk(walk: Walk, material: Material, console: Console) -> None:
    """Fill, ask, print; DemoFailed unless a case of the example's family ranks first."""
    fill(walk, material.archived, console)
    console.print(f"Sending one more study to the AE title {CBIR}: {material.example_is}.")
    started = time.monotonic()
    cases = ask(walk, material.example)
    took_s = time.monotonic() - started
    console.print(
        f"{len(cases)} similar prior cases came back as a contact sheet and a structured report "
        f"after {took_s:.1f} s."
    )
    print_cases(console, cases, material.family_of)
    refuse_wrong_first(cases, material)


def refuse_wrong_first(cases: Sequence[ReportedCase], material: Material) -> None:
    """Raise DemoFailed unless the first case is of the family that the example is of."""
    if not cases:
        raise DemoFailed("The report names no case.")
    first = material.family_of.get(cases[0].study_instance_uid, "")
    if material.family and first != material.family:
        raise DemoFailed(f"The first case is of the family {first or 'unknown'}, not {material.family}.")
