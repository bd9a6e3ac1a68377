"""The figure of a study: quality against depth, and against measured time, task by task."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ee_jax.report import metrics
from ee_jax.report.figures import INK, style
from ee_jax.report.select import batches
from ee_jax.results import Results

Line = tuple[list[float], list[float]]  # x and percent


def study_figure(tasks: Mapping[str, Sequence[Results]]) -> Figure:
    """A row a task: the mean over its seeds, strong, and each seed behind it.

    `tasks` holds the results of each seed, all with the same strategies and thresholds.
    """
    with style():
        figure = Figure(figsize=(8, 0.8 + 3.3 * len(tasks)))
        grid = figure.subplots(len(tasks), 2, sharey="row", squeeze=False)
        for (task, seeds), (left, right) in zip(tasks.items(), grid, strict=True):
            _draw(task, seeds, left, right)
        names = list(dict.fromkeys(n for seeds in tasks.values() for n in seeds[0].strategies))
        handles = [
            Line2D([], [], color=f"C{i}", marker="o", ms=4, label=n)
            for i, n in enumerate(names)
        ]
        full = Line2D([], [], color=INK, ls=(0, (5, 4)), lw=1, label="full model")
        figure.legend(handles=[*handles, full], loc="outside lower center", ncols=4)
    return figure


def _draw(task: str, seeds: Sequence[Results], left: Axes, right: Axes) -> None:
    blocks, timed = seeds[0].blocks, batches(seeds[0])
    left.set_title(f"{task}, {len(seeds)} seeds" if len(seeds) > 1 else task)
    left.set_xlabel(f"mean depth, blocks of {blocks}")
    left.set_ylabel(metrics.axis(seeds[0].quality))
    for number, name in enumerate(seeds[0].strategies):
        color = f"C{number}"
        full_S = [_height(r, r.strategies[name].full_quality) for r in seeds]
        for axes in (left, right):
            axes.axhline(float(np.mean(full_S)), color=color, ls=(0, (5, 4)), lw=1, alpha=0.9)
        _lines(left, [_by_depth(results, name) for results in seeds], color, "")
        if timed:
            _lines(right, [_by_time(results, name, timed[0]) for results in seeds], color, "o")
    right.set_xlabel(
        f"measured time at batch {timed[0]}, % of the full model's" if timed else "not timed"
    )


def _lines(axes: Axes, lines: Sequence[Line], color: str, mark: str) -> None:
    """Each seed, and their mean where there are several, point by point."""
    look = {"color": color, "marker": mark, "ms": 4}
    if len(lines) > 1:
        for line in lines:
            axes.plot(*line, color=color, lw=0.8, alpha=0.35)
    axes.plot(*np.mean(lines, axis=0), **look)


def _by_depth(results: Results, strategy: str) -> Line:
    """Every threshold, from the trace."""
    curve = results.strategies[strategy].curve
    return [p.mean_depth for p in curve], [_height(results, p.quality) for p in curve]


def _by_time(results: Results, strategy: str, batch: int) -> Line:
    """The settings that the config asks for, which were run and timed."""
    asked = results.config["evaluation"]["thresholds"]
    points = results.strategies[strategy].points
    one = [p for p in points if p.threshold in asked and p.threshold_E is None]
    timed = sorted(one, key=lambda p: p.threshold)
    time = [100 / (p.measured_speedup[batch] or np.nan) for p in timed]
    return time, [_height(results, p.quality) for p in timed]


def _height(results: Results, quality: float | None) -> float:
    return metrics.height(results.quality, quality)
