"""The same job where there is no Orthanc: a folder of DICOM files is indexed, asked, and shown."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from demo.material import Material
from demo.report import ReportedCase, print_cases
from demo.walk import DemoFailed, Service, refuse_wrong_first


@contextmanager
def run_folder_walk(folder: Path, material: Material, console: Console) -> Iterator[str]:
    """Index, search, print, and serve the page for as long as the block lasts; gives its address.

    Raises:
        DemoFailed: a command failed, or the first case is of another family.
    """
    archive, example = _laid_out(folder / "archive", material.archived), folder / "example"
    _laid_out(example, material.example)
    environment = {
        **os.environ,
        "CBIR_DATA_DIR": str(folder / "cbir" / "data"),
        "CBIR_ENCODERS_DIR": str(Path(__file__).parent.parent / "models"),
    }
    _run(["index", str(archive)], environment, show=True)
    console.print(f"Asking with one more study: {material.example_is}.")
    answer = json.loads(_run(["search", "--example", str(example), "--json"], environment))
    cases = [
        ReportedCase(
            score=match["score"],
            study_instance_uid=match["study_instance_uid"],
            series_instance_uid=match["series_instance_uid"],
            sop_instance_uid=match["sop_instance_uid"],
            frame_number=match["frame_number"],
        )
        for match in answer["matches"]
    ]
    print_cases(console, cases, material.family_of)
    refuse_wrong_first(cases, material)
    service = Service(folder / "cbir", {**environment, "CBIR_FOLDER": str(archive)})
    service.start()
    try:
        yield service.url
    finally:
        service.stop()


def _laid_out(folder: Path, paths: tuple[Path, ...]) -> Path:
    """A folder with copies of these files, numbered, for their names may repeat."""
    folder.mkdir(parents=True)
    for number, path in enumerate(paths):
        shutil.copyfile(path, folder / f"{number:05d}.dcm")
    return folder


def _run(arguments: list[str], environment: Mapping[str, str], *, show: bool = False) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "cbir", *arguments],
        env=dict(environment),
        stdout=None if show else subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DemoFailed(f"`cbir {' '.join(arguments)}` ended with exit status {done.returncode}.")
    return done.stdout or ""
