"""The figure of a language model's run: perplexity against mean depth."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from ee_jax.report.figures import INK, MUTED, style
from ee_jax.report.results import Point, Results, Strategy

DASHES = ("-", (0, (5, 3)), (0, (1, 2)), (0, (5, 2, 1, 2)))  # of the policies
PANEL = 3.6  # inches


def perplexity_depth(results: Results) -> Figure:
    """A panel a strategy: each confidence a colour, each policy a kind of line."""
    strategies = results["strategies"]
    points = [point for s in strategies.values() for point in s["points"]]
    colors = _numbered(point["confidence"] for point in points)
    dashes = _numbered(point["policy"] for point in points)
    with style():
        figure = Figure(figsize=(8, PANEL * len(strategies) + 0.8))
        panels = figure.subplots(len(strategies), 1, squeeze=False, sharex=True).ravel()
        for axes, (name, strategy) in zip(panels, strategies.items(), strict=True):
            axes.set_title(name)
            _draw(axes, strategy, colors, dashes)
            _label(axes, results["model"]["blocks"])
        panels[-1].set_xlabel(f"mean depth, blocks of {results['model']['blocks']}")
        keys = _keys(colors, dashes)
        figure.legend(handles=keys, loc="outside lower center", ncols=4)
    return figure


def _numbered(names: Iterable[str]) -> dict[str, int]:
    return {name: number for number, name in enumerate(dict.fromkeys(names))}


def _draw(
    axes: Axes, strategy: Strategy, colors: dict[str, int], dashes: dict[str, int]
) -> None:
    alone = strategy["exits"]
    axes.plot(*_columns(alone, "depth"), "o", ms=5, color=MUTED, zorder=1)
    axes.axhline(strategy["full_perplexity"], color=MUTED, lw=1, zorder=1)
    for confidence, color in colors.items():
        for policy, dash in dashes.items():
            found = [
                point for point in strategy["points"]
                if (point["confidence"], point["policy"]) == (confidence, policy)
            ]  # fmt: skip
            found.sort(key=lambda point: point["mean_depth"])
            line = {"color": f"C{color % 6}", "ls": DASHES[dash % len(DASHES)], "marker": "."}
            axes.plot(*_columns(found, "mean_depth"), **line)


def _columns(points: Sequence[Point], depth: str) -> tuple[list[float], list[float]]:
    return [point[depth] for point in points], [point["perplexity"] for point in points]


def _label(axes: Axes, blocks: int) -> None:
    axes.set_ylabel("perplexity")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    margin = max(0.15, 0.03 * blocks)
    axes.set_xlim(1 - margin, blocks + margin)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, integer=True, min_n_ticks=1))


def _keys(colors: dict[str, int], dashes: dict[str, int]) -> list[Line2D]:
    return [
        *(Line2D([], [], color=f"C{n % 6}", label=name) for name, n in colors.items()),
        *(
            Line2D([], [], color=INK, ls=DASHES[n % len(DASHES)], label=name)
            for name, n in dashes.items()
        ),
        Line2D([], [], color=MUTED, ls="", marker="o", ms=5, label="all tokens at one exit"),
        Line2D([], [], color=MUTED, lw=1, label="full model"),
    ]
