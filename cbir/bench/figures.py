"""The figures of one run: rates, times and the ratios between them; they are what `--json` prints."""

from __future__ import annotations

import math
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of indexing, alone on all series; the median of the rounds."""

    name: str
    series_per_s: float


@dataclass(frozen=True, slots=True)
class Indexing:
    """One kind of series through every stage alone, and through the whole worker.

    `decoders_per_s` is decoding, rendering and preprocessing together as the decoder processes do it:
    they share those processes, so this is the bound that a perfect pipeline could reach.
    `encoder_one_by_one_per_s` is the encoder fed a series at a time instead of in full batches.
    `busy_cores` is how much of the machine all programs used while the whole worker ran.
    """

    kind: str
    series: int
    frames_a_series: float
    stages: tuple[Stage, ...]
    decoders_per_s: float
    encoder_one_by_one_per_s: float
    whole_per_s: float
    busy_cores: float | None

    @property
    def slowest(self) -> Stage:
        """The slowest stage alone."""
        return min(self.stages, key=lambda stage: stage.series_per_s)

    @property
    def whole_to_slowest(self) -> float:
        """1.0 is a worker as fast as its slowest stage alone."""
        return self.whole_per_s / self.slowest.series_per_s

    @property
    def whole_to_bound(self) -> float:
        """The same, with decoding and rendering counted as the one stage that they are."""
        return self.whole_per_s / min(self.slowest.series_per_s, self.decoders_per_s)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "kind": self.kind,
            "series": self.series,
            "frames_a_series": round(self.frames_a_series, 2),
            "slowest_stage": self.slowest.name,
            "whole_to_slowest": round(self.whole_to_slowest, 3),
            "whole_to_bound": round(self.whole_to_bound, 3),
            "stage_to_whole": {s.name: round(s.series_per_s / self.whole_per_s, 2) for s in self.stages},
            "series_per_s": {
                **{stage.name: round(stage.series_per_s, 2) for stage in self.stages},
                "decode_and_render": round(self.decoders_per_s, 2),
                "encode_series_by_series": round(self.encoder_one_by_one_per_s, 2),
                "whole": round(self.whole_per_s, 2),
            },
            "busy_cores_during_whole": None if self.busy_cores is None else round(self.busy_cores, 1),
        }


@dataclass(frozen=True, slots=True)
class Latency:
    """Times of one kind of question, in ms, beside an exact scan for the same answers in the same run.

    `agreement` is the share of the exact answers' studies that came back; None where there is no scan
    to compare with.
    """

    question: str
    times_ms: tuple[float, ...]
    scan_ms: tuple[float, ...] = ()
    agreement: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        p50, p99 = percentile(self.times_ms, 50), percentile(self.times_ms, 99)
        found: dict[str, Any] = {"question": self.question, "count": len(self.times_ms)}
        if self.scan_ms:
            scan = percentile(self.scan_ms, 50)
            found |= {"p50_to_scan": round(p50 / scan, 2), "p99_to_scan": round(p99 / scan, 2)}
            found |= {"agreement": None if self.agreement is None else round(self.agreement, 4)}
            found |= {"scan_p50_ms": round(scan, 2)}
        return found | {"p50_ms": round(p50, 2), "p99_ms": round(p99, 2)}


@dataclass(frozen=True, slots=True)
class Searching:
    """Searches over a synthetic index; `load_series_per_s` is how fast it was filled, past the protocol."""

    series: int
    studies: int
    frames_a_series: int
    dimension: int
    load_series_per_s: float
    latencies: tuple[Latency, ...]

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        plain = {name: getattr(self, name) for name in ("series", "studies", "frames_a_series", "dimension")}
        return plain | {
            "load_series_per_s": round(self.load_series_per_s, 1),
            "questions": [latency.as_json() for latency in self.latencies],
        }


@dataclass(frozen=True, slots=True)
class Machine:
    """What the figures were taken on."""

    cores: int
    memory_gib: float
    processor: str
    python: str
    encoder: str
    providers: tuple[str, ...]
    decoders: int
    lanes: int


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was measured in one run."""

    machine: Machine
    indexing: tuple[Indexing, ...]
    searching: Searching | None

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it. Ratios hold from machine to machine, absolute figures do not."""
        return {
            "machine": asdict(self.machine),
            "indexing": [one.as_json() for one in self.indexing],
            "searching": None if self.searching is None else self.searching.as_json(),
        }


def machine(encoder: str, providers: Sequence[str], decoders: int, lanes: int) -> Machine:
    """This machine, as far as it says."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return Machine(
        cores=os.cpu_count() or 1,
        memory_gib=round(pages / 2**30, 1),
        processor=platform.processor() or platform.machine(),
        python=sys.version.split()[0],
        encoder=encoder,
        providers=tuple(providers),
        decoders=decoders,
        lanes=lanes,
    )


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that `percent` % of the values do not exceed; of few values, the next one that was seen."""
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return float(ordered[min(math.ceil(percent / 100 * len(ordered)), len(ordered)) - 1])
