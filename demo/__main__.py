"""`make demo`: the whole walk on this machine, and a page to look at."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import threading
from pathlib import Path

from PIL import Image
from pydicom.dataset import Dataset
from rich.console import Console

from cbir.logs import configure_logging
from demo.folder_walk import run_folder_walk
from demo.material import built_in, of_folder
from demo.orthanc import OrthancMissing, OrthancNotReady
from demo.walk import DemoFailed, hospital, run_walk


def main() -> int:
    """Run the walk; 1 when it does not end as it should."""
    asked = _arguments()
    configure_logging("WARNING")
    console = Console()
    folder = Path(tempfile.mkdtemp(prefix="cbir-demo-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        _walk(asked, folder, console)
    except KeyboardInterrupt:
        console.print("Stopped.")
    except (DemoFailed, OrthancNotReady, ValueError) as failure:
        console.print(f"The demonstration failed: {failure}", style="red", markup=False)
        console.print(f"Logs are kept in {folder}")
        return 1
    shutil.rmtree(folder, ignore_errors=True)
    return 0


def _walk(asked: argparse.Namespace, folder: Path, console: Console) -> None:
    material = of_folder(asked.data) if asked.data else built_in(folder / "synthetic")
    console.print(f"{len(material.archived)} DICOM files to archive, {len(material.example)} to ask with.")
    try:
        with hospital(folder) as walk:
            console.print("A private Orthanc with our plugin, and cbir serve, run on free loopback ports.")
            run_walk(walk, material, console)
            _show_sheet(walk.workstation.sheet, folder / "contact-sheet.png", console)
            console.print(f"The page:           {walk.service.url}/")
            console.print(f"The same in Orthanc: {walk.orthanc.http_url}/cbir/")
            console.print(f"  user {walk.orthanc.user}, password {walk.orthanc.password}")
            _stay(asked.once, console)
    except OrthancMissing as missing:
        console.print(f"No Orthanc here: {missing}", style="yellow", markup=False)
        console.print("The same job on the folder of DICOM files:")
        with run_folder_walk(folder, material, console) as url:
            console.print(f"The page: {url}/")
            _stay(asked.once, console)


def _show_sheet(sheet: Dataset | None, path: Path, console: Console) -> None:
    """Keep the contact sheet as a picture, for as long as the walk lasts."""
    if sheet is not None:
        Image.fromarray(sheet.pixel_array).save(path)
        console.print(f"The contact sheet:  {path}", soft_wrap=True)


def _stay(once: bool, console: Console) -> None:
    if not once:
        console.print("Ctrl-C stops everything.")
        threading.Event().wait()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--data", type=Path, help="a folder of DICOM files; by default what is built in")
    parser.add_argument("--once", action="store_true", help="stop after the answer")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
