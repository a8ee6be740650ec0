"""The command `cbir`: parse, call the use case, print."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from cbir.asking import Asked, ask
from cbir.backfill import look_at_everything
from cbir.bench.report import print_report
from cbir.bench.run import Wanted, run_bench
from cbir.bench.searching import Size
from cbir.calibrate import calibrated, print_calibrated
from cbir.configuration import markdown_table
from cbir.deployment import Deployment
from cbir.doctor import examination
from cbir.doctor.finding import Level, problem
from cbir.encoders import app as encoders
from cbir.encoders.changing import filled_of
from cbir.environment import settings_of_environment
from cbir.evaluate import evaluate_command
from cbir.export import export_command
from cbir.folder_index import index_folder
from cbir.inference_process import work
from cbir.patient_key import rotate_patient_key
from cbir.serve import serve
from cbir.tables import encoders_as_json, print_encoders, print_matches, print_series, print_status
from cbir.train import app as training
from indexer.errors import CbirError, Rejected
from inference.encoder import check_runtime
from inference.worker import now_utc

logger = logging.getLogger(__name__)

app = typer.Typer(
    help="Ask a PACS with an image. Options are environment variables: see `cbir configuration`.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

app.add_typer(encoders, name="encoders")
app.command("evaluate")(evaluate_command)
app.add_typer(training, name="train")

AsJson = Annotated[bool, typer.Option("--json", help="For machines.")]


@app.command("serve")
def serve_command() -> None:
    """Run the service: page and API, the CBIR application entity, workers and the vector engine."""
    settings = settings_of_environment(log_level="INFO")
    check_runtime()
    serve(settings)


@app.command()
def worker(
    parent_pid: Annotated[int, typer.Option(hidden=True, help="End when this process is gone.")] = 0,
) -> None:
    """Run one worker: lease series, embed them, store their vectors."""
    settings = settings_of_environment(log_level="INFO")
    check_runtime()
    stop = _stop_on_signals()
    with Deployment(settings) as deployment:
        work(deployment, stop, parent_pid=parent_pid)


@app.command()
def index(folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="DICOM files.")]) -> None:
    """Index a folder of DICOM files, with no PACS."""
    settings = settings_of_environment(folder=folder)
    check_runtime()
    console = Console()
    with Deployment(settings) as deployment:
        counts = index_folder(deployment, console, _stop_on_signals())
        print_status(console, counts, deployment.ledger.reasons(), None)


@app.command()
def search(
    study: Annotated[str | None, typer.Option(help="Study Instance UID that is indexed.")] = None,
    series: Annotated[str | None, typer.Option(help="Series Instance UID that is indexed.")] = None,
    example: Annotated[Path | None, typer.Option(exists=True, help="A DICOM file or a folder.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Matches.")] = 10,
    as_json: AsJson = False,
    same_patient: Annotated[
        bool, typer.Option("--same-patient", help="List the same patient's studies too.")
    ] = False,
    text: Annotated[str, typer.Option(help="Words to ask with, alone or with an example.")] = "",
    text_weight: Annotated[
        float, typer.Option(min=0, max=1, help="The part of the words beside an example.")
    ] = 0.5,
    reads_reports: Annotated[
        bool, typer.Option("--reads-reports", help="Ask with the words of reports in --example too.")
    ] = False,
) -> None:
    """Find the prior studies that look like an example, or are what words say."""
    with Deployment(settings_of_environment()) as deployment:
        asked = Asked(study, series, example, limit, same_patient, text, text_weight, reads_reports)
        answer, body = ask(deployment, asked)
    if as_json:
        typer.echo(body.model_dump_json(indent=2))
    else:
        print_matches(Console(), answer)


@app.command()
def status(
    series: Annotated[bool, typer.Option("--series", help="A line for each series.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what is waiting, indexed, skipped and failed, and why."""
    with Deployment(settings_of_environment()) as deployment:
        ledger = deployment.ledger
        if series:
            print_series(Console(), ledger, as_json=as_json)
            return
        counts, reasons, lag_s = ledger.counts(), ledger.reasons(), ledger.lag_s(now_utc())
        line_ups = deployment.line_ups.peek()
        filled = filled_of(deployment, line_ups) if line_ups else None
        if as_json:
            about = {"series": counts, "reasons": reasons, "lag_s": lag_s}
            typer.echo(json.dumps(about | encoders_as_json(line_ups, filled)))
        else:
            print_status(Console(), counts, reasons, lag_s)
            print_encoders(Console(), line_ups, filled)


