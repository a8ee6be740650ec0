"""Write the digests of the images into docker-compose.yml and docker/Dockerfile: `make pin`.

A tag can be moved, a digest cannot. Each image named by a tag gets the digest that its registry gives for
the tag now; one that has a digest gets the present one. Where the registry cannot be reached nothing is
written, and the exit status is 3.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
FILES: Final = ("docker-compose.yml", "docker/Dockerfile")
DOCKER_HUB: Final = "https://registry-1.docker.io"
TIMEOUT_S: Final = 15.0
CANNOT_REACH: Final = 3

# `image: name:tag` of a compose file, `ARG PYTHON_IMAGE=name:tag` of a Dockerfile; ours are built here.
_IMAGE: Final = re.compile(
    r"(?P<before>^(?:\s*image:\s*|ARG\s+\w+_IMAGE=))(?P<name>(?!pacs-cbir)[\w./-]+):(?P<tag>[\w.-]+)"
    r"(?:@(?P<digest>sha256:[0-9a-f]{64}))?",
    re.MULTILINE,
)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")
# Of an image for several platforms, the digest of the list: the engine picks the platform.
_ACCEPT: Final = ", ".join(
    (
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
    )
)


class Unreachable(Exception):
    """The registry did not give a digest; the text says which image and why."""


@dataclass(frozen=True)
class Registry:
    """A container registry, read without an account (the distribution specification, v2)."""

    url: str = DOCKER_HUB

    def digest(self, name: str, tag: str) -> str:
        """The digest of a tag. Raises Unreachable."""
        repository = name if "/" in name else f"library/{name}"
        address = f"{self.url}/v2/{repository}/manifests/{tag}"
        try:
            headers = self._ask(address, {"Accept": _ACCEPT})
        except urllib.error.HTTPError as refused:
            challenge = refused.headers.get("WWW-Authenticate", "")
            if refused.code != 401 or not challenge:
                raise Unreachable(f"{name}:{tag}: the registry says {refused.code}.") from refused
            headers = self._ask_with_token(name, tag, address, challenge)
        except OSError as silent:
            raise Unreachable(f"{name}:{tag}: {self.url} cannot be reached ({silent}).") from silent
        digest = headers.get("docker-content-digest", "")
        if not _DIGEST.fullmatch(digest):
            raise Unreachable(f"{name}:{tag}: the registry gave no digest.")
        return digest

    def _ask_with_token(self, name: str, tag: str, address: str, challenge: str) -> Mapping[str, str]:
        wanted = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
        realm = wanted.pop("realm", "")
        try:
            with _open(f"{realm}?{urllib.parse.urlencode(wanted)}", {}, "GET") as answer:
                token = json.load(answer)["token"]
            return self._ask(address, {"Accept": _ACCEPT, "Authorization": f"Bearer {token}"})
        except (OSError, ValueError, KeyError) as refused:
            raise Unreachable(f"{name}:{tag}: the registry lets nobody in ({refused}).") from refused

    def _ask(self, address: str, headers: Mapping[str, str]) -> Mapping[str, str]:
        with _open(address, headers, "HEAD") as answer:
            return {name.lower(): value for name, value in answer.headers.items()}


def pinned(text: str, digest: Callable[[str, str], str]) -> str:
    """The text with a digest behind each image's tag."""
    return _IMAGE.sub(
        lambda found: (
            f"{found['before']}{found['name']}:{found['tag']}@{digest(found['name'], found['tag'])}"
        ),
        text,
    )


def images(text: str) -> list[tuple[str, str]]:
    """Name and tag of every image that a text takes from a registry."""
    return [(found["name"], found["tag"]) for found in _IMAGE.finditer(text)]


def pin(root: Path, registry: Registry) -> list[str]:
    """Pin the files below `root`: all of them, or none. Returns what was pinned to what."""
    digests: dict[tuple[str, str], str] = {}

    def digest(name: str, tag: str) -> str:
        if (name, tag) not in digests:
            digests[name, tag] = registry.digest(name, tag)
        return digests[name, tag]

    written = {path: pinned(path.read_text(), digest) for path in (root / file for file in FILES)}
    for path, text in written.items():
        path.write_text(text)
    return [f"{name}:{tag} {found}" for (name, tag), found in digests.items()]


def _open(address: str, headers: Mapping[str, str], method: str) -> urllib.request.addinfourl:
    if not address.startswith(("https://", "http://")):
        raise OSError(f"{address!r} is no address of a registry")
    request = urllib.request.Request(address, headers=dict(headers), method=method)  # noqa: S310 - checked above
    answer: urllib.request.addinfourl = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    return answer


def main() -> int:
    """Pin this repository; the exit status is 3 where the registry cannot be reached."""
    try:
        lines = pin(ROOT, Registry())
    except Unreachable as why:
        sys.stderr.write(f"Nothing was pinned. {why}\n")
        return CANNOT_REACH
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
