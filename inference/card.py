"""The card of an encoder: what it expects, what it gives, where it comes from, and a check of both."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from indexer.domain import EncoderVersion
from indexer.errors import CbirError
from inference.preprocess import Preprocessing, Resize

ONNX_NAME = "encoder.onnx"
TEXT_ONNX_NAME = "text.onnx"
TOKENIZER_NAME = "tokenizer.json"
CARD_NAME = "card.json"
KNOWN_NAME = "known.npy"
_CHUNK_BYTES = 2**20

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pixels = Annotated[int, Field(ge=1, le=4096)]


class EncoderError(CbirError):
    """An encoder's folder cannot be used; the text says what is wrong with it and what to do."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Input(_Part):
    """The model's one input, float32 (n, channels, height, width), and how frames are brought to it."""

    name: str = Field(min_length=1)
    channels: Literal[1, 3]
    height: Pixels
    width: Pixels
    resize: Resize
    range: tuple[float, float] = Field(default=(0.0, 1.0), description="What black and white become.")
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @model_validator(mode="after")
    def _one_value_each_channel(self) -> Self:
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) != self.channels:
                raise ValueError(f"{name} has {len(values)} values for {self.channels} channels")
        if any(value <= 0 for value in self.std):
            raise ValueError("std must be positive")
        return self

    @property
    def preprocessing(self) -> Preprocessing:
        """The same, as preprocess() wants it."""
        return Preprocessing(
            channels=self.channels,
            height=self.height,
            width=self.width,
            resize=self.resize,
            low=self.range[0],
            high=self.range[1],
            mean=self.mean,
            std=self.std,
        )


class Outputs(_Part):
    """The model's outputs for a batch of n frames, float32, by name.

    Attributes:
        embedding: (n, dimension), a row a frame; the one that is stored.
        pooled: (1, dimension), the whole batch as one unit vector: the mean of its frames' unit vectors.
        feature_map: (n, channels, rows, columns), before pooling: where in a frame something was seen.
    """

    embedding: str = Field(min_length=1)
    pooled: str | None = None
    feature_map: str | None = None


class TextTower(_Part):
    """The text side of an image-text model: text.onnx and tokenizer.json, in the encoder's folder.

    Its inputs are int64 (n, tokens) `input_ids` and `attention_mask`; its output is float32
    (n, dimension), in the space of the image embeddings.
    """

    onnx_sha256: Sha256
    tokenizer_sha256: Sha256
    output: str = Field(min_length=1)
    max_tokens: int = Field(ge=2, le=4096)
    languages: tuple[str, ...] = Field(min_length=1, description="ISO 639-1.")


class KnownImages(_Part):
    """What the encoder knows: known.npy, in the encoder's folder, by which an outsider is told.

    The file holds float16 (k, dimension), unit rows: directions that stand for images the encoder was made
    for, and last the `outside` rows that stand for none of them.

    Attributes:
        sha256: of the file.
        least: a frame whose best cosine with a direction is below it is an outsider.
        close: the score from which two images count as alike; an outsider that has such a neighbour in an
            archive is answered.
        outside: how many rows stand for what is no image: noise.
        made_from: what the directions and the two limits were made from.
    """

    sha256: Sha256
    least: float = Field(ge=-1, le=1)
    close: float = Field(ge=-1, le=1)
    outside: int = Field(default=0, ge=0)
    made_from: str = ""


class Licence(_Part):
    """SPDX names, and whether the encoder may be used commercially.

    `initial_weights` and `training_labels` tell where the learned weights started and what they learned
    from, which have licences of their own.
    """

    code: str
    weights: str
    initial_weights: str = ""
    training_labels: str = ""
    commercial_use: bool


class Parity(_Part):
    """What the model must answer to a known input, so that a runtime that computes otherwise is noticed.

    `input` names the known input: "multiplicative-hash" is `reference_input()`. `first_values` are the
    first components of the unit vector that belongs to it, `checksum` the sum of all components times
    1, 2, 3, … divided by the dimension.
    """

    input: Literal["multiplicative-hash"] = "multiplicative-hash"
    first_values: tuple[float, ...] = Field(min_length=1, max_length=64)
    checksum: float
    tolerance: float = Field(gt=0, le=0.1)


class Card(_Part):
    """card.json."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    version: str = Field(min_length=1)
    modalities: tuple[str, ...] = Field(min_length=1, description='DICOM modalities; "*" is any.')
    input: Input
    outputs: Outputs
    dimension: int = Field(ge=2, le=8192)
    onnx_sha256: Sha256
    licence: Licence
    training_data: str
    metrics: dict[str, float] = Field(default_factory=dict)
    intended_use: str
    parity: Parity
    notes: str = ""
    text: TextTower | None = None
    known: KnownImages | None = None

    def serves(self, modality: str) -> bool:
        """Whether the encoder is meant for this DICOM modality."""
        return "*" in self.modalities or modality in self.modalities

    @property
    def encoder_version(self) -> EncoderVersion:
        """Which vectors may be compared.

        The hash is SHA-256 over the hash of encoder.onnx and over the card's `input` and the name of
        its embedding as JSON with sorted keys: whatever changes a vector changes the version; a better
        description does not.
        """
        shaping = {
            "onnx_sha256": self.onnx_sha256,
            "input": self.input.model_dump(mode="json"),
            "outputs": {"embedding": self.outputs.embedding},
        }
        text = json.dumps(shaping, sort_keys=True, separators=(",", ":"))
        return EncoderVersion(
            name=self.name, sha256=hashlib.sha256(text.encode()).hexdigest(), dimension=self.dimension
        )


def load_card(folder: Path) -> Card:
    """Read card.json of an encoder's folder and check encoder.onnx against it.

    Raises:
        EncoderError: a file is missing, the card is malformed, or the model is not the one it describes.
    """
    path = folder / CARD_NAME
    try:
        card = Card.model_validate_json(path.read_bytes())
        found = sha256_of(folder / ONNX_NAME)
    except FileNotFoundError as error:
        raise EncoderError(f"{error.filename} is missing: an encoder is a folder with both files.") from error
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc'])) or 'card'}: {problem['msg']}" for problem in error.errors()
        )
        raise EncoderError(f"{path} is not a model card: {problems}") from error
    if found != card.onnx_sha256:
        raise EncoderError(
            f"{folder / ONNX_NAME} has SHA-256 {found}, its card says {card.onnx_sha256}: "
            "fetch the file again or, if it was replaced on purpose, write its hash and parity into the card."
        )
    return card


def sha256_of(path: Path) -> str:
    """SHA-256 of a file in lower-case hexadecimal. Raises FileNotFoundError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()
