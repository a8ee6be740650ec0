"""The report: one HTML file that needs nothing else, its figures as JSON, its pictures as PNG."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from evaluation.collapse import Spread
from evaluation.hubness import Hubness
from evaluation.measurement import (
    CALIBRATION,
    CONCEPTS,
    CONSISTENCY,
    FAMILIES,
    IDENTITY,
    LABELS,
    MAPS,
    REFUSAL,
    REGIONS,
    RELEVANCE,
    TEXT,
    Comparison,
)

HTML_NAME: Final = "report.html"
FIGURES_NAME: Final = "figures.json"
TEMPLATE_NAME: Final = "report.html.j2"
TITLES: Final = {
    LABELS: (
        "Retrieval by label",
        "Share of the first K neighbours that bear the query's label (P@K), and kin.",
    ),
    RELEVANCE: ("Graded relevance", "nDCG by how much the lesions, their shapes or the grey values agree."),
    TEXT: ("Images and captions", "R@K and mean reciprocal rank in the joint space, by distinct caption."),
    CONCEPTS: ("Concepts", "Mean Jaccard overlap of the medical concepts of query and neighbours (CUI@K)."),
    IDENTITY: ("The same patient", "Whether the nearest of another series is of the same patient."),
    CONSISTENCY: (
        "Consistency",
        "A frame against itself after a change that changes nothing of what it shows: cosine, share of the "
        "ten nearest that stay, change of P@10.",
    ),
    MAPS: (
        "Match maps",
        "Where a frame looks like its nearest. Deletion takes the most important patches away first (less is "
        "better), insertion gives them back first (more is better). The map shall agree with occlusion, the "
        "slow reference. A map may only follow how much there is to see in a place: the nearer its agreement "
        "with the map of the same model with random weights is to 1, the more of it any net would show, "
        "where a frame is not empty, and the less it tells of what was learned. A low agreement alone is no "
        "merit: noise has it too.",
    ),
    REGIONS: (
        "Regions",
        "Asked with the rectangle around a lesion, of other subjects alone: whether a lesion is found, and "
        "whether the place that is marked is on it.",
    ),
    REFUSAL: (
        "Refusal",
        "Whether outsiders are told from radiology that nothing was made from (AUROC over pairs of both, by "
        "what the encoder knows alone and with an archive beside it), and the share that is refused: of "
        "outsiders that should be all, of radiology none. Photographs and noise bear the names of radiology.",
    ),
    CALIBRATION: (
        "Calibration",
        "Of pairs of different subjects, the share that bears the same finding, by the percentage of pairs "
        "that are less alike: it should grow with it. Chance is the share among all pairs.",
    ),
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with its title and what to see in it; `name` is its file's, without the ending."""

    name: str
    title: str
    text: str
    png: bytes

    @property
    def address(self) -> str:
        """The picture itself, as a data URI."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


@dataclass(frozen=True, slots=True)
class DatasetRow:
    """One data set of a benchmark as the report describes it."""

    name: str
    images: int
    subjects: int
    subject_kind: str
    licences: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Two series that may be one, by their UIDs."""

    left: str
    right: str
    cosine: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that is said.

    Attributes:
        title: of the page.
        encoder: its name.
        about: name and value of what must be known to read the figures.
        comparisons: the figures.
        spread: of the encoder and of each baseline, by name.
        pictures: in order.
        datasets: of a benchmark.
        hubness: of an archive.
        pairs: near-duplicates under different patients, of an archive.
        pairs_counted: how many there are; not all are listed.
        notes: what a reader must know besides.
    """

    title: str
    encoder: str
    about: Mapping[str, str]
    comparisons: tuple[Comparison, ...]
    spread: Mapping[str, Spread]
    pictures: tuple[Picture, ...] = ()
    datasets: tuple[DatasetRow, ...] = ()
    hubness: Hubness | None = None
    pairs: tuple[Pair, ...] = ()
    pairs_counted: int = 0
    notes: Sequence[str] = field(default_factory=tuple)

    def write(self, folder: Path) -> Path:
        """Write report.html, figures.json and the PNGs; give the path of the first."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / FIGURES_NAME).write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")
        for picture in self.pictures:
            (folder / f"{picture.name}.png").write_bytes(picture.png)
        page = folder / HTML_NAME
        page.write_text(self.as_html(), encoding="utf-8")
        return page

    def as_json(self) -> dict[str, Any]:
        """The figures for machines."""
        return {
            "title": self.title,
            "encoder": self.encoder,
            "about": dict(self.about),
            "datasets": [asdict(row) for row in self.datasets],
            "figures": [asdict(comparison) for comparison in self.comparisons],
            "spread": {name: asdict(s) | {"is_collapsed": s.is_collapsed} for name, s in self.spread.items()},
            "hubness": asdict(self.hubness) if self.hubness else None,
            "near_duplicates_of_different_patients": self.pairs_counted,
            "notes": list(self.notes),
        }

    def as_html(self) -> str:
        """The page; everything in it is escaped, and nothing is fetched from elsewhere."""
        room = Environment(
            loader=PackageLoader("evaluation", "."),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return room.get_template(TEMPLATE_NAME).render(report=self, families=self._families())

    def _families(self) -> list[dict[str, Any]]:
        """The tables: title, explanation, the names of the baselines, the first figures and all of them."""
        tables = []
        for family in FAMILIES:
            own = [c for c in self.comparisons if c.family == family]
            if own:
                title, text = TITLES[family]
                tables.append(
                    {
                        "title": title,
                        "text": text,
                        "baselines": list(dict.fromkeys(name for c in own for name in c.baselines)),
                        "first": [c for c in own if c.is_headline],
                        "all": own,
                    }
                )
        return tables
