"""The figure of quality against measured time: settings with exits, and models without."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from ee_jax.report import metrics
from ee_jax.report.figures import INK, PAPER, style
from ee_jax.report.select import batches, statics, with_exits
from ee_jax.results import Point, Results

Line = tuple[list[float], list[float]]  # x and heights
WIDTH = 4.2  # inches of a panel
# Of the models without exits, in every figure.
STATIC = {"color": INK, "marker": "s", "ms": 5, "lw": 1, "mfc": PAPER, "zorder": 3.0}
WITHOUT = "models without exits"


def quality_time(results: Results) -> Figure:
    """A panel a batch size: each strategy's settings, and the models without exits."""
    timed = batches(results)
    with style():
        figure = Figure(figsize=(0.6 + WIDTH * len(timed), 4.2))
        panels = figure.subplots(1, len(timed), squeeze=False, sharey=True).ravel()
        for axes, batch in zip(panels, timed, strict=True):
            _panel(axes, results, batch)
        panels[0].set_ylabel(metrics.axis(results.quality))
        keys = [
            Line2D([], [], color=f"C{number}", marker="o", ms=4, label=name)
            for number, name in enumerate(with_exits(results))
        ]
        figure.legend(handles=[*keys, static_key()], loc="outside lower center", ncols=4)
    return figure


def static_key() -> Line2D:
    """What a legend says of the models without exits."""
    return Line2D([], [], label=WITHOUT, **STATIC)


def _panel(axes: Axes, results: Results, batch: int) -> None:
    axes.set_title(f"batch {batch}")
    axes.set_xlabel("measured time, % of the full model's")
    for number, strategy in enumerate(with_exits(results).values()):
        points = sorted(strategy.points, key=lambda point: point.threshold)
        axes.plot(*by_time(results, points, batch), color=f"C{number}", marker="o", ms=4)
    axes.plot(*by_time(results, static_points(results), batch), **STATIC)


def static_points(results: Results) -> list[Point]:
    """The one of each model without exits, by rising depth."""
    return [strategy.points[0] for strategy in statics(results).values()]


def by_time(results: Results, points: Sequence[Point], batch: int) -> Line:
    """Measured time in percent of the full model's, and heights."""
    time = [100 / (p.measured_speedup.get(batch) or float("nan")) for p in points]
    return time, heights(results, (p.quality for p in points))


def heights(results: Results, qualities: Iterable[float | None]) -> list[float]:
    """Where qualities stand on their axis."""
    return [metrics.height(results.quality, quality) for quality in qualities]
