"""The figure of quality against mean depth.

All strategies share one pair of axes, each a curve. Where a strategy was run with several
confidences and policies, each strategy has a panel: a confidence is a colour, a policy a kind
of line.
"""

import itertools
import math
from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ee_jax.report import metrics
from ee_jax.report.figures import INK, MUTED, PAPER, style
from ee_jax.report.quality_time import STATIC, static_key, static_points
from ee_jax.report.select import has_policies, labels, statics, with_exits
from ee_jax.report.text import is_known
from ee_jax.results import CurvePoint, Point, Results, StrategyResults

SPEEDUPS = (1, 1.2, 1.5, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48)
DASHES = ("-", (0, (5, 3)), (0, (1, 2)), (0, (5, 2, 1, 2)))  # of the policies
PANEL = 3.6  # inches


def quality_depth(results: Results) -> Figure:
    """Each strategy: its curve, the settings that were measured, its full model."""
    return _panels(results) if has_policies(results) else _together(results)


def _together(results: Results) -> Figure:
    with style():
        figure = Figure()
        axes = figure.add_subplot()
        _label(axes, results)
        for index, strategy in enumerate(with_exits(results).values()):
            _draw(axes, results, strategy, f"C{index}")
        if without := static_points(results):
            axes.plot(*_places(results.quality, without), **STATIC)
        _ideal_speedups(axes, results.blocks)
        _name(axes, results)
        symbols = _symbols(results)
        columns = len(symbols) if len(symbols) <= 4 else math.ceil(len(symbols) / 2)
        figure.legend(handles=symbols, loc="outside lower center", ncols=columns)
    return figure


def _label(axes: Axes, results: Results) -> None:
    axes.set_xlabel(f"mean depth, blocks of {results.blocks}")
    axes.set_ylabel(metrics.axis(results.quality))
    margin = max(0.15, 0.03 * results.blocks)
    axes.set_xlim(1 - margin, results.blocks + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))
    if metrics.of(results.quality).is_ratio:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def _marks(results: Results) -> dict[str, str]:
    """The shape of each calibration's hollow mark."""
    return dict(zip(labels(results), itertools.cycle("osD^v"), strict=False))


def _draw(axes: Axes, results: Results, strategy: StrategyResults, color: str) -> None:
    marks, metric = _marks(results), results.quality
    curve = sorted(strategy.curve, key=lambda p: p.mean_depth)
    full = metrics.height(metric, strategy.full_quality)
    axes.axhline(full, color=color, ls=(0, (5, 4)), lw=1, alpha=0.9)
    axes.plot(*_places(metric, curve), color=color)
    plain = [p for p in strategy.points if not p.calibrated_for]
    axes.plot(*_places(metric, plain), "o", ms=5, color=color)
    for point in (p for p in strategy.points if p.calibrated_for):
        for rank, label in enumerate(point.calibrated_for):  # one inside the other
            hollow = {"ms": 8 + 5 * rank, "mew": 1.8, "mec": color, "mfc": PAPER}
            at = _places(metric, [point])
            axes.plot(*at, marks[label], ls="", zorder=4 - 0.1 * rank, **hollow)


def _places(
    metric: str, points: Sequence[Point] | Sequence[CurvePoint]
) -> tuple[list[float], list[float]]:
    """Depths and heights; Matplotlib draws nothing where a quality is not defined."""
    return [p.mean_depth for p in points], [metrics.height(metric, p.quality) for p in points]


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
    low, high = axes.get_ylim()
    full = {name: s.full_quality for name, s in with_exits(results).items()}
    heights = {
        name: metrics.height(results.quality, value) if is_known(value) else low
        for name, value in full.items()
    }
    for name, height in _spread(heights, 0.11 * (high - low)).items():
        axes.annotate(
            f"{name}\n{metrics.value(results.quality, full[name])}",
            (1.01, height),
            xycoords=("axes fraction", "data"),
            va="center",
            color=f"C{list(full).index(name)}",
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
        *([static_key()] if statics(results) else []),
    ]


def _panels(results: Results) -> Figure:
    """A panel a strategy: each confidence a colour, each policy a kind of line."""
    points = [point for s in results.strategies.values() for point in s.points]
    colors = _numbered(point.confidence for point in points)
    dashes = _numbered(str(point.policy) for point in points)
    with style():
        figure = Figure(figsize=(8, PANEL * len(results.strategies) + 0.8))
        panels = figure.subplots(len(results.strategies), 1, squeeze=False, sharex=True).ravel()
        for axes, (name, strategy) in zip(panels, results.strategies.items(), strict=True):
            axes.set_title(name)
            _settings(axes, results, strategy, colors, dashes)
            _label(axes, results)
            if axes is not panels[-1]:
                axes.set_xlabel("")
        keys = _keys(colors, dashes)
        figure.legend(handles=keys, loc="outside lower center", ncols=4)
    return figure


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _settings(
    axes: Axes,
    results: Results,
    strategy: StrategyResults,
    colors: dict[str, int],
    dashes: dict[str, int],
) -> None:
    metric = results.quality
    alone = [metrics.height(metric, entry.metrics.get(metric)) for entry in strategy.exits]
    depths = [entry.depth for entry in strategy.exits]
    axes.plot(depths, alone, "o", ms=5, color=MUTED, zorder=1)
    full = metrics.height(metric, strategy.full_quality)
    axes.axhline(full, color=MUTED, lw=1, zorder=1)
    for (confidence, color), (policy, dash) in itertools.product(
        colors.items(), dashes.items()
    ):
        found = [p for p in strategy.points if (p.confidence, p.policy) == (confidence, policy)]
        found.sort(key=lambda point: point.mean_depth)
        line = {"color": f"C{color % 6}", "ls": DASHES[dash % len(DASHES)], "marker": "."}
        axes.plot(*_places(metric, found), **line)


def _keys(colors: dict[str, int], dashes: dict[str, int]) -> list[Line2D]:
    return [
        *(Line2D([], [], color=f"C{n % 6}", label=name) for name, n in colors.items()),
        *(
            Line2D([], [], color=INK, ls=DASHES[n % len(DASHES)], label=name)
            for name, n in dashes.items()
        ),
        Line2D([], [], color=MUTED, ls="", marker="o", ms=5, label="all at one exit"),
        Line2D([], [], color=MUTED, lw=1, label="full model"),
    ]