@app.command()
def retry(reason: Annotated[str | None, typer.Option(help="Only those that failed so.")] = None) -> None:
    """Put failed series back to waiting."""
    with Deployment(settings_of_environment()) as deployment:
        typer.echo(f"{deployment.ledger.retry(reason)} series are waiting again.")


@app.command()
def reconcile() -> None:
    """Compare all of the archive, the ledger and the vectors now."""
    with Deployment(settings_of_environment()) as deployment:
        typer.echo(str(deployment.following.reconciler().compare(now_utc())))


@app.command()
def calibrate(
    as_json: AsJson = False,
) -> None:
    """Measure now how alike unrelated series of the archive are: what percentages are told by."""
    with Deployment(settings_of_environment()) as deployment:
        found = calibrated(deployment)
    if as_json:
        typer.echo(json.dumps([one.as_json() for one in found], indent=2))
    else:
        print_calibrated(Console(), found)


@app.command()
def backfill() -> None:
    """Have every series of the archive looked at again, after everything else that waits."""
    with Deployment(settings_of_environment()) as deployment:
        typer.echo(f"{look_at_everything(deployment)} series are waiting.")


@app.command("rotate-patient-key")
def rotate_patient_key_command() -> None:
    """Replace the key of the patient pseudonyms while the service is stopped."""
    rotate_patient_key(settings_of_environment())
    typer.echo("The patient key is new. Start `cbir serve`: every pseudonym is made again from the archive.")


@app.command()
def bench(
    series: Annotated[int, typer.Option(min=0, help="CT series to index; 0 leaves indexing out.")] = 12,
    rounds: Annotated[int, typer.Option(min=1, max=100, help="Times each; the medians count.")] = 3,
    vectors: Annotated[
        int, typer.Option(min=0, help="Series to search among; 0 leaves search out.")
    ] = 100_000,
    frames: Annotated[int, typer.Option(min=1, max=512, help="Frame vectors of each of those.")] = 4,
    questions: Annotated[int, typer.Option(min=1, help="Questions of each kind.")] = 200,
    orthanc: Annotated[
        bool, typer.Option("--orthanc", help="Index the first series of the configured Orthanc instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how fast this machine indexes and searches, as ratios; nothing of the installation changes."""
    settings = settings_of_environment()
    check_runtime()
    asked = Wanted(series, rounds, Size(vectors, frames, questions), orthanc)
    report = run_bench(settings, asked, Console(stderr=True))
    if as_json:
        typer.echo(json.dumps(report.as_json(), indent=2))
    else:
        print_report(Console(), report)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check the whole deployment, whether the service runs or not; exit status 1 when there is a problem."""
    try:
        found = examination.examine(settings_of_environment())
    except Rejected as wrong:
        found = iter([problem("settings", "The settings are not right.", str(wrong))])
    findings, console = [], Console()
    for finding in found:
        findings.append(finding)
        if not as_json:
            examination.print_finding(console, finding)
    if as_json:
        typer.echo(examination.as_json(findings))
    if examination.worst(findings) is Level.PROBLEM:
        raise typer.Exit(1)


@app.command()
def configuration() -> None:
    """Print every option as a Markdown table."""
    typer.echo(markdown_table())


app.command("export")(export_command)


def main() -> NoReturn:
    """Run the command; our own errors are one line on standard error and exit status 1."""
    os.umask(0o077)
    try:
        app()
    except CbirError as refused:
        Console(stderr=True).print(f"cbir: {refused}", style="red", highlight=False, soft_wrap=True)
        sys.exit(1)
    except Exception:
        logger.critical("command_failed", exc_info=True)
        sys.exit(1)
    sys.exit(0)


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop
