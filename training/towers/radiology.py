"""The tower of radiology-small: one trunk, a branch for all of radiology, a branch that knows findings."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from training.towers.mobilenet import MobileNetV2, load_weights

TRUNK_BLOCKS: Final = 10
TRUNK_CHANNELS: Final = 64
GENERAL_DIMENSION: Final = 256
FINDINGS_DIMENSION: Final = 128
GATE_SHARPNESS: Final = 20.0
_FINDINGS_CHANNELS: Final = 320
_SMALLEST: Final = 1e-12


class Trunk(nn.Sequential):
    """The first blocks of MobileNetV2, frozen: (n, 3, h, w) to (n, 64, h / 16, w / 16)."""

    def __init__(self, mobile: MobileNetV2) -> None:
        super().__init__(mobile.stem, mobile.blocks[:TRUNK_BLOCKS])
        self.requires_grad_(requires_grad=False)


class GeneralBranch(nn.Module):
    """The last blocks of MobileNetV2: what an image shows, whatever was found in it.

    The linear map goes into the space of the teachers that it learned from; the gate looks there.
    """

    def __init__(self, mobile: MobileNetV2) -> None:
        super().__init__()
        self.layers = copy.deepcopy(nn.Sequential(*_last_blocks(mobile), mobile.head))
        self.project = nn.Conv2d(MobileNetV2.dimension, GENERAL_DIMENSION, 1)

    def features(self, trunk: Tensor) -> Tensor:
        """(n, 64, r, c) to (n, 1280, r / 2, c / 2)."""
        mapped: Tensor = self.layers(trunk)
        return mapped

    def forward(self, trunk: Tensor) -> Tensor:
        """(n, 64, r, c) to (n, 256, r / 2, c / 2)."""
        mapped: Tensor = self.project(self.features(trunk))
        return mapped


class FindingsBranch(nn.Module):
    """The last blocks of MobileNetV2 without its widest layer, and a linear map: what was found."""

    def __init__(self, mobile: MobileNetV2) -> None:
        super().__init__()
        self.layers = copy.deepcopy(nn.Sequential(*_last_blocks(mobile)))
        self.project = nn.Conv2d(_FINDINGS_CHANNELS, FINDINGS_DIMENSION, 1)

    def features(self, trunk: Tensor) -> Tensor:
        """(n, 64, r, c) to (n, 320, r / 2, c / 2)."""
        mapped: Tensor = self.layers(trunk)
        return mapped


class KindGate(nn.Module):
    """Whether an image is of a kind whose findings were learned.

    Elsewhere the findings branch knows nothing, and should not be heard: the gate opens as the image's
    general vector comes near to one of the prototypes of the kinds that it does know.
    """

    prototypes: Tensor
    threshold: Tensor

    def __init__(self, prototypes: int) -> None:
        super().__init__()
        self.register_buffer("prototypes", torch.zeros(prototypes, GENERAL_DIMENSION))
        self.register_buffer("threshold", torch.zeros(()))

    def forward(self, general: Tensor) -> Tensor:
        """Unit vectors (n, 256) to (n,) in [0, 1]; one half at the threshold."""
        nearest = (general @ self.prototypes.T).amax(1)
        return torch.sigmoid(GATE_SHARPNESS * (nearest - self.threshold))


class RadiologyTower(nn.Module):
    """Both branches as one embedding, of which the feature map's average is exactly the embedding.

    With g the general features and z the findings vector, each of length one, and p in [0, 1] the gate,
    the embedding is (p * weight * z, g). Two images of known kinds are compared by findings first, two
    others by g alone.
    """

    dimension = FINDINGS_DIMENSION + MobileNetV2.dimension

    def __init__(self, findings_weight: float = 1.0, prototypes: int = 1) -> None:
        super().__init__()
        mobile = MobileNetV2()
        self.trunk = Trunk(mobile)
        self.general = GeneralBranch(mobile)
        self.findings = FindingsBranch(mobile)
        self.gate = KindGate(prototypes)
        self.findings_weight = findings_weight
        freeze_statistics(self)

    @classmethod
    def pretrained(cls, weights: Path, findings_weight: float = 1.0) -> RadiologyTower:
        """Trunk and both branches from MobileNetV2's ImageNet weights. Raises TrainingError."""
        mobile = MobileNetV2()
        load_weights(mobile, weights)
        tower = cls(findings_weight)
        tower.trunk = Trunk(mobile)
        tower.general.layers = GeneralBranch(mobile).layers
        tower.findings.layers = FindingsBranch(mobile).layers
        freeze_statistics(tower)
        return tower

    def feature_map(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1408, h / 32, w / 32)."""
        trunk = self.trunk(images)
        features = self.general.features(trunk)
        kind = functional.normalize(self.general.project(features).mean((2, 3)), dim=1)
        heard = self.findings_weight * self.gate(kind)
        findings = _shortened(self.findings.project(self.findings.features(trunk)))
        return torch.cat([heard[:, None, None, None] * findings, _shortened(features)], dim=1)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) to (n, 1408): the map's average."""
        return self.feature_map(images).mean((2, 3))

    def train(self, mode: bool = True) -> RadiologyTower:
        """Batch statistics stay those of ImageNet: the batches are of a few kinds of images only."""
        super().train(mode)
        freeze_statistics(self)
        return self


def freeze_statistics(module: nn.Module) -> None:
    """Let every batch norm use, and keep, the statistics that it has."""
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.eval()


def _last_blocks(mobile: MobileNetV2) -> list[nn.Module]:
    return list(mobile.blocks)[TRUNK_BLOCKS:]


def _shortened(mapped: Tensor) -> Tensor:
    """The map, scaled so that its average has length one."""
    length = torch.linalg.vector_norm(mapped.mean((2, 3)), dim=1).clamp_min(_SMALLEST)
    return torch.div(mapped, length[:, None, None, None])
