# SPDX-License-Identifier: AGPL-3.0-or-later
"""The calls of Orthanc's Python SDK that we use, as Protocols, so that the rest runs without Orthanc."""
# ruff: noqa: N802 - the names are Orthanc's.

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

OnChange = Callable[[int, int, str], None]


class RestOutput(Protocol):
    """Where the answer to one HTTP request goes.

    Measured: `SendHttpStatus` takes the body as bytes (plugin 7.1), or as text and its size in bytes
    (plugin 4.0); only codes that Orthanc knows may be sent (429 closes the connection). From Orthanc
    1.12.2 on its answer is text/plain whatever is said, and a Content-Type of ours comes on top.
    """

    def AnswerBuffer(self, body: bytes, mime: str) -> None:
        """Answer 200."""

    def SendHttpStatus(self, status: int, body: bytes | str, size_bytes: int = ...) -> None:
        """Answer anything but 200, 301, 401 and 405."""

    def SendMethodNotAllowed(self, allowed: str) -> None:
        """Answer 405."""

    def SetHttpHeader(self, name: str, value: str) -> None:
        """Add a header; before the body."""


OnRequest = Callable[..., None]


class OrthancSdk(Protocol):
    """The module `orthanc` as far as we use it; never a call that reaches the network."""

    ChangeType: Any
    ResourceType: Any

    def CheckVersionAdvanced(self, major: int, minor: int, revision: int) -> int:
        """Whether Orthanc is at least this version."""

    def GetConfiguration(self) -> str:
        """Orthanc's whole configuration, as JSON, environment variables replaced."""

    def GetConfigurationPath(self) -> str:
        """The file or folder it was read from: relative paths in it are relative to there."""

    def RegisterOnChangeCallback(self, callback: OnChange) -> None:
        """Call with (change type, resource type, identifier), on one thread, in order."""

    def RegisterRestCallback(self, pattern: str, callback: OnRequest) -> None:
        """Call with (output, uri, **request) for paths that match the whole pattern."""

    def ExtendOrthancExplorer(self, javascript: str) -> None:
        """Append to the script of Orthanc Explorer."""

    def LogInfo(self, message: str) -> None:
        """Write to Orthanc's log."""

    def LogWarning(self, message: str) -> None:
        """Write to Orthanc's log."""

    def LogError(self, message: str) -> None:
        """Write to Orthanc's log."""
