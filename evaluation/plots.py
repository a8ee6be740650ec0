"""Pictures of a space of vectors: a dot plot of figures, a t-SNE map and the neighbours' confusion."""

from __future__ import annotations

import io
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from evaluation.bootstrap import Interval
from evaluation.measurement import Comparison
from evaluation.ranking import Names
from indexer.domain import Vector

INK: Final = "#171c22"
MUTED: Final = "#5a6572"
RULE: Final = "#dfe4e9"
OTHER: Final = "#c3ccd6"
LANE: Final = "#f6f8f9"
ACCENT: Final = "#b3471d"
GREYS: Final = ("#8794a3", "#3f6f9f", "#5b8a72", "#8a6fa8")
# Okabe and Ito's palette, which the colour-blind can tell apart, and four more.
CLASSES: Final = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00",
    "#56b4e9", "#7a6a00", "#6a3d9a", "#4d4d4d", "#b2df8a",
)  # fmt: skip
OTHERS: Final = "all others"
MARKS: Final = ("o", "s", "^", "D")
_DPI: Final = 160
_PERPLEXITY: Final = 30.0
_COMPONENTS: Final = 50


def dot_plot(comparisons: Sequence[Comparison], encoder: str) -> bytes:
    """Figures with their 95 % intervals, a line a task, beside chance and the baselines; a PNG."""
    names = list(dict.fromkeys(name for c in comparisons for name in c.baselines))
    with styled_figure(8.4, (0.3 + 0.07 * len(names)) * len(comparisons) + 1.1) as (figure, png):
        axes = figure.add_subplot()
        for place, comparison in enumerate(comparisons):
            _lane(axes, place, comparison, names)
        labels = [f"{_readable(c.task)}  ·  {_readable(c.measure)}" for c in comparisons]
        axes.set_yticks(range(len(comparisons)), labels)
        axes.set_ylim(len(comparisons) - 0.4, -0.6)
        axes.set_xlim(0, 1.01)
        axes.set_xlabel("figure with 95 % interval over subjects", color=MUTED)
        axes.grid(axis="x", color=RULE, linewidth=0.8)
        axes.tick_params(length=0)
        axes.spines[["top", "right", "left"]].set_visible(False)
        _legend(figure, encoder, names)
    return png.getvalue()


def tsne_map(vector: Vector, label: Names, seed: int = 0) -> bytes:
    """A map in which near vectors are near, each in its label's colour; a PNG.

    Distances between groups and their sizes mean nothing in it.

    Args:
        vector: float32 (n, d), unit rows, n >= 5.
        label: (n,).
        seed: of the optimisation.

    Source:
        van der Maaten and Hinton, "Visualizing data using t-SNE", Journal of Machine Learning Research 9,
        2008; on the first 50 principal components.
    """
    place = _tsne(vector, seed)
    shown = _most_frequent(label, len(CLASSES) - 1)
    with styled_figure(7.6, 5.4) as (figure, png):
        axes = figure.add_subplot()
        size = float(np.clip(9000 / len(place), 5, 34))
        rest = ~np.isin(label, shown)
        for number, name in enumerate(shown):
            own = label == name
            x, y = place[own].T
            named = f"{_short(name)} ({own.sum()})"
            axes.scatter(x, y, s=size, c=CLASSES[number], linewidths=0, alpha=0.75, label=named)
        if rest.any():
            x, y = place[rest].T
            axes.scatter(x, y, s=size, c=OTHER, linewidths=0, zorder=0, label=f"{OTHERS} ({rest.sum()})")
        axes.set_xticks([])
        axes.set_yticks([])
        axes.set_aspect("equal")
        axes.spines[:].set_visible(False)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, markerscale=1.6, fontsize=9)
    return png.getvalue()


def confusion_plot(label: Names, nearest: Sequence[Names]) -> bytes:
    """Whose labels the neighbours of each label bear, in percent, rows summing to 100; a PNG.

    Args:
        label: (n,) of the queries.
        nearest: (n,) arrays of their neighbours' labels.
    """
    shown = _most_frequent(label, 10)
    names = [*shown, OTHERS] if set(label.tolist()) - set(shown) else shown
    share = confusion(label, nearest, names)
    side = 0.62 * len(names) + 2.4
    with styled_figure(side + 1.2, side) as (figure, png):
        axes = figure.add_subplot()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        for (down, right), value in np.ndenumerate(share):
            ink = "white" if value > 0.55 else INK
            axes.text(right, down, f"{100 * value:.0f}", ha="center", va="center", color=ink, fontsize=9)
        ticks = [_short(name) for name in names]
        axes.set_xticks(range(len(names)), ticks, rotation=40, ha="right")
        axes.set_yticks(range(len(names)), ticks)
        axes.set_xlabel("label of the neighbours, %", color=MUTED)
        axes.set_ylabel("label of the query", color=MUTED)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    return png.getvalue()


def confusion(label: Names, nearest: Sequence[Names], names: Sequence[str]) -> NDArray[np.float64]:
    """(names, names) share of the neighbours of each label that bear each other one; rows sum to 1.

    What is not among `names` counts as the last one where that is "all others", and not at all elsewhere.
    """
    column = {name: place for place, name in enumerate(names)}
    other = column.get(OTHERS, -1)
    counts = np.zeros((len(names), len(names)))
    for own, neighbours in zip(label.tolist(), nearest, strict=True):
        row = column.get(own, other)
        for name in neighbours.tolist():
            found = column.get(name, other)
            if row >= 0 and found >= 0:
                counts[row, found] += 1
    return np.asarray(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1), dtype=np.float64)


@contextmanager
def styled_figure(width: float, height: float) -> Iterator[tuple[Figure, io.BytesIO]]:
    """A figure in our style, written when the block ends."""
    png = io.BytesIO()
    style: Any = {
        "font.family": "DejaVu Sans", "font.size": 10, "text.color": INK, "axes.labelcolor": INK,
        "axes.edgecolor": RULE, "xtick.color": MUTED, "ytick.color": INK, "figure.facecolor": "white",
    }  # fmt: skip
    with mpl.rc_context(style):
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)
        yield figure, png
        figure.savefig(png, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})


def _lane(axes: Any, place: int, comparison: Comparison, names: Sequence[str]) -> None:  # noqa: ANN401
    """Chance, the encoder in the middle of its lane, and the baselines a little below."""
    axes.axhspan(place - 0.5, place + 0.5, color=LANE if place % 2 else "white", linewidth=0, zorder=0)
    if comparison.chance is not None:
        axes.plot([comparison.chance] * 2, [place - 0.36, place + 0.36], color=MUTED, linewidth=1.4, zorder=1)
    step = 0.6 / (len(names) + 1)
    for number, name in enumerate(names):
        if name in comparison.baselines:
            colour, mark = GREYS[number % len(GREYS)], MARKS[1 + number % 3]
            _dot(axes, comparison.baselines[name], place - 0.1 + step * (number + 1), colour, mark, size=4.5)
    _dot(axes, comparison.encoder, place - 0.1, ACCENT, MARKS[0], size=7)


def _dot(axes: Any, figure: Interval, place: float, colour: str, mark: str, size: float) -> None:  # noqa: ANN401
    axes.plot([figure.low, figure.high], [place, place], color=colour, linewidth=1.8, alpha=0.55, zorder=2)
    axes.plot(
        figure.mean, place, mark, color=colour, markersize=size, zorder=3, markeredgecolor="white", mew=0.6
    )


def _legend(figure: Figure, encoder: str, baselines: Sequence[str]) -> None:
    handles = [Line2D([], [], color=ACCENT, marker=MARKS[0], markersize=7, label=encoder)]
    handles += [
        Line2D([], [], color=GREYS[n % len(GREYS)], marker=MARKS[1 + n % 3], markersize=5.5, label=name)
        for n, name in enumerate(baselines)
    ]
    handles.append(
        Line2D([], [], color=MUTED, marker="|", linestyle="", markersize=10, mew=1.6, label="chance")
    )
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), frameon=False, fontsize=9)


def _tsne(vector: Vector, seed: int) -> NDArray[np.float32]:
    """(n, 2)."""
    from sklearn.decomposition import PCA  # noqa: PLC0415 - takes a second to import
    from sklearn.manifold import TSNE  # noqa: PLC0415

    components = min(_COMPONENTS, *vector.shape)
    reduced = PCA(components, svd_solver="randomized", random_state=seed).fit_transform(vector)
    perplexity = min(_PERPLEXITY, (len(vector) - 1) / 3)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mapped = TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1).fit_transform(reduced)
    return np.asarray(mapped, dtype=np.float32)


def _most_frequent(label: Names, count: int) -> list[str]:
    """Names, the most frequent first."""
    names, counts = np.unique(label, return_counts=True)
    return [str(name) for name in names[np.argsort(-counts, kind="stable")][:count]]


def _readable(name: str) -> str:
    return name.replace("|", " ").replace("_", " ")


def _short(name: str, longest: int = 28) -> str:
    plain = _readable(name)
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
