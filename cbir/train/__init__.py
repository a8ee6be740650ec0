"""`cbir train METHOD`: a command a learning method; torch is imported only when one runs."""

from __future__ import annotations

import typer

from cbir.train.image_text import image_text
from cbir.train.joint_sequences import joint_sequences
from cbir.train.known import known
from cbir.train.noisy_labels import noisy_labels
from cbir.train.pairs import pairs
from cbir.train.radiology_small import radiology_small
from cbir.train.sequences import sequences

app = typer.Typer(help="Train an encoder; a run that was cut off goes on.", no_args_is_help=True)
app.command("radiology-small")(radiology_small)
app.command("image-text")(image_text)
app.command("sequences")(sequences)
app.command("joint-sequences")(joint_sequences)
app.command("pairs")(pairs)
app.command("noisy-labels")(noisy_labels)
app.command("known")(known)
