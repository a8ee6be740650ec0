"""Which images of a benchmark a figure about the unknown may use: those that no direction was made from."""

from __future__ import annotations

import hashlib
from typing import Final

from evaluation.benchmark import LabelledImage

PARTS: Final = 5
OUTSIDE_MODALITIES: Final = frozenset({"OP", "OPT", "XC", "ES", "SM", "GM"})
"""Light instead of radiology: photographs of the eye, of the skin, endoscopy, microscopy."""


def is_radiology(image: LabelledImage) -> bool:
    """Whether an encoder of radiology was made for images like this one."""
    return image.modality not in OUTSIDE_MODALITIES


def is_held_out(image: LabelledImage) -> bool:
    """Whether no direction of `known.npy` is made from this image.

    A fifth of the subjects of what may be shipped, chosen by a hash of their names, and everything that may
    not be shipped.
    """
    name = f"{image.dataset}/{image.subject}".encode()
    return not image.is_permissive or int(hashlib.sha256(name).hexdigest(), 16) % PARTS == 0
