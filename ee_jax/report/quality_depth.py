"""The figure of quality against mean depth."""

import itertools
import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from ee_jax.report import metrics
from ee_jax.report.figures import INK, PAPER, style
from ee_jax.report.results import Point, Results, Strategy, is_known, labels

SPEEDUPS = (1, 1.2, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)


def quality_depth(results: Results) -> Figure:
    """Each strategy: its curve, the settings that were measured, its full model."""
    with style():
        figure = Figure()
        axes = figure.add_subplot()
        _label(axes, results)
        for index, strategy in enumerate(results["strategies"].values()):
            _draw(axes, strategy, f"C{index}", _marks(results))
        _ideal_speedups(axes, results["model"]["blocks"])
        _name(axes, results)
        symbols = _symbols(results)
        columns = len(symbols) if len(symbols) <= 4 else math.ceil(len(symbols) / 2)
        figure.legend(handles=symbols, loc="outside lower center", ncols=columns)
    return figure


def _label(axes: Axes, results: Results) -> None:
    blocks = results["model"]["blocks"]
    axes.set_xlabel(f"mean depth, blocks of {blocks}")
    axes.set_ylabel(metrics.axis(results["quality"]))
    margin = max(0.15, 0.03 * blocks)
    axes.set_xlim(1 - margin, blocks + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))


def _marks(results: Results) -> dict[str, str]:
    """The shape of each calibration's hollow mark."""
    return dict(zip(labels(results), itertools.cycle("osD^v"), strict=False))


def _draw(axes: Axes, strategy: Strategy, color: str, marks: dict[str, str]) -> None:
    curve = sorted(strategy["curve"], key=lambda p: p["mean_depth"])
    full = _height(strategy["full_quality"])
    axes.axhline(full, color=color, ls=(0, (5, 4)), lw=1, alpha=0.9)
    axes.plot(*_places(curve), color=color)
    plain = [p for p in strategy["points"] if not p["calibrated_for"]]
    axes.plot(*_places(plain), "o", ms=5, color=color)
    for point in (p for p in strategy["points"] if p["calibrated_for"]):
        for rank, label in enumerate(point["calibrated_for"]):  # one inside the other
            hollow = {"ms": 8 + 5 * rank, "mew": 1.8, "mec": color, "mfc": PAPER}
            at = _places([point])
            axes.plot(*at, marks[label], ls="", zorder=4 - 0.1 * rank, **hollow)


def _places(points: Sequence[Point]) -> tuple[list[float], list[float]]:
    """Depths and heights; Matplotlib draws nothing where a quality is not defined."""
    return [p["mean_depth"] for p in points], [_height(p["quality"]) for p in points]


def _height(quality: float | None) -> float:
    return math.nan if quality is None else 100 * quality


def _ideal_speedups(axes: Axes, blocks: int) -> None:
    """A second scale on top: blocks / mean depth, where its ticks have room."""
    ticks: list[float] = []
    for speedup in (s for s in SPEEDUPS if s <= blocks):
        if not ticks or blocks / ticks[-1] - blocks / speedup > 0.06 * blocks:
            ticks.append(speedup)
    top = axes.twiny()
    top.set_xlim(axes.get_xlim())
    top.set_xticks([blocks / s for s in ticks], [f"{s:g}" for s in ticks])
    top.set_xlabel("ideal speed-up, times")
    top.tick_params(top=True)


def _name(axes: Axes, results: Results) -> None:
    """Each strategy's name at its full model, right of the axes, kept apart."""
    strategies = results["strategies"]
    low, high = axes.get_ylim()
    heights = {
        name: _height(s["full_quality"]) if is_known(s["full_quality"]) else low
        for name, s in strategies.items()
    }
    for name, height in _spread(heights, 0.11 * (high - low)).items():
        axes.annotate(
            f"{name}\n{metrics.value(results['quality'], strategies[name]['full_quality'])}",
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            color=f"C{list(strategies).index(name)}",
        )


def _spread(heights: dict[str, float], gap: float) -> dict[str, float]:
    """The heights from the top down, each at least `gap` below the one before."""
    spread: dict[str, float] = {}
    lowest = float("inf")
    for name in sorted(heights, key=lambda n: -heights[n]):
        spread[name] = lowest = min(heights[name], lowest - gap)
    return spread


def _symbols(results: Results) -> list[Line2D]:
    """What the marks mean, whatever their colour."""
    chosen = [
        Line2D([], [], color=INK, ls="", marker=mark, ms=8, mew=1.8, mfc=PAPER, label=label)
        for label, mark in _marks(results).items()
    ]
    return [
        Line2D([], [], color=INK, label="every threshold"),
        Line2D([], [], color=INK, ls="", marker="o", ms=5, label="measured"),
        *chosen,
        Line2D([], [], color=INK, ls=(0, (5, 4)), lw=1, label="full model"),
    ]
