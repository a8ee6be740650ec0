"""What an image-text run learns from, with what, and how: every row of the papers' table is one of these."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from inference.preprocess import Preprocessing
from training.fit import FitSettings
from training.images import MEAN, STD
from training.towers.text import MINILM, Pooling
from training.towers.trunks import TrunkName

Initialisation = Literal["random", "imagenet", "clip", "captions", "clinical"]
Tuned = Literal["none", "last_blocks", "all"]
TextField = Literal["caption", "caption_sentences", "report", "report_sentences", "history_sentences"]
ClassLabel = Literal["modality", "body_part", "plane", "view_or_sequence"]
RATE: Final = 3e-5
RATE_OF_CLIP: Final = 3e-6


class ImageTextConfiguration(BaseModel):
    """An image-text run.

    `initialisation` is where the towers start. random: the image towers' weights are drawn. imagenet:
    they are read from `image_weights`. clip: both towers are those of the CLIP-like folder
    `image_folder`. captions: everything, projections too, is that of the earlier run `start_run`.
    clinical: as imagenet, the text tower being a folder of one's own in `text_encoder`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Literal["image-text"] = "image-text"
    settings: FitSettings = FitSettings(bfloat16=False)
    datasets: tuple[str, ...] = ("medpix_ctmr", "covid_chest")
    loss: Literal["convirt", "clip"] = "convirt"
    text_weight: float = Field(default=0.75, ge=0, le=1, description="ConVIRT's lambda.")
    temperature: float = Field(default=0.1, gt=0, description="CLIP learns it from here.")

    initialisation: Initialisation = "imagenet"
    trunks: tuple[TrunkName, ...] = Field(default=("mobilenetv2",), min_length=1)
    image_weights: tuple[Path, ...] = Field(default=(), description="A .safetensors file a trunk.")
    image_folder: Path | None = Field(default=None, description="Of a Hugging Face vision or CLIP model.")
    start_run: Path | None = Field(default=None, description="An earlier image-text run's folder.")
    text_encoder: str = Field(default=MINILM, description="A Hugging Face text model's folder, or minilm.")
    pooling: Pooling = "mean"
    max_tokens: int = Field(default=128, ge=4, le=512)
    vocabulary_size: int = Field(default=0, ge=0, description="Retrain the tokenizer to this; 0: keep it.")
    image_pooling: Literal["mean", "gem"] = Field(
        default="mean", description="gem: the generalized mean of power 3, for trunks that end in a ReLU."
    )
    dimension: int = Field(default=256, ge=2, le=4096)
    hidden: int = Field(default=0, ge=0, description="Of the projections; 0 makes them linear.")
    image_dropout: float = Field(default=0.0, ge=0, lt=1)
    text_dropout: float = Field(default=0.0, ge=0, lt=1)
    tune_image_tower: Tuned = "none"
    tune_text_tower: bool = False

    side: int = Field(default=224, ge=32, le=1024)
    augmentation_views: int = Field(default=0, ge=0, description="Of each image, for a frozen tower.")
    augment: bool = Field(default=True, description="Each time an image is seen, for a tuned tower.")
    text_fields: tuple[TextField, ...] = Field(default=("caption",), min_length=1)
    class_labels: tuple[ClassLabel, ...] = Field(
        default=(), description="Training pairs that share all of them are weak positives of each other."
    )
    class_share: float = Field(default=0.5, ge=0, le=1, description="Of the target, when there are any.")

    steps: int = Field(default=400, ge=1)
    batch_size: int = Field(default=128, ge=2)
    tower_rate: float | None = Field(default=None, gt=0, description="3e-5; 3e-6 when clip is tuned.")
    head_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.0, ge=0, description="Decoupled; 0 is Adam.")
    warm_up_steps: int = Field(default=20, ge=0)

    @model_validator(mode="after")
    def _has_what_it_starts_from(self) -> Self:
        own = [name for name in self.trunks if name != "huggingface"]
        if self.initialisation in ("imagenet", "clinical") and len(self.image_weights) != len(own):
            raise ValueError(f"image_weights names {len(self.image_weights)} files for {len(own)} trunks")
        if "huggingface" in self.trunks and self.image_folder is None:
            raise ValueError("image_folder must name the folder of the huggingface trunk")
        if self.initialisation == "clip" and self.trunks != ("huggingface",):
            raise ValueError('clip needs trunks = ["huggingface"] and the CLIP folder as image_folder')
        if self.initialisation == "captions" and self.start_run is None:
            raise ValueError("captions needs start_run, the folder of an earlier image-text run")
        if self.initialisation == "clinical" and self.text_encoder == MINILM:
            raise ValueError("clinical needs text_encoder, the folder of an in-domain text model")
        return self

    @property
    def start(self) -> Path | None:
        """The folder of the earlier run that is started from, if one is."""
        return self.start_run if self.initialisation == "captions" else None

    @property
    def rate_of_towers(self) -> float:
        """As given, else the papers'."""
        if self.tower_rate is not None:
            return self.tower_rate
        return RATE_OF_CLIP if self.initialisation == "clip" else RATE

    @property
    def preprocessing(self) -> Preprocessing:
        """How a rendered frame becomes the image tower's input."""
        return Preprocessing(3, self.side, self.side, "letterbox", 0.0, 1.0, MEAN, STD)
