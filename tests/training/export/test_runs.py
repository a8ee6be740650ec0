from __future__ import annotations

from pathlib import Path

import pytest
import torch
from pydantic import BaseModel
from torch import nn

from inference.encoder import OnnxEncoder
from inference.text import TextEncoder
from tests.training.export.towers import description, pictures
from tests.training.text_folder import SENTENCES, write_text_folder
from training.errors import TrainingError
from training.export.model import export_encoder, export_model
from training.export.sources import open_source
from training.fit import RunFolder
from training.methods import clusters, image_text_model, joint_sequences, sequences
from training.methods.image_text_configuration import ImageTextConfiguration
from training.methods.joint_sequences import JointConfiguration
from training.methods.sequences import SequencesConfiguration


def finish(folder: Path, configuration: BaseModel, model: nn.Module) -> None:
    """Leave what a run leaves whose weights are those that were drawn."""
    RunFolder(folder).open(configuration)
    torch.save(model.state_dict(), RunFolder(folder).model)


def test_an_image_text_run_gives_both_towers_in_one_space(tmp_path: Path) -> None:
    torch.manual_seed(4)
    wanted = ImageTextConfiguration(
        initialisation="random",
        text_encoder=str(write_text_folder(tmp_path / "bert")),
        dimension=24,
        side=32,
        max_tokens=20,
    )
    model = image_text_model.new_model(wanted).eval()
    run, out = tmp_path / "run", tmp_path / "out"
    finish(run, wanted, model)
    image_text_model.save_architecture(model, run)
    source = open_source(str(run), languages=("en",))
    made = export_model(source.tower, out, description(source.input), images=pictures(3), text=source.text)
    assert made.card.dimension == 24
    assert made.text_agreement is not None
    assert made.text_agreement.difference < 1e-4
    expected = model.text(*model.text.tower.tokens([SENTENCES[1]])).detach()
    expected = torch.nn.functional.normalize(expected, dim=1).numpy()
    found = TextEncoder(out, threads=1).encode([SENTENCES[0] * 5, SENTENCES[1]])
    assert abs(float(found[1] @ expected[0]) - 1) < 1e-5


def test_a_sequences_run_squeezes_slices_into_a_square(tmp_path: Path) -> None:
    torch.manual_seed(4)
    wanted = SequencesConfiguration(side=64)
    finish(tmp_path / "run", wanted, sequences.build(wanted))
    source = open_source(str(tmp_path / "run"))
    assert (source.input.resize, source.input.height) == ("stretch", 64)
    export_encoder(source.tower, tmp_path / "out", description(source.input), images=pictures(2))
    assert OnnxEncoder(tmp_path / "out", threads=1).card.dimension >= 2


def test_a_joint_space_has_an_encoder_for_each_sequence(tmp_path: Path) -> None:
    torch.manual_seed(4)
    wanted = JointConfiguration(sequences=("T1", "FLAIR"), channels=2, width=4)
    finish(tmp_path / "run", wanted, joint_sequences.build(wanted))
    with pytest.raises(TrainingError, match="Name the sequence"):
        open_source(str(tmp_path / "run"))
    source = open_source(str(tmp_path / "run"), sequence="FLAIR")
    card = export_encoder(source.tower, tmp_path / "out", description(source.input), images=pictures(2))
    assert card.dimension == 2 * 64


def test_the_tower_of_a_clusters_run_is_exported(tmp_path: Path) -> None:
    torch.manual_seed(4)
    wanted = clusters.ClusterSettings(clusters=3, side=32, hidden=8)
    finish(tmp_path / "run", wanted, clusters.ClusterNetwork(wanted))
    source = open_source(str(tmp_path / "run"))
    assert (source.input.resize, source.input.height) == ("letterbox", 32)
    card = export_encoder(source.tower, tmp_path / "out", description(source.input), images=pictures(2))
    assert card.dimension == 1280
