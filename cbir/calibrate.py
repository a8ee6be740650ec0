"""`cbir calibrate`: how alike unrelated series of the archive are, measured now and shown."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from rich.console import Console
from rich.table import Table

from cbir.deployment import Deployment
from indexer.following.follower import now_utc
from indexer.ledger import Background

SHOWN = (0.05, 0.5, 0.95, 0.99)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """One encoder's backgrounds and how long it took to measure them."""

    encoder: str
    backgrounds: tuple[Background, ...]
    took_s: float

    def as_json(self) -> dict[str, object]:
        """For machines; scores at SHOWN shares of the pairs."""
        return {
            "encoder": self.encoder,
            "took_s": round(self.took_s, 3),
            "backgrounds": [
                {
                    "modality": one.modality,
                    "body_part_examined": one.body_part_examined,
                    "series": one.series,
                    "pairs": one.pairs,
                    "scores": dict(zip(map(str, SHOWN), scores_of(one), strict=False)),
                }
                for one in self.backgrounds
            ],
        }


def scores_of(background: Background) -> list[float]:
    """The scores below which SHOWN shares of the pairs lie; none where there are no pairs."""
    if not background.pairs:
        return []
    return [round(float(score), 4) for score in np.quantile(background.quantiles, SHOWN)]


def calibrated(deployment: Deployment) -> list[Calibrated]:
    """Measure every encoder that is searched, whether it is due or not, without a pause."""
    found = []
    calibrator = deployment.following.calibrator(wait=lambda _: None)
    for version in deployment.line_ups().serving.versions:
        started = time.perf_counter()
        backgrounds = calibrator.calibrate(version, now_utc())
        found.append(Calibrated(str(version), backgrounds, time.perf_counter() - started))
    return found


def print_calibrated(console: Console, found: list[Calibrated]) -> None:
    """A table an encoder: how many pairs, and the scores below which so many of them lie."""
    for one in found:
        table = Table(title=f"{one.encoder}, {one.took_s:.1f} s", title_justify="left")
        for name in ("modality", "body part", "series", "pairs", *(f"{share:.0%}" for share in SHOWN)):
            table.add_column(name)
        for background in one.backgrounds:
            table.add_row(
                background.modality or "any",
                background.body_part_examined or "any",
                str(background.series),
                str(background.pairs) if background.pairs else "too few",
                *(f"{score:.3f}" for score in scores_of(background)),
            )
        console.print(table)
