"""`cbir encoders`: what is at hand, whether it is right, and which are searched."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cbir.deployment import Deployment
from cbir.doctor.examination import as_json, print_finding, worst
from cbir.doctor.finding import Level
from cbir.encoders import changing
from cbir.encoders.checking import check_encoder
from cbir.encoders.listing import listed, print_listed
from cbir.encoders.pictures import DRAWINGS, Pictures
from cbir.environment import settings_of_environment
from inference.encoder import check_runtime
from inference.registry import Registry

app = typer.Typer(help="Encoders: what is at hand, is it right, which are searched.", no_args_is_help=True)

Images = Annotated[
    Path | None,
    typer.Option(exists=True, file_okay=False, help="DICOM, JPEG or PNG files to check with."),
]


@app.command("list")
def list_command(as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False) -> None:
    """Show the encoders at hand, and which of them are searched or filled beside."""
    with Deployment(settings_of_environment()) as deployment:
        rows = listed(deployment.registry, deployment.line_ups.peek())
    if as_json:
        typer.echo(json.dumps([row.as_json() for row in rows], indent=2))
    else:
        print_listed(Console(), rows)


@app.command()
def check(
    encoder: Annotated[str, typer.Argument(help="Name of an encoder at hand, or path of its folder.")],
    images: Images = None,
    json_: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Check one encoder by its card, its files and its answers; exit status 1 when there is a problem."""
    settings = settings_of_environment()
    check_runtime()
    registry = Registry(settings.encoders_dir, settings.non_commercial_encoders)
    pictures = Pictures(images) if images else DRAWINGS
    findings, console = [], Console()
    for finding in check_encoder(registry, changing.folder_named(registry, encoder), pictures, settings):
        findings.append(finding)
        if not json_:
            print_finding(console, finding)
    if json_:
        typer.echo(as_json(findings))
    if worst(findings) is Level.PROBLEM:
        raise typer.Exit(1)


@app.command()
def activate(
    names: Annotated[str, typer.Argument(help="NAME[,NAME]: the first that serves a modality takes it.")],
    images: Images = None,
    no_switch: Annotated[bool, typer.Option("--no-switch", help="Fill it, and wait for `switch`.")] = False,
    at_once: Annotated[
        bool, typer.Option("--at-once", help="Search it now, while it is filled: answers lack the rest.")
    ] = False,
) -> None:
    """Fill another line-up beside the one that is searched; it takes over when it is filled."""
    check_runtime()
    with Deployment(settings_of_environment()) as deployment:
        wanted = changing.Activation(
            names=tuple(name.strip() for name in names.split(",") if name.strip()),
            pictures=Pictures(images) if images else DRAWINGS,
            switch_when_filled=not no_switch,
            at_once=at_once,
        )
        for line in changing.activate(deployment, wanted):
            typer.echo(line)


@app.command()
def switch() -> None:
    """Search the line-up beside, which is filled; the other one goes on being filled."""
    with Deployment(settings_of_environment()) as deployment:
        typer.echo(changing.switch(deployment))


@app.command("roll-back")
def roll_back() -> None:
    """Search the line-up again that was searched before."""
    with Deployment(settings_of_environment()) as deployment:
        typer.echo(changing.roll_back(deployment))


@app.command()
def retire() -> None:
    """Fill the line-up beside no longer, and delete its vectors."""
    with Deployment(settings_of_environment()) as deployment:
        typer.echo(changing.retire(deployment))
