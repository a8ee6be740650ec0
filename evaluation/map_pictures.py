"""Pictures of match maps: the curves that they are judged by, and pairs of frames with theirs over them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import matplotlib as mpl
import numpy as np

from evaluation.deletion import STEPS
from evaluation.match_maps import FEATURES, OCCLUSION, Curves, Pair
from evaluation.plots import ACCENT, MUTED, RULE, styled_figure
from indexer.domain import MatchMap, Vector
from indexer.search.match_maps import match_maps
from inference.encoder import OnnxEncoder
from inference.feature_maps import rendered_map
from inference.preprocess import Pixels

COLOURS: Final = {FEATURES: ACCENT, OCCLUSION: "#3f6f9f"}
_STRONGEST: Final = 0.65


def curves_plot(curves: Sequence[Curves]) -> bytes:
    """The mean likeness along deletion and insertion, a line an order; a PNG."""
    share = np.linspace(0, 1, STEPS + 1)
    with styled_figure(9.0, 3.6) as (figure, png):
        sides: Any = figure.subplots(1, 2, sharey=True)
        for axes, name in zip(sides, ("deletion", "insertion"), strict=True):
            for one in curves:
                values = one.deletion if name == "deletion" else one.insertion
                axes.plot(
                    share,
                    values.mean(axis=0),
                    color=COLOURS.get(one.order, MUTED),
                    label=one.order,
                    linewidth=2,
                )
            axes.set_title(name, loc="left", fontsize=11)
            axes.set_xlabel("share of the frame, most important first", color=MUTED)
            axes.grid(color=RULE, linewidth=0.8)
            axes.spines[["top", "right"]].set_visible(False)
        sides[0].set_ylabel("cosine with the other frame", color=MUTED)
        sides[1].legend(frameon=False, loc="lower right")
    return png.getvalue()


def maps_plot(encoder: OnnxEncoder, pairs: Sequence[Pair]) -> bytes:
    """Pairs of frames, a row each: both bare, and both with where they look like each other; a PNG."""
    with styled_figure(8.8, 2.2 * len(pairs)) as (figure, png):
        grid: Any = figure.subplots(len(pairs), 4, squeeze=False)
        for row, pair in zip(grid, pairs, strict=True):
            first, second = match_maps(rendered_map(encoder, pair.one), rendered_map(encoder, pair.other))
            shown = [pair.one, overlaid(pair.one, first), pair.other, overlaid(pair.other, second)]
            for axes, pixels in zip(row, shown, strict=True):
                axes.imshow(pixels, cmap="gray", vmin=0, vmax=1)
                axes.set_axis_off()
    return png.getvalue()


def overlaid(frame: Pixels, found: MatchMap) -> Pixels:
    """A frame with its map over it: float32 (rows, columns, 3), orange where it is most alike."""
    colour = frame if frame.ndim == 3 else np.repeat(frame[..., None], 3, axis=2)
    values = over_frame(found, frame.shape[0], frame.shape[1])
    tint = mpl.colormaps["inferno"](values)[..., :3]
    weight = (_STRONGEST * values)[..., None]
    return np.asarray(colour * (1 - weight) + tint * weight, dtype=np.float32)


def over_frame(found: MatchMap, rows: int, columns: int) -> Vector:
    """A map at every pixel of its frame, linear between the middles of its cells: float32 (rows, columns)."""
    height, width = found.values.shape
    area = found.area
    y = ((np.arange(rows) + 0.5) / rows - area.top) / area.height * height - 0.5
    x = ((np.arange(columns) + 0.5) / columns - area.left) / area.width * width - 0.5
    along = np.stack([np.interp(x, np.arange(width), row) for row in found.values])
    return np.asarray(
        np.stack([np.interp(y, np.arange(height), column) for column in along.T], axis=1), dtype=np.float32
    )
