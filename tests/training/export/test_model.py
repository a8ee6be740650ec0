from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from inference.card import EncoderError, load_card
from inference.encoder import OnnxEncoder, unit_rows
from inference.preprocess import preprocess
from tests.training.export.towers import INPUT, SmallTower, description, pictures, small_tower
from training.export.model import export_encoder, export_model
from training.export.parity import Agreement, cpu_session, inputs_of
from training.towers.vit import VisionTransformer


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("encoder")
    export_encoder(small_tower(), folder, description(), images=pictures(5))
    return folder


def test_the_product_gives_the_vectors_that_torch_gives(exported: Path) -> None:
    encoder, tower = OnnxEncoder(exported, threads=1), small_tower().eval()
    for count in (1, 3):
        inputs = inputs_of(pictures(count, seed=4), INPUT.preprocessing)
        with torch.no_grad():
            expected = unit_rows(tower(torch.from_numpy(inputs)).numpy())
        np.testing.assert_allclose(encoder.encode(inputs), expected, atol=1e-5)


def test_the_pooled_vector_is_the_unit_mean_of_unit_vectors_and_the_map_is_the_towers(exported: Path) -> None:
    inputs, tower = inputs_of(pictures(4, seed=5), INPUT.preprocessing), small_tower().eval()
    session = cpu_session(exported / "encoder.onnx")
    embedding, pooled, mapped = session.run(["embedding", "pooled", "feature_map"], {"frames": inputs})
    mean = unit_rows(embedding).mean(axis=0, keepdims=True)
    np.testing.assert_allclose(pooled, unit_rows(mean), atol=1e-5)
    with torch.no_grad():
        np.testing.assert_allclose(mapped, tower.feature_map(torch.from_numpy(inputs)).numpy(), atol=1e-4)


def test_batch_norms_are_folded_and_each_layer_is_computed_once(exported: Path) -> None:
    model = onnx.load(exported / "encoder.onnx")
    kinds = [node.op_type for node in model.graph.node]
    assert "BatchNormalization" not in kinds
    assert kinds.count("Conv") == 2


