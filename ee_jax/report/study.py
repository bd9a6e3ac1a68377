"""The figure and the page of a study."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ee_jax.report import metrics
from ee_jax.report.figures import INK, style
from ee_jax.report.quality_time import (
    STATIC,
    Line,
    by_time,
    heights,
    static_key,
    static_points,
)
from ee_jax.report.render import Table
from ee_jax.report.report import inline, template
from ee_jax.report.select import batches, statics, with_exits
from ee_jax.results import Results


def study_figure(tasks: Mapping[str, Sequence[Results]]) -> Figure:
    """A row a task: the mean over its seeds, strong, and each seed behind it.

    `tasks` holds the results of each seed, all with the same strategies and thresholds.
    """
    with style():
        figure = Figure(figsize=(8, 0.8 + 3.3 * len(tasks)))
        grid = figure.subplots(len(tasks), 2, sharey="row", squeeze=False)
        for (task, seeds), (left, right) in zip(tasks.items(), grid, strict=True):
            _draw(task, seeds, left, right)
        names = list(dict.fromkeys(n for s in tasks.values() for n in with_exits(s[0])))
        handles = [
            Line2D([], [], color=f"C{i}", marker="o", ms=4, label=n)
            for i, n in enumerate(names)
        ]
        full = Line2D([], [], color=INK, ls=(0, (5, 4)), lw=1, label="full model")
        keys = [static_key()] if any(statics(s[0]) for s in tasks.values()) else []
        figure.legend(handles=[*handles, full, *keys], loc="outside lower center", ncols=4)
    return figure


def _draw(task: str, seeds: Sequence[Results], left: Axes, right: Axes) -> None:
    blocks, timed = seeds[0].blocks, batches(seeds[0])
    left.set_title(f"{task}, {len(seeds)} seeds" if len(seeds) > 1 else task)
    left.set_xlabel(f"mean depth, blocks of {blocks}")
    left.set_ylabel(metrics.axis(seeds[0].quality))
    for number, name in enumerate(with_exits(seeds[0])):
        color = f"C{number}"
        full_S = [_height(r, r.strategies[name].full_quality) for r in seeds]
        for axes in (left, right):
            axes.axhline(float(np.mean(full_S)), color=color, ls=(0, (5, 4)), lw=1, alpha=0.9)
        _lines(left, [_by_depth(results, name) for results in seeds], color, "")
        if timed:
            _lines(right, [_by_time(results, name, timed[0]) for results in seeds], color, "o")
    if statics(seeds[0]):
        _statics(seeds, left, right, timed)
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
    return by_time(results, sorted(one, key=lambda p: p.threshold), batch)


def _statics(seeds: Sequence[Results], left: Axes, right: Axes, timed: list[int]) -> None:
    """The models without exits, as means over the seeds."""
    of_seeds = [(results, static_points(results)) for results in seeds]
    depth = [([p.mean_depth for p in found], heights(results, (p.quality for p in found)))
             for results, found in of_seeds]  # fmt: skip
    left.plot(*np.mean(depth, axis=0), **STATIC)
    if timed:
        time = [by_time(results, found, timed[0]) for results, found in of_seeds]
        right.plot(*np.mean(time, axis=0), **STATIC)


def _height(results: Results, quality: float | None) -> float:
    return metrics.height(results.quality, quality)


def study_page(
    title: str,
    headline: str,
    tables: Mapping[str, Table],
    figure: Figure | None,
    facts: Mapping[str, str],
) -> str:
    """The HTML text: finding, figure, tables under their headings, what was run."""
    return template("study").render(
        title=title,
        headline=headline,
        tables=tables,
        figure=figure and inline(figure, "study"),
        facts=facts,
    )
