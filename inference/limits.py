"""How much a file may ask of a decoder."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds against hostile and broken files, checked before anything is allocated.

    `max_instance_bytes` bounds the file, and what a deflated file inflates to. `max_frame_pixels` bounds
    Rows x Columns of a frame, `max_frame_bytes` its decoded size. `timeout_s` is the longest time one
    decoder call may take; `memory_bytes` is the address space a decoder may use beyond what it has when
    it starts, for what a codestream asks behind the header's back.
    """

    max_instance_bytes: int = 2**30
    max_frame_pixels: int = 100_000_000
    max_frame_bytes: int = 2**30
    timeout_s: float = 20.0
    memory_bytes: int = 6 * 2**30
