"""The default encoder's tower: its map, its gate, its frozen trunk."""

from __future__ import annotations

import torch

from training.towers.radiology import FINDINGS_DIMENSION, GENERAL_DIMENSION, KindGate, RadiologyTower


def a_tower(findings_weight: float = 1.0) -> RadiologyTower:
    torch.manual_seed(0)
    return RadiologyTower(findings_weight).eval()


def pictures(count: int = 3) -> torch.Tensor:
    return torch.rand(count, 3, 64, 96, generator=torch.Generator().manual_seed(1))


def test_the_average_of_the_map_is_the_embedding() -> None:
    tower = a_tower()
    with torch.inference_mode():
        mapped, vectors = tower.feature_map(pictures()), tower(pictures())
    assert mapped.shape == (3, tower.dimension, 2, 3)
    torch.testing.assert_close(mapped.mean((2, 3)), vectors)


def test_the_general_vector_has_length_one_and_the_findings_vector_the_gates() -> None:
    tower = a_tower(findings_weight=2.0)
    with torch.inference_mode():
        vectors = tower(pictures())
        kind = tower.general(tower.trunk(pictures())).mean((2, 3))
        gate = tower.gate(torch.nn.functional.normalize(kind, dim=1))
    torch.testing.assert_close(vectors[:, FINDINGS_DIMENSION:].norm(dim=1), torch.ones(3))
    torch.testing.assert_close(vectors[:, :FINDINGS_DIMENSION].norm(dim=1), 2.0 * gate)


def test_the_gate_is_half_open_at_its_threshold_and_opens_towards_a_prototype() -> None:
    gate = KindGate(2)
    prototypes = torch.nn.functional.normalize(torch.rand(2, GENERAL_DIMENSION), dim=1)
    gate.prototypes.copy_(prototypes)
    gate.threshold.fill_(1.0)
    opened = gate(torch.stack([prototypes[1], -prototypes[1]]))
    torch.testing.assert_close(opened[0], torch.tensor(0.5), rtol=1e-4, atol=1e-4)
    assert opened[1] < 1e-6


def test_a_closed_gate_leaves_the_general_vector_alone() -> None:
    tower = a_tower()
    tower.gate.threshold.fill_(9.0)
    with torch.inference_mode():
        vectors = tower(pictures())
    assert vectors[:, :FINDINGS_DIMENSION].abs().max() < 1e-12


def test_the_trunk_does_not_learn_and_batch_statistics_stay() -> None:
    tower = a_tower().train()
    before = {name: value.clone() for name, value in tower.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in tower.parameters() if p.requires_grad], lr=0.1)
    tower(pictures()).square().sum().backward()
    tower(pictures())[:, 0].sum().backward()
    optimizer.step()
    changed = {name for name, value in tower.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert not any(name.startswith("trunk.") or "running" in name for name in changed)
