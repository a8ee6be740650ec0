"""`cbir train METHOD`: a command a learning method; torch is imported only when one runs."""

from __future__ import annotations

import typer

app = typer.Typer(help="Train an encoder; a run that was cut off goes on.")