def test_a_transformers_layers_are_computed_and_stored_once(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tower = VisionTransformer(side=32, patch=8, dimension=48, depth=2, heads=2)
    export_encoder(tower, tmp_path, description(), images=pictures(3))
    kinds = [node.op_type for node in onnx.load(tmp_path / "encoder.onnx").graph.node]
    assert kinds.count("Softmax") == 2
    weights = sum(4 * parameter.numel() for parameter in tower.parameters())
    assert (tmp_path / "encoder.onnx").stat().st_size < 1.2 * weights + 40_000


def test_no_folder_of_this_machine_is_named_in_the_file(exported: Path) -> None:
    content = (exported / "encoder.onnx").read_bytes()
    assert b"site-packages" not in content
    assert str(Path(__file__).parents[3]).encode() not in content


def test_the_module_is_left_in_the_mode_it_was_in(tmp_path: Path) -> None:
    tower = small_tower().train()
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    export_encoder(tower, tmp_path, description(), images=pictures(2))
    assert tower.training
    assert all(torch.equal(value, before[name]) for name, value in tower.state_dict().items())


def test_half_precision_keeps_float32_outside_and_the_vectors(exported: Path, tmp_path: Path) -> None:
    made = export_model(small_tower(), tmp_path, description(), images=pictures(5), precision="fp16")
    assert made.agreement.cosine > 0.999
    assert np.abs(made.expected - made.exported).max() > 0, "nothing was halved"
    inputs = inputs_of(pictures(3, seed=6), INPUT.preprocessing)
    np.testing.assert_allclose(
        OnnxEncoder(tmp_path, threads=1).encode(inputs),
        OnnxEncoder(exported, threads=1).encode(inputs),
        atol=5e-3,
    )
    stored = {tensor.data_type for tensor in onnx.load(tmp_path / "encoder.onnx").graph.initializer}
    assert onnx.TensorProto.FLOAT16 in stored


def test_int8_of_a_quiet_net_has_all_layers_and_says_so(tmp_path: Path) -> None:
    made = export_model(
        small_tower(),
        tmp_path,
        description(),
        images=pictures(5),
        precision="int8",
        calibration=pictures(16, seed=1),
    )
    assert made.agreement.cosine > 0.999
    assert "3 of 3 layers are int8" in made.card.notes
    kinds = [node.op_type for node in onnx.load(tmp_path / "encoder.onnx").graph.node]
    assert "QuantizeLinear" in kinds


class LoudTower(SmallTower):
    """Its vector is a small difference of large values: eight bits cannot hold it."""

    def forward(self, images: Tensor) -> Tensor:
        average = self.feature_map(images * 1000).mean((2, 3))
        vector: Tensor = self.projection(torch.sin(average / 20.0))
        return vector


def test_int8_is_refused_with_figures_where_no_layer_can_be_rounded(tmp_path: Path) -> None:
    torch.manual_seed(1)
    with pytest.raises(EncoderError, match="int8 changes the vectors too much"):
        export_encoder(
            LoudTower(),
            tmp_path / "out",
            description(),
            images=pictures(5),
            precision="int8",
            calibration=pictures(16, seed=1),
        )
    assert not (tmp_path / "out" / "encoder.onnx").exists()


def test_int8_needs_images_to_calibrate_with(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="calibrate"):
        export_encoder(small_tower(), tmp_path, description(), images=pictures(2), precision="int8")


class Restless(SmallTower):
    """Not the same twice: a buffer counts the calls."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        if not torch.compiler.is_exporting():
            self.calls += 0.01
        return super().forward(images) + self.calls


def test_what_answers_otherwise_than_torch_is_refused_and_the_old_encoder_stays(
    exported: Path, tmp_path: Path
) -> None:
    for name in ("encoder.onnx", "card.json"):
        (tmp_path / name).write_bytes((exported / name).read_bytes())
    with pytest.raises(EncoderError, match="otherwise than torch"):
        export_encoder(Restless(), tmp_path, description(), images=pictures(40))
    assert load_card(tmp_path) == load_card(exported)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["card.json", "encoder.onnx"]


def test_an_input_that_the_tower_does_not_take_is_refused(tmp_path: Path) -> None:
    grey = INPUT.model_copy(update={"channels": 1, "mean": (0.5,), "std": (0.2,)})
    with pytest.raises(EncoderError, match="does not take the input that its card describes"):
        export_encoder(small_tower(), tmp_path, description(grey), images=pictures(2))


def test_a_module_without_a_feature_map_is_no_tower(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="feature_map"):
        export_encoder(nn.Conv2d(3, 4, 3), tmp_path, description(), images=pictures(2))


def test_parity_needs_images(tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="real images"):
        export_encoder(small_tower(), tmp_path, description(), images=[])


def test_agreement_sees_what_is_too_far_and_what_is_not_a_number() -> None:
    ours = np.eye(3, 4, dtype=np.float32)
    assert Agreement.of(ours, ours).holds("fp32")
    assert Agreement.of(ours, ours * 1.001).difference < 1e-6
    assert not Agreement.of(ours, ours * 1.001).holds("fp32"), "raw values moved"
    assert Agreement.of(ours, ours + 0.01).holds("int8")
    assert not Agreement.of(ours, ours + 0.1).holds("int8")
    for precision in ("fp32", "fp16"):
        assert not Agreement.of(ours, ours * np.nan).holds(precision)


def test_the_known_answer_is_that_of_the_frame_the_product_makes(exported: Path) -> None:
    encoder = OnnxEncoder(exported, threads=1)
    assert len(encoder.card.parity.first_values) == encoder.card.dimension == 12
    assert preprocess(pictures(1)[0], encoder.card.input.preprocessing).shape == (3, 32, 32)
