# SPDX-License-Identifier: AGPL-3.0-or-later
"""The "CBIR" section of Orthanc's configuration, read once."""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECTION = "CBIR"
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class WrongSetting(Exception):
    """The configuration cannot be used; the text names the setting and says what to write."""


@dataclass(frozen=True)
class Settings:
    """Every option of the plugin; `IndexerUrl` in the file is `indexer_url` here."""

    indexer_url: str
    secret: str = field(repr=False)
    outbox_path: Path
    outbox_limit: int = 1_000_000
    timeout_s: float = 60.0
    max_upload_bytes: int = 256 * 2**20
    max_answer_bytes: int = 16 * 2**20
    origins: tuple[str, ...] = ()
    button: bool = True

    @property
    def leaves_the_machine_unencrypted(self) -> bool:
        """Whether credentials would travel over a network as plain text."""
        url = urllib.parse.urlsplit(self.indexer_url)
        return url.scheme == "http" and url.hostname not in LOOPBACK


@dataclass(frozen=True)
class Users:
    """Who Orthanc lets in by name and password, to know whom a request is from.

    Orthanc hands the parts of a multipart/form-data body to a plugin as if each were a request, with
    the part's headers in place of the request's: a foreign page may write any header there, but not a
    password. So a name is believed only with its password, although Orthanc has asked for it before.
    """

    required: bool
    _names: Mapping[str, str] = field(repr=False, default_factory=dict)
    without_password: tuple[str, ...] = ()

    @classmethod
    def of(cls, configuration: Mapping[str, Any]) -> Users:
        """Read AuthenticationEnabled and RegisteredUsers as Orthanc does."""
        enabled = configuration.get("AuthenticationEnabled", configuration.get("RemoteAccessAllowed", False))
        registered = configuration.get("RegisteredUsers") or {}
        names = {_basic(name, str(password)): name for name, password in registered.items() if password}
        open_doors = tuple(name for name, password in registered.items() if not password)
        return cls(bool(enabled and registered), names if enabled else {}, open_doors)

    def name(self, authorization: str) -> str | None:
        """The user of an Authorization header, or None where Orthanc has not checked it."""
        return self._names.get(authorization.strip())


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def read_settings(configuration: Mapping[str, Any], configuration_path: str) -> Settings:
    """Read and check the section.

    Args:
        configuration: all of Orthanc's configuration.
        configuration_path: where it was read from.

    Raises:
        WrongSetting: something is missing, unknown or out of range.
    """
    section = configuration.get(SECTION)
    if not isinstance(section, Mapping):
        raise WrongSetting('There is no "CBIR" section: copy the one of orthanc.json.')
    unknown = sorted(set(section) - set(_READERS) - {"Secret", "SecretFile", "OutboxPath"})
    if unknown:
        known = sorted({*_READERS, "Secret", "SecretFile", "OutboxPath"})
        raise WrongSetting(f"CBIR.{unknown[0]} is not a setting; there are {', '.join(known)}.")
    values = {name: read(section[key]) for key, (name, read) in _READERS.items() if key in section}
    if "indexer_url" not in values:
        raise WrongSetting("CBIR.IndexerUrl is missing: write where `cbir serve` listens.")
    folder = _folder(configuration_path)
    return Settings(
        secret=_secret(section, folder), outbox_path=_outbox_path(section, configuration, folder), **values
    )


def _url(value: object) -> str:
    url = urllib.parse.urlsplit(str(value))
    try:
        sound = url.scheme in ("http", "https") and bool(url.hostname) and url.port != 0
    except ValueError:
        sound = False
    if not sound or url.query or url.fragment or url.username:
        raise WrongSetting("CBIR.IndexerUrl must read like http://127.0.0.1:8090, without user or query.")
    return str(value).rstrip("/")


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise WrongSetting("CBIR.Button must be true or false.")
    return value


def _origins(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(origin, str) for origin in value):
        raise WrongSetting('CBIR.Origins must be a list like ["https://pacs.example.org"].')
    return tuple(origin.rstrip("/").lower() for origin in value)


def _number(key: str, lowest: float, highest: float) -> Any:  # noqa: ANN401 - a reader of a number
    def read(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
            raise WrongSetting(f"CBIR.{key} must be a number from {lowest} to {highest}.")
        return value

    return read


def _count(key: str, lowest: int, highest: int, unit: int = 1) -> Any:  # noqa: ANN401 - a reader of a number
    read = _number(key, lowest, highest)
    return lambda value: int(read(value)) * unit


_READERS: Mapping[str, tuple[str, Any]] = {
    "IndexerUrl": ("indexer_url", _url),
    "OutboxLimit": ("outbox_limit", _count("OutboxLimit", 1, 100_000_000)),
    "TimeoutSeconds": ("timeout_s", _number("TimeoutSeconds", 0.1, 3600)),
    "MaximumUploadMegabytes": ("max_upload_bytes", _count("MaximumUploadMegabytes", 1, 4096, 2**20)),
    "MaximumAnswerMegabytes": ("max_answer_bytes", _count("MaximumAnswerMegabytes", 1, 1024, 2**20)),
    "Origins": ("origins", _origins),
    "Button": ("button", _flag),
}


def _folder(configuration_path: str) -> Path:
    path = Path(configuration_path or ".").absolute()
    return path if path.is_dir() else path.parent


def _secret(section: Mapping[str, Any], folder: Path) -> str:
    secret, file = section.get("Secret", ""), section.get("SecretFile", "")
    if bool(secret) == bool(file):
        raise WrongSetting("Write either CBIR.Secret or CBIR.SecretFile: what CBIR_PLUGIN_SECRET holds.")
    if file:
        try:
            secret = (folder / str(file)).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise WrongSetting(f"CBIR.SecretFile cannot be read: {type(error).__name__}.") from error
    if not isinstance(secret, str) or not secret.isascii() or not secret.isprintable() or not secret:
        raise WrongSetting("The secret must be plain printable text: take `openssl rand -hex 32`.")
    return secret


def _outbox_path(section: Mapping[str, Any], configuration: Mapping[str, Any], folder: Path) -> Path:
    given = section.get("OutboxPath")
    if given is not None:
        if not isinstance(given, str) or not given:
            raise WrongSetting("CBIR.OutboxPath must be the path of a file.")
        return folder / given
    index = configuration.get("IndexDirectory") or configuration.get("StorageDirectory") or "OrthancStorage"
    return folder / str(index) / "cbir-outbox.sqlite"
