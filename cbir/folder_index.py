"""`cbir index FOLDER`: the worker and its decoders in this process, until every series is done."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime

from rich.console import Console

from cbir.deployment import Deployment
from cbir.line_ups import begin_line_ups
from cbir.progress import watch_until_done
from indexer.adapters.folder import FolderArchive
from indexer.following import compare_and_switch, filling
from indexer.ledger import State

SETTLED_S = 0.3
NO_LIMIT_S = float("inf")


def index_folder(deployment: Deployment, console: Console, stop: threading.Event) -> Mapping[State, int]:
    """Compare the folder with the ledger, index what is new or changed, and show how it goes.

    What other folders brought stays indexed: folders add up.

    Returns:
        How many series are in each state, those of earlier runs included.
    """
    begin_line_ups(deployment.line_ups, deployment.registry, deployment.settings.encoder_names)
    reconciler = deployment.following.reconciler()
    reconciler.compare(datetime.now(UTC), stop)
    if isinstance(deployment.archive, FolderArchive):
        print_left_out(console, deployment.archive)
    worker, ledger, name = deployment.worker(), deployment.ledger, deployment.archive.name

    def work() -> None:
        try:
            worker.run(stop)
        finally:
            stop.set()

    working = threading.Thread(target=work, name="worker")
    working.start()
    try:
        watch_until_done(
            console, lambda: ledger.counts(name), settled_s=SETTLED_S, limit_s=NO_LIMIT_S, stop=stop
        )
    finally:
        stop.set()
        working.join()
    switching, line_ups = deployment.following.switching(), deployment.line_ups.read()
    if switching.seems_filled(line_ups):
        compare_and_switch(reconciler, switching, datetime.now(UTC), threading.Event())
    elif filled := filling(ledger.holders(), line_ups):
        _print_lacking(console, [archive for archive in filled.lacking if archive != name])
    return ledger.counts()


def _print_lacking(console: Console, archives: list[str]) -> None:
    """Which archives besides this one are not filled with the vectors of the next line-up."""
    if archives:
        console.print(
            f"  The next encoders wait for series of {', '.join(archives)}: index these folders again too.",
            highlight=False,
        )


def print_left_out(console: Console, archive: FolderArchive) -> None:
    """How many files of the folder are no instances, and why; no names, which may be those of patients."""
    for reason, count in Counter(file.reason for file in archive.rejected).items():
        console.print(f"  {count} files rejected: {reason}", highlight=False)
    if archive.not_dicom:
        console.print(f"  {archive.not_dicom} files are not DICOM", highlight=False)
    if archive.duplicates:
        console.print(
            f"  {archive.duplicates} files repeat an instance: the first by path counts", highlight=False
        )
