"""Early exit against models without exits of equal measured time: a table, and a sentence."""

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.select import with_exits
from ee_jax.report.tables import STRATEGY
from ee_jax.results import AgainstStatic, Results

HOW = (
    "Measured time: over that of the full model without exits. Static: the quality on the "
    "straight line between the two models without exits next to that time, as of examples that "
    "go to one of the two by lot.",
    "Interval: 95 %, percentiles of a bootstrap over the test examples, which are the same for "
    "all models; times are taken as measured.",
)


def static_table(results: Results) -> Table:
    """A row for each setting whose time lies between those of models without exits."""
    rows = [row for found in results.against_static for row in _rows(found)]
    quality = metrics.heading(results.quality)
    columns = (
        STRATEGY,
        Column("batch", lambda r: str(r["batch"])),
        Column("threshold", lambda r: text.threshold(r["threshold"]), is_text=True),
        Column("measured time %", lambda r: text.percent(r["time"])),
        Column(quality, lambda r: metrics.cell(results.quality, r["quality"])),
        Column("static", lambda r: metrics.cell(results.quality, r["static_quality"])),
        Column("difference", lambda r: text.points(100 * r["difference"])),
        Column("95 % interval", lambda r: text.interval(r["low"], r["high"])),
    )
    title = f"{results.name}: early exit against models without exits, at equal measured time"
    return Table(title, columns, tuple(rows), (*against_static(results), *HOW))


def _rows(found: AgainstStatic) -> list[Row]:
    columns = ("threshold", "time", "quality", "static_quality", "low", "high")
    each = zip(*(getattr(found, name) for name in columns), strict=True)
    rows = [dict(zip(columns, values, strict=True)) for values in each]
    return [
        {"strategy": found.strategy, "batch": found.batch}
        | row
        | {"difference": row["quality"] - row["static_quality"]}
        for row in rows
    ]


def against_static(results: Results) -> list[str]:
    """A sentence for each strategy with exits, where there are models without."""
    return [
        _sentence(results, name)
        for name in with_exits(results)
        if any(s.static_blocks is not None for s in results.strategies.values())
    ]


def _sentence(results: Results, name: str) -> str:
    found = [each for each in results.against_static if each.strategy == name]
    if not found:
        return (
            f"{name}: no setting's measured time lies between those of models without exits, "
            "so none can be put beside them."
        )
    clauses = [_clause(results, each) for each in found]
    return f"{name}, at equal measured time: early exit {text.join(clauses)}."


def _clause(results: Results, found: AgainstStatic) -> str:
    mean = text.points(100 * found.mean)
    settings = len(found.threshold)
    of = f"mean of {settings} settings" if settings > 1 else "one setting"
    return (
        f"{verdict(found.mean_low, found.mean_high)} the static model at batch {found.batch} "
        f"({mean} points of {metrics.name(results.quality)}, 95 % interval "
        f"{text.interval(found.mean_low, found.mean_high)}, {of})"
    )


def verdict(low: float, high: float) -> str:
    """What the interval of a difference says of the first against the second."""
    if low > 0:
        return "beats"
    return "loses to" if high < 0 else "cannot be told from"
