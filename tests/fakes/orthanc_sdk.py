"""Orthanc's Python SDK as far as the plugin uses it, remembering what was registered and said."""

# ruff: noqa: N802 - the names are Orthanc's.

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from cbir_sdk import OnChange, OnRequest

# The numbers of Orthanc 1.10.1.
CHANGE_TYPES = SimpleNamespace(
    DELETED=1,
    NEW_CHILD_INSTANCE=2,
    NEW_INSTANCE=3,
    NEW_SERIES=5,
    STABLE_SERIES=8,
    ORTHANC_STARTED=10,
    ORTHANC_STOPPED=11,
)
RESOURCE_TYPES = SimpleNamespace(PATIENT=0, STUDY=1, SERIES=2, INSTANCE=3, NONE=4)


@dataclass
class FakeOutput:
    """Keeps the one answer."""

    status: int = 0
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)

    def AnswerBuffer(self, body: bytes, mime: str) -> None:
        self.status, self.body = 200, body
        self.headers["Content-Type"] = mime

    def SendHttpStatus(self, status: int, body: bytes | str, size_bytes: int = -1) -> None:
        """As plugin 4.0 does; 7.1 takes two arguments."""
        if isinstance(body, bytes) or size_bytes < 0:
            raise TypeError("Bad types for the arguments (3 arguments expected)")
        encoded = body.encode()
        if status in (200, 301, 401, 405, 429) or len(encoded) != size_bytes:
            raise ValueError("Orthanc 1.10.1 would close the connection")
        self.status, self.body = status, encoded

    def SendMethodNotAllowed(self, allowed: str) -> None:
        self.status = 405
        self.headers["Allow"] = allowed

    def SetHttpHeader(self, name: str, value: str) -> None:
        self.headers[name] = value


@dataclass
class FakeOrthanc:
    """The module `orthanc`."""

    configuration: Mapping[str, Any]
    configuration_path: str
    changes: list[OnChange] = field(default_factory=list)
    routes: dict[str, OnRequest] = field(default_factory=dict)
    explorer: str = ""
    log: list[tuple[str, str]] = field(default_factory=list)
    ChangeType: Any = field(default_factory=lambda: CHANGE_TYPES)
    ResourceType: Any = field(default_factory=lambda: RESOURCE_TYPES)

    def CheckVersionAdvanced(self, major: int, minor: int, revision: int) -> int:
        return int((major, minor, revision) <= (1, 10, 1))

    def GetConfiguration(self) -> str:
        return json.dumps(self.configuration)

    def GetConfigurationPath(self) -> str:
        return self.configuration_path

    def RegisterOnChangeCallback(self, callback: OnChange) -> None:
        self.changes.append(callback)

    def RegisterRestCallback(self, pattern: str, callback: OnRequest) -> None:
        self.routes[pattern] = callback

    def ExtendOrthancExplorer(self, javascript: str) -> None:
        self.explorer += javascript

    def LogInfo(self, message: str) -> None:
        self.log.append(("info", message))

    def LogWarning(self, message: str) -> None:
        self.log.append(("warning", message))

    def LogError(self, message: str) -> None:
        self.log.append(("error", message))
