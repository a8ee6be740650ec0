"""`cbir train METHOD`: a command a learning method; torch is imported only when one runs."""

from __future__ import annotations

import typer

app = typer.Typer(help="Train an encoder; a run that was cut off goes on.")

from cbir.train.noisy_labels import noisy_labels  # noqa: E402
from cbir.train.pairs import pairs  # noqa: E402 - the application comes first

app.command("noisy-labels")(noisy_labels)
app.command("pairs")(pairs)

from cbir.train.joint_sequences import joint_sequences  # noqa: E402 - the application comes first
from cbir.train.sequences import sequences  # noqa: E402 - the application comes first

app.command("sequences")(sequences)
app.command("joint-sequences")(joint_sequences)
