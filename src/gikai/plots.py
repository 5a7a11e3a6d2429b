"""Curves of the report as SVG images that need no file beside them. Arrays and records in, data URIs out.

Library module; no command of its own.
"""

import base64
import io
import textwrap
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import matplotlib_fontja  # importing it makes IPAexGothic, the font that it carries, known to matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from sklearn.metrics import precision_recall_curve

BLUE, ORANGE = "#3b82d6", "#d97a1e"
INK = "#010203"
"""Stands for the colour of text, which only the page knows; `_image` puts `currentColor` in its place."""
THEME = "<style>svg{color:#222}@media(prefers-color-scheme:dark){svg{color:#ddd}}</style>"
STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "gikai",
    "font.family": [matplotlib_fontja.matplotlib_fontja.FONT_NAME, "DejaVu Sans"],
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.labelsize": 7,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), INK),
}


def precision_recall(title: str, truth: np.ndarray, probabilities: np.ndarray, chosen: tuple[float, float]) -> str:
    """Return the precision-recall curve of one label; `truth` and `probabilities` are `(n,)`, at least one positive.

    `chosen` is the (precision, recall) of the predicted labels, drawn as a dot: what the threshold made of the curve.
    """

    def draw(axes: Axes) -> None:
        precision, recall, _ = precision_recall_curve(truth, probabilities, drop_intermediate=True)
        axes.plot(recall, precision, color=BLUE, linewidth=1.2, drawstyle="steps-post", clip_on=False)
        axes.plot([chosen[1]], [chosen[0]], "o", color=ORANGE, markersize=4, clip_on=False)
        _unit_axes(axes, "recall", "precision")

    return _image(title, draw, (2.0, 1.95))


def reliability(title: str, calibration: dict[str, Any]) -> str:
    """Return the reliability diagram: share that is right by stated probability, before and after temperature scaling.

    `calibration` is the value of metrics.json; empty bins are left out (Guo et al. 2017).
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=INK, linewidth=0.5, linestyle=":")
        for when, colour, line in (("before", ORANGE, "--"), ("after", BLUE, "-")):
            if when in calibration:
                bins = [item for item in calibration[when]["bins"] if item["count"]]
                points = [item["confidence"] for item in bins], [item["share"] for item in bins]
                axes.plot(*points, line, color=colour, linewidth=1.2, marker="o", markersize=2.5, clip_on=False, label=when)
        _unit_axes(axes, "probability stated", "share that is right")
        axes.legend(frameon=False, loc="upper left")

    return _image(title, draw, (2.9, 2.6))


def selective(title: str, curve: Sequence[dict[str, float]]) -> str:
    """Return the selective-prediction curve: precision of what is answered by the share of passages that is answered."""

    def draw(axes: Axes) -> None:
        points = sorted((point["coverage"], point["precision"]) for point in curve)
        axes.plot(*zip(*points, strict=True), color=BLUE, linewidth=1.2, clip_on=False)
        _unit_axes(axes, "share of passages answered", "precision of the answers")
        axes.set_ylim(np.floor(min(precision for _, precision in points) * 10 - 1e-9).clip(0, 9) / 10, 1)
        axes.set_yticks(axes.get_ylim())

    return _image(title, draw, (2.9, 2.6))


def _unit_axes(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=[0, 0.5, 1], yticks=[0, 0.5, 1], xlabel=x, ylabel=y)
    axes.grid(linewidth=0.3, alpha=0.4, color=INK)


def _image(title: str, draw: Callable[[Axes], None], inches: tuple[float, float]) -> str:
    """Return a data URI of the SVG that `draw` fills; text is drawn as paths, so that no font is needed to read it."""
    lines = textwrap.wrap(title, 30 if title.isascii() else 17, max_lines=2, placeholder="…")
    with mpl.rc_context(STYLE), warnings.catch_warnings():
        # A label may hold a character that no font here has; the page carries the same words as text.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure = Figure(figsize=inches, layout="constrained")
        axes = figure.add_subplot()
        axes.set_title("\n".join(lines), parse_math=False)
        draw(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", transparent=True, metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :].replace(INK, "currentColor").replace("<defs>", THEME + "<defs>", 1)
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
