"""Executes a Dockerfile without an engine: its COPY and RUN instructions, below a folder of ours."""

from __future__ import annotations

import fnmatch
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

# The folders that our Dockerfile makes; what else a command names is the base image's.
OURS = ("/opt", "/src", "/var/lib/cbir")
COMMAND_LIMIT_S = 600


@dataclass
class Built:
    """What the image would be: files below `root`, and how its process starts."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)

    def inside(self, text: str) -> str:
        """A text with the image's own paths moved below `root`."""
        return re.sub(rf"(?<![\w.-])(?=(?:{'|'.join(map(re.escape, OURS))})\b)", str(self.root), text)


def instructions(dockerfile: Path) -> Iterator[tuple[str, str]]:
    """Keyword and text of each instruction, continued lines joined."""
    lines = [line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#")]
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        if line.strip():
            keyword, _, text = line.strip().partition(" ")
            yield keyword.upper(), text.strip()


class Context:
    """The files that the engine would be given: those that .dockerignore lets through."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        lines = (folder / ".dockerignore").read_text().splitlines()
        self._rules = [line.strip() for line in lines if line.strip() and not line.startswith("#")]

    def admits(self, path: Path) -> bool:
        """The last rule that names the file, or a folder that it is in, decides."""
        relative = PurePosixPath(path.relative_to(self._folder))
        admitted = True
        for rule in self._rules:
            wanted = rule.removeprefix("!")
            names = [str(relative), *(str(parent) for parent in relative.parents if str(parent) != ".")]
            if any(_matches(name, wanted) for name in names):
                admitted = rule.startswith("!")
        return admitted

    def files(self, source: str) -> dict[Path, PurePosixPath]:
        """The files of a COPY source, with their paths below it."""
        found = self._folder / source
        if found.is_file():
            return {found: PurePosixPath(found.name)} if self.admits(found) else {}
        return {
            path: PurePosixPath(path.relative_to(found))
            for path in sorted(found.rglob("*"))
            if path.is_file() and self.admits(path)
        }


def _matches(name: str, rule: str) -> bool:
    return fnmatch.fnmatchcase(name, rule) or (
        rule.startswith("**/") and fnmatch.fnmatchcase(name.rpartition("/")[2], rule[3:])
    )


def build(dockerfile: Path, context: Context, root: Path, arguments: Mapping[str, str]) -> Built:
    """Execute every stage; all stages share one root, so a COPY between them must keep the path."""
    image = Built(root)
    values: dict[str, str] = {}
    for keyword, written in instructions(dockerfile):
        text = re.sub(r"\$\{(\w+)\}", lambda found: values.get(found[1], found[0]), written)
        if keyword == "ARG":
            name, _, default = text.partition("=")
            values[name] = arguments.get(name, default)
        elif keyword == "FROM":
            image = Built(root, {"PATH": f"{_python(root)}:/usr/bin:/bin"})
        elif keyword == "COPY":
            _copy(image, context, text.split())
        elif keyword == "RUN":
            _run(image, text)
        else:
            _configure(image, keyword, text)
    return image


def _configure(image: Built, keyword: str, text: str) -> None:
    match keyword:
        case "ENV":
            for pair in shlex.split(text):
                name, _, value = pair.partition("=")
                image.environment[name] = image.inside(value)
        case "WORKDIR":
            image.workdir = text
            Path(image.inside(text)).mkdir(parents=True, exist_ok=True)
        case "USER":
            image.user = text
        case "ENTRYPOINT":
            image.entrypoint = _exec_form(text)
        case "CMD":
            image.command = _exec_form(text)
        case "LABEL" | "EXPOSE" | "VOLUME":
            pass
        case _:
            raise AssertionError(f"{keyword} is not executed here")


def _python(root: Path) -> Path:
    """A folder with the base image's `python`."""
    folder = root / "usr" / "local" / "bin"
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "python").exists():
        (folder / "python").symlink_to(Path(sys.base_prefix) / "bin" / "python3.11")
    return folder


def _exec_form(text: str) -> list[str]:
    assert text.startswith("["), "only the exec form gets signals"
    return [word.strip().strip('"') for word in text.strip("[]").split(",")]


def _copy(image: Built, context: Context, words: list[str]) -> None:
    if words[0].startswith("--from="):
        assert words[1] == words[2], "stages share one root here: the path must stay the same"
        assert Path(image.inside(words[1])).exists()
        return
    *sources, target = words
    base = Path(image.inside(str(PurePosixPath(image.workdir) / target)))
    for source in sources:
        files = context.files(source)
        assert files, f"COPY {source}: nothing there that .dockerignore lets through"
        for path, below in files.items():
            destination = base / below
            destination.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, destination)


def _run(image: Built, text: str) -> None:
    # Only root gives files away; the folder then belongs to whoever runs this.
    owned = text.replace("chown 10001:10001", f"chown {os.getuid()}:{os.getgid()}")
    done = subprocess.run(
        ["/bin/sh", "-ec", image.inside(owned)],
        cwd=image.inside(image.workdir),
        env={**_network(), **image.environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_LIMIT_S,
    )
    assert done.returncode == 0, f"RUN {text}\n{done.stdout}\n{done.stderr}"


def _network() -> dict[str, str]:
    """How this machine reaches the package index; an image would have its own network."""
    told = ("PIP_", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "HOME")
    return {name: value for name, value in os.environ.items() if name.startswith(told)}
