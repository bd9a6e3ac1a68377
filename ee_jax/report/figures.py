"""The one style of the figures; and the figure of where the test examples stop."""

import io
import math
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from ee_jax.atomic_io import replacing
from ee_jax.display import plain
from ee_jax.report import text
from ee_jax.report.select import has_policies, sorted_points, with_exits
from ee_jax.results import Point, Results, StrategyResults

INK = "#24292f"  # as in report.mplstyle
PAPER = "#fefefe"  # what a hollow mark is filled with
MUTED = "#7d8590"  # readable on white and on black


@contextmanager
def style() -> Iterator[None]:
    """The project's style for what is drawn or saved inside; the caller's settings return."""
    file = resources.files("ee_jax.report") / "report.mplstyle"
    with resources.as_file(file) as path, matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(
            matplotlib.rc_params_from_file(path, use_default_template=False)
        )
        yield


def save(figure: Figure, path: Path) -> Path:
    """Writes the figure; the ending names the format."""
    kind = path.suffix[1:]
    with style(), replacing(path) as part:
        _make_plain(figure)
        metadata = {"Software": None} if kind == "png" else None
        figure.savefig(part, format=kind, metadata=metadata)
    return path


def _make_plain(figure: Figure) -> None:
    """Draws texts as they are: nothing unseen in them, and dollars are no formulas."""
    for artist in figure.findobj(Text):
        assert isinstance(artist, Text)
        artist.set_text(plain(artist.get_text(), "\n"))
        artist.set_parse_math(False)


def svg(figure: Figure, name: str) -> str:
    """An <svg> element in the colours of the page around it; `name` keeps its ids apart."""
    drawn = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with style():
        _make_plain(figure)
        figure.savefig(drawn, format="svg", transparent=True, metadata=nothing)
    text = drawn.getvalue()
    text = text[text.index("<svg") :]
    text = text.replace(INK, "currentColor").replace(PAPER, "var(--paper, white)")
    return re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)


Color = tuple[float, float, float]

ROOM = 0.045  # share of the width that a label in a bar needs
ROW = 0.32  # inches
BESIDE = 1.012  # right of the bars, in shares of their width


def exit_depths(results: Results) -> Figure:
    """Each strategy: a bar a threshold, split by the exit that answered."""
    strategies = with_exits(results) or results.strategies
    rows = [len(s.points) for s in strategies.values()]
    with style():
        figure = Figure(figsize=(8, ROW * (sum(rows) + 2 * len(rows) + 2) + 0.2))
        key, *panels = figure.subplots(
            1 + len(rows), 1, squeeze=False, height_ratios=[1, *rows]
        ).ravel()
        figure.set_layout_engine("constrained", h_pad=0.09)
        colors = _colors(results)
        _key(key, colors)
        for axes, (name, strategy) in zip(panels, strategies.items(), strict=True):
            _panel(axes, name, strategy, colors)
        of = "tokens of the test split" if has_policies(results) else "test examples"
        panels[-1].set_xlabel(f"% of the {of}")
    return figure


def _colors(results: Results) -> dict[int, Color]:
    """Exit depths, light for the first and dark for the last: more blocks, more ink."""
    depths = sorted({entry.depth for s in results.strategies.values() for entry in s.exits})
    shades = matplotlib.colormaps["viridis_r"](np.linspace(0.05, 0.85, len(depths)))
    return {depth: to_rgb(shade) for depth, shade in zip(depths, shades, strict=True)}


def _key(axes: Axes, colors: dict[int, Color]) -> None:
    """The colours as a bar of equal parts, with depths where there is room; always the last."""
    every = math.ceil(0.05 * len(colors))
    labels = [str(d) if i % every == 0 else "" for i, d in enumerate(reversed(colors))]
    shares = [1 / len(colors)] * len(colors)
    _bar(axes, 0, zip(shares, reversed(labels), colors.values(), strict=True))
    _bare(axes, 1)
    axes.set_yticks([0], ["stopped after block"])


def _panel(axes: Axes, name: str, strategy: StrategyResults, colors: dict[int, Color]) -> None:
    own = [colors[entry.depth] for entry in strategy.exits]
    points = sorted_points(strategy)
    for row, point in enumerate(points):
        shares = _shares(point)
        labels = [f"{100 * share:.0f}" if share > ROOM else "" for share in shares]
        _bar(axes, row, zip(shares, labels, own, strict=True))
        axes.text(BESIDE, row, text.number(point.mean_depth), va="center_baseline")
    _bare(axes, len(points))
    axes.set_title(name)
    axes.set_yticks(range(len(points)), [_setting(point, strategy) for point in points])
    heading = {"va": "center_baseline", "color": MUTED, "size": 10}
    axes.text(1 - BESIDE, -0.85, "threshold", ha="right", **heading)
    axes.text(BESIDE, -0.85, "mean depth", **heading)


def _shares(point: Point) -> list[float]:
    total = sum(point.exit_counts) or 1
    return [count / total for count in point.exit_counts]


def _setting(point: Point, strategy: StrategyResults) -> str:
    shown = text.setting(point, strategy)
    return f"{point.confidence}, {point.policy}: {shown}" if point.policy else shown


def _bar(axes: Axes, row: int, parts: Iterable[tuple[float, str, Color]]) -> None:
    """One bar from its parts: share, label, colour."""
    left = 0.0
    for share, label, color in parts:
        axes.barh(row, share, left=left, height=0.8, color=color)
        ink = "black" if _luminance(color) > 0.3 else "white"
        middle = left + share / 2
        axes.text(middle, row, label, color=ink, ha="center", va="center_baseline")
        left += share


def _luminance(color: Color) -> float:
    """Relative luminance, as in WCAG."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in color]
    return float(np.dot((0.2126, 0.7152, 0.0722), linear))


def _bare(axes: Axes, rows: int) -> None:
    """Only the bars: the first row on top, no frame, no ticks."""
    axes.set_xlim(0, 1)
    axes.set_ylim(rows - 0.5, -0.5)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_xticks([])
