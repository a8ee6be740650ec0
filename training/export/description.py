"""What a card says of an encoder that nobody can compute: names, licences, purpose."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from inference.card import Input, Licence


class EncoderDescription(BaseModel):
    """The part of a card that the exporter is told; it finds out the rest.

    Attributes:
        name: lower case, digits, - and _; names the encoder in the registry and its vectors.
        version: of the weights.
        modalities: DICOM modalities that it is meant for; "*" is any.
        input: the model's input and how frames are brought to it; its name becomes the graph's input.
        licence: SPDX names, and whether commercial use is allowed.
        training_data: what it learned from, in words.
        intended_use: in words.
        metrics: measured figures by name.
        notes: whatever else a user should know.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")
    version: str = Field(min_length=1)
    modalities: tuple[str, ...] = Field(min_length=1)
    input: Input
    licence: Licence
    training_data: str
    intended_use: str
    metrics: dict[str, float] = Field(default_factory=dict)
    notes: str = ""
