"""Image-text contrastive learning: images and what was written about them, in one space."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from evaluation.benchmark import Benchmark
from training.errors import TrainingError
from training.fit import CONFIGURATION_NAME, RunFolder, fit, seed_everything, warm_cosine
from training.images import WHITE, normalised, read_images
from training.learned_from import LearnedFrom, seen_by
from training.methods.cluster_views import Augmentation, features_of_views
from training.methods.image_text_configuration import ImageTextConfiguration
from training.methods.image_text_model import (
    ImageTextModel,
    ProjectedImages,
    ProjectedTexts,
    new_model,
    save_architecture,
    stored_architecture,
)
from training.methods.image_text_pairs import ImageTextPairs

# Left and right are told apart in a report: no view is mirrored.
_AUGMENTATION = Augmentation(turn_deg=10.0, zoom=1.25, shift=0.05, contrast=0.2, mirrored=False)


@dataclass(frozen=True, slots=True)
class FrozenVectors:
    """What frozen towers answer, reckoned once and shared by runs that start alike (the folds, say).

    Attributes:
        images: by image name, float32 (1 + views, width).
        texts: by text, float32 (width,).
    """

    images: dict[str, Tensor] = field(default_factory=dict)
    texts: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ImageTextBatch:
    """Pairs of a step, as far as frozen towers already took them.

    Attributes:
        images: float32 (n, 3, side, side), or (n, width) of a frozen tower.
        texts: int64 input_ids and attention_mask (n, tokens), or one float32 (n, width) of a frozen tower.
        target: float32 (n, n).
    """

    images: Tensor
    texts: tuple[Tensor, ...]
    target: Tensor


class ImageText:
    """The learning method, for `fit`.

    Args:
        wanted: the configuration.
        benchmark: the images to learn from.
        frozen: filled with what is missing.

    Raises:
        TrainingError: too few images have a text, or the towers' weights are missing.
    """

    def __init__(
        self, wanted: ImageTextConfiguration, benchmark: Benchmark, frozen: FrozenVectors | None = None
    ) -> None:
        self._wanted, self._benchmark = wanted, benchmark
        self._frozen = FrozenVectors() if frozen is None else frozen
        self._device = wanted.settings.device
        self._pairs = ImageTextPairs.of(benchmark, wanted)
        seed_everything(wanted.settings)
        self.towers = _model(wanted, self._pairs.all_texts()).to(self._device)
        self.model: nn.Module = self.towers
        self.optimizer: Optimizer = AdamW(self.towers.groups(wanted), weight_decay=wanted.weight_decay)
        self.steps = wanted.steps
        self._rate = warm_cosine(wanted.steps, wanted.warm_up_steps)
        self._pixels: Tensor | None = None
        if wanted.tune_image_tower == "none":
            add_images(self._frozen, self.towers.image, benchmark, wanted)
        else:
            self._pixels = read_images(benchmark, wanted.side)
        if not wanted.tune_text_tower:
            _add_texts(self._frozen, self.towers.text, self._pairs.all_texts())

    def rate(self, step: int) -> float:
        """A warm-up, then a cosine down to zero."""
        return self._rate(step)

    def batch(self, step: int) -> ImageTextBatch:
        """What the step learns from, on the device."""
        seed = self._wanted.settings.seed
        drawn = self._pairs.draw(seed, step, self._wanted.batch_size)
        random = torch.Generator().manual_seed(seed * 1_000_003 + step)
        images = self._images(drawn.index.tolist(), random)
        texts = self._texts(drawn.text)
        return ImageTextBatch(
            images.to(self._device),
            tuple(text.to(self._device) for text in texts),
            drawn.target.to(self._device),
        )

    def losses(self, batch: ImageTextBatch) -> Mapping[str, Tensor]:
        """`loss`, and the share of images whose own text is the nearest of the batch."""
        image, text = self.towers.image, self.towers.text
        images = image.head(batch.images) if batch.images.ndim == 2 else image(batch.images)
        texts = text.head(*batch.texts) if len(batch.texts) == 1 else text(*batch.texts)
        own = torch.arange(len(images), device=images.device)
        with torch.no_grad():
            cosine = (
                torch.nn.functional.normalize(images, dim=1) @ torch.nn.functional.normalize(texts, dim=1).T
            )
            found = (cosine.argmax(dim=1) == own).float().mean()
        return {"loss": self.towers.loss(images, texts, batch.target), "text_found": found}

    def _images(self, index: Sequence[int], random: torch.Generator) -> Tensor:
        if self._pixels is None:
            views = torch.randint(1 + self._wanted.augmentation_views, (len(index),), generator=random)
            names = [self._benchmark.images[i].image for i in index]
            return torch.stack(
                [self._frozen.images[n][v] for n, v in zip(names, views.tolist(), strict=True)]
            )
        seen = self._pixels[list(index)].float() / WHITE
        return normalised(_AUGMENTATION.view(seen, random) if self._wanted.augment else seen)

    def _texts(self, texts: Sequence[str]) -> tuple[Tensor, ...]:
        if self._wanted.tune_text_tower:
            return self.towers.text.tower.tokens(texts)
        return (torch.stack([self._frozen.texts[text] for text in texts]),)


def train_image_text(
    wanted: ImageTextConfiguration,
    benchmark: Benchmark,
    run: Path,
    frozen: FrozenVectors | None = None,
    fold: tuple[int, int] | None = None,
) -> ImageTextModel:
    """Learn into a run's folder; a run that was cut off goes on, one that has ended is read.

    Args:
        wanted: the configuration.
        benchmark: the images to learn from.
        run: the folder; it says which images those were.
        frozen: filled with what is missing.
        fold: the number of the fold that is held out, and how many there are.

    Returns:
        The model, in evaluation mode.

    Raises:
        TrainingError: the data, the weights or the folder cannot be used.
    """
    folder = RunFolder(run)
    number, folds = fold or (None, None)
    names = tuple(image.image for image in benchmark.images)
    earlier = seen_by(wanted.start)
    folder.open(wanted, LearnedFrom(images=names, fold=number, folds=folds, earlier=earlier))
    method = ImageText(wanted, benchmark, frozen)
    save_architecture(method.towers, run)
    fit(method, folder, wanted.settings, title="" if number is None else f"fold {number + 1} of {folds}")
    return method.towers.eval()


def load_model(run: Path) -> tuple[ImageTextConfiguration, ImageTextModel]:
    """A finished run, from its folder alone.

    Raises:
        TrainingError: the folder holds no finished image-text run.
    """
    try:
        text = (run / CONFIGURATION_NAME).read_text(encoding="utf-8")
        wanted = ImageTextConfiguration.model_validate(json.loads(text))
        state = torch.load(RunFolder(run).model, map_location="cpu", weights_only=True)
    except (FileNotFoundError, ValidationError, json.JSONDecodeError) as error:
        raise TrainingError(
            f"{run} holds no finished image-text run: name the folder that `cbir train image-text` wrote."
        ) from error
    model = stored_architecture(wanted, run)
    model.load_state_dict(state)
    return wanted, model.eval()


def load_tower(run: Path) -> ProjectedImages:
    """A finished run's image tower with its projection, in evaluation mode.

    Raises:
        TrainingError: the folder holds no finished image-text run.
    """
    return load_model(run)[1].image


def load_text_tower(run: Path) -> ProjectedTexts:
    """A finished run's text tower with projection and tokenizer; tokenizer.json lies in the run's `text/`.

    Raises:
        TrainingError: the folder holds no finished image-text run, or no tokenizer.
    """
    return load_model(run)[1].text


def _model(wanted: ImageTextConfiguration, texts: Sequence[str]) -> ImageTextModel:
    if wanted.initialisation != "captions" or wanted.start_run is None:
        model = new_model(wanted)
        if wanted.vocabulary_size:
            model.text.tower.retrain_tokenizer(texts, wanted.vocabulary_size)
            model.text.tower.requires_grad_(wanted.tune_text_tower)
        return model
    former, earlier = load_model(wanted.start_run)
    alike = ("trunks", "image_pooling", "pooling", "dimension", "hidden")
    unlike = [name for name in alike if getattr(former, name) != getattr(wanted, name)]
    if unlike:
        raise TrainingError(
            f"{wanted.start_run} has another {', '.join(unlike)}: take its own, or start anew."
        )
    model = stored_architecture(wanted, wanted.start_run)
    model.image.load_state_dict(earlier.image.state_dict())
    model.text.load_state_dict(earlier.text.state_dict())
    return model


def add_images(
    frozen: FrozenVectors, image: ProjectedImages, benchmark: Benchmark, wanted: ImageTextConfiguration
) -> None:
    """Ask a frozen image tower about images that are not known yet, and their augmented views."""
    missing = [i for i, row in enumerate(benchmark.images) if row.image not in frozen.images]
    if not missing:
        return
    some = benchmark.at(missing)
    image.tower.eval()
    found = features_of_views(
        image.tower,  # type: ignore[arg-type]  # an ImageTower
        read_images(some, wanted.side),
        wanted.augmentation_views,
        wanted.settings.seed,
        _AUGMENTATION,
        wanted.settings.device,
    )
    for place, row in enumerate(some.images):
        frozen.images[row.image] = found[:, place]


def _add_texts(frozen: FrozenVectors, text: ProjectedTexts, texts: Sequence[str]) -> None:
    missing = [t for t in texts if t not in frozen.texts]
    for name, vector in zip(missing, text.tower.embed(missing) if missing else (), strict=True):
        frozen.texts[name] = vector
