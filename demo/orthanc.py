"""A private, real Orthanc with our plugin, for the demonstration and the tests."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import httpx

from cbir.ports import free_port

BINARIES: Final = ("/usr/sbin/Orthanc", "/usr/local/sbin/Orthanc", "/usr/local/bin/Orthanc")
PYTHON_PLUGINS: Final = (
    "/usr/share/orthanc/plugins/libOrthancPython.so",
    "/usr/share/orthanc/plugins-available/libOrthancPython.so",
    "/usr/local/share/orthanc/plugins/libOrthancPython.so",
    "/usr/lib/orthanc/libOrthancPython.so",
)
PLUGIN_SCRIPT: Final = Path(__file__).parent.parent / "plugin" / "cbir_plugin.py"
START_TIMEOUT_S: Final = 180.0
STOP_TIMEOUT_S: Final = 60.0


class OrthancMissing(Exception):
    """There is no Orthanc, or no Python plugin for it, on this machine; the text says what to install."""


class OrthancNotReady(Exception):
    """Orthanc ended or did not answer in time; the text ends with its log."""


def find_orthanc() -> tuple[Path, Path]:
    """The program and its Python plugin.

    The environment variables ORTHANC_BINARY and ORTHANC_PYTHON_PLUGIN come first.

    Raises:
        OrthancMissing: one of them is not here.
    """
    binary = _first(os.environ.get("ORTHANC_BINARY"), shutil.which("Orthanc"), BINARIES)
    plugin = _first(os.environ.get("ORTHANC_PYTHON_PLUGIN"), None, PYTHON_PLUGINS)
    if binary is None or plugin is None:
        missing = "Orthanc" if binary is None else "Orthanc's Python plugin (libOrthancPython.so)"
        raise OrthancMissing(
            f"{missing} is not on this machine. On Debian or Ubuntu: `sh demo/install_orthanc.sh`, or "
            "`apt-get install orthanc orthanc-python`. "
            "Elsewhere set ORTHANC_BINARY and ORTHANC_PYTHON_PLUGIN."
        )
    return binary, plugin


def _first(named: str | None, found: str | None, usual: tuple[str, ...]) -> Path | None:
    candidates = (named,) if named else (found, *usual)
    return next((Path(path) for path in candidates if path and Path(path).is_file()), None)


@dataclass
class LocalOrthanc:
    """Orthanc on free ports of this machine, closed to others.

    Orthanc 1.10.1 cannot listen on one address only, so it is told to refuse: HTTP from other machines
    (RemoteAccessAllowed), callers it does not know by AE title and address, other called AE titles.

    Args:
        folder: where its configuration, database, images and log are; kept from start to start.
        indexer_url: where the plugin finds the indexer; empty leaves the plugin out.
        secret: shared by the plugin and the indexer.
        modalities: AE title: (host, port) of those that may send, and that may be sent to.
        extra: merged over the configuration, its "CBIR" section into ours.
        programs: Orthanc and its Python plugin; None takes those of this machine.
    """

    folder: Path
    indexer_url: str = ""
    secret: str = field(default="", repr=False)
    modalities: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    overwrite_instances: bool = False
    stable_age_s: int = 2
    extra: Mapping[str, Any] = field(default_factory=dict)
    programs: tuple[Path, Path] | None = None
    ae_title: str = "ORTHANC"
    user: str = "demo"
    password: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    http_port: int = field(default_factory=free_port)
    dicom_port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def http_url(self) -> str:
        """Where its REST API and Orthanc Explorer are."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def auth(self) -> tuple[str, str]:
        """User and password, as httpx takes them."""
        return self.user, self.password

    @property
    def log_path(self) -> Path:
        """Everything it wrote, over all starts."""
        return self.folder / "orthanc.log"

    @property
    def pid(self) -> int | None:
        """Its process, while it runs."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def __enter__(self) -> LocalOrthanc:
        """Start, and wait until it answers."""
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()

    def start(self) -> None:
        """Start it.

        Raises:
            OrthancMissing: it is not on this machine.
        """
        binary, python_plugin = self.programs or find_orthanc()
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = self.folder.absolute() / "orthanc.json"
        configuration.touch(mode=0o600)
        configuration.write_text(json.dumps(self._configuration(python_plugin), indent=2), encoding="utf-8")
        # Without TCP_NODELAY every C-STORE answer waits for a delayed acknowledgement: 7 times slower.
        environment = {**os.environ, "TCP_NODELAY": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        environment.pop("PYTHONPATH", None)
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [str(binary), str(configuration)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                env=environment,
                start_new_session=True,
            )

    def wait_ready(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until it answers HTTP and listens for DICOM.

        Raises:
            OrthancNotReady: it ended, or did not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                raise OrthancNotReady(f"Orthanc ended:\n{self._log_tail()}")
            if self._answers() and self._listens():
                return
            time.sleep(0.05)
        raise OrthancNotReady(f"Orthanc did not answer within {timeout_s:g} s:\n{self._log_tail()}")

    def stop(self) -> None:
        """End it in good order; by force where it does not end."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it by SIGKILL, as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Stop if it runs, start on the same folder and ports, and wait until it answers."""
        self.stop()
        self.start()
        self.wait_ready()

    @contextmanager
    def client(self, timeout_s: float = 120.0) -> Iterator[httpx.Client]:
        """An HTTP client of its REST API, uncompressed: Orthanc's gzip is 150 times slower."""
        with httpx.Client(
            base_url=self.http_url,
            auth=self.auth,
            timeout=timeout_s,
            trust_env=False,
            headers={"Accept-Encoding": "identity"},
            # Orthanc closes a connection that was idle for a second, and might do so under a request.
            limits=httpx.Limits(max_keepalive_connections=0),
        ) as client:
            yield client

    def log(self) -> str:
        """What it has written so far."""
        return self.log_path.read_text(encoding="utf-8", errors="replace") if self.log_path.exists() else ""

    def _log_tail(self) -> str:
        return "\n".join(self.log().splitlines()[-20:])

    def _answers(self) -> bool:
        try:
            answer = httpx.get(f"{self.http_url}/system", auth=self.auth, timeout=2, trust_env=False)
        except httpx.HTTPError:
            return False
        return answer.status_code == 200

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(2)
            return probe.connect_ex(("127.0.0.1", self.dicom_port)) == 0

    def _configuration(self, python_plugin: Path) -> dict[str, Any]:
        database = self.folder.absolute() / "db"
        configuration: dict[str, Any] = {
            "Name": "CBIR demonstration",
            "StorageDirectory": str(database),
            "IndexDirectory": str(database),
            "HttpPort": self.http_port,
            "HttpCompressionEnabled": False,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {self.user: self.password},
            "DicomAet": self.ae_title,
            "DicomPort": self.dicom_port,
            "DicomCheckCalledAet": True,
            "DicomCheckModalityHost": True,
            "DicomAlwaysAllowEcho": False,
            "DicomAlwaysAllowStore": False,
            "DicomAlwaysAllowFind": False,
            "DicomAlwaysAllowGet": False,
            "DicomAlwaysAllowMove": False,
            "DicomModalities": {
                title: {"AET": title, "Host": host, "Port": port}
                for title, (host, port) in self.modalities.items()
            },
            "OverwriteInstances": self.overwrite_instances,
            "StableAge": self.stable_age_s,
            "SaveJobs": False,
            "Plugins": [str(python_plugin)] if self.indexer_url else [],
        }
        if self.indexer_url:
            configuration["PythonScript"] = str(PLUGIN_SCRIPT.absolute())
            configuration["CBIR"] = {"IndexerUrl": self.indexer_url, "Secret": self.secret}
        section = {**configuration.get("CBIR", {}), **self.extra.get("CBIR", {})}
        configuration |= self.extra
        return {**configuration, "CBIR": section} if section else configuration
