"""The tables of a study's strategies side by side: full models, and calibrated exits.

The first strategy is the one that the others are tested against.
"""

from collections.abc import Sequence

from ee_jax.evaluation.statistics import Difference
from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.select import batches, chosen, difference, labels
from ee_jax.report.tables import measured
from ee_jax.reproduce.aggregate import against, areas, full_model, interval, mean, strategies
from ee_jax.reproduce.comparison import percent
from ee_jax.reproduce.swept import Finished, Swept

START = (
    Column("task", lambda row: row["task"], is_text=True),
    Column("strategy", lambda row: row["strategy"], is_text=True),
)
TESTED = (
    "Better than first: points of mean loss below the first strategy's on the same examples, "
    "and how often chance alone does as much (p, of a paired permutation test)."
)


def full_table(title: str, swept: Swept) -> Table:
    """Each task's and strategy's full model, over the seeds, and the area under its curve."""
    rows = [row for runs in _finished(swept) for row in _full_rows(runs)]
    notes = (
        "Means over the seeds, on the official dev sets. Interval: bootstrap, over the seeds; "
        "of a single one, over the test examples.",
        "Area: mean quality over the depths that all curves reach.",
        TESTED,
        *swept.said(),
    )
    columns = (
        *START,
        Column("metric", lambda row: metrics.short(row["metric"]), is_text=True),
        Column("seeds", lambda row: str(row["seeds"])),
        Column("full model", lambda row: text.number(row["quality"], 1)),
        Column("95 % interval", _interval),
        Column("better than first (p)", _test),
        Column("area", lambda row: text.number(row["area"], 1)),
    )
    return Table(title, columns, tuple(rows), notes)


def chosen_table(title: str, swept: Swept) -> Table:
    """What each calibration chose for each task and strategy, over the seeds."""
    runs = swept.finished
    timed = sorted({batch for run in runs for batch in batches(run.results)})
    rows = [row for each in _finished(swept) for row in _chosen_rows(each, timed)]
    columns = (
        *START,
        Column("calibration", lambda row: row["calibration"], is_text=True),
        Column("quality", lambda row: text.number(row["quality"], 1)),
        Column("against full model", lambda row: text.points(row["difference"])),
        Column("better than first (p)", _test),
        Column("mean depth", _depth),
        *(_measured_column(batch) for batch in timed),
    )
    notes = (
        "Means over the seeds, on the official dev sets, at thresholds that were chosen on the "
        "calibration split. Measured: times as fast as the full-depth program.",
        TESTED,
    )
    return Table(title, columns, tuple(rows), notes)


def _finished(swept: Swept) -> list[tuple[Finished, ...]]:
    """The runs of each task that has any."""
    return [runs for task in swept.tasks if (runs := swept.of(task).finished)]


def _full_rows(runs: Sequence[Finished]) -> list[Row]:
    reach, area = areas(runs)
    low, high = reach or (None, None)
    return [
        {
            "task": runs[0].task,
            "strategy": name,
            "metric": runs[0].results.quality,
            "seeds": len(runs),
            **_sure(runs, name),
            **_tested(_against_first(runs, name)),
            "area": percent(area.get(name)),
            "area_from": low,
            "area_to": high,
        }
        for name in strategies(runs)
    ]


def _sure(runs: Sequence[Finished], strategy: str) -> Row:
    full = full_model(runs, strategy)
    low, high = interval(runs, strategy, full) or (None, None)
    found = {"quality": full.quality, "low": low, "high": high}
    return {key: percent(value) for key, value in found.items()}


def _chosen_rows(runs: Sequence[Finished], timed: list[int]) -> list[Row]:
    known = dict.fromkeys(label for run in runs for label in labels(run.results))
    pairs = [(name, label) for name in strategies(runs) for label in known]
    return [row for pair in pairs if (row := _chosen_row(runs, *pair, timed))]


def _chosen_row(
    runs: Sequence[Finished], strategy: str, label: str, timed: list[int]
) -> Row | None:
    """None unless the calibration chose for every seed."""
    of_run = [run.results.strategies[strategy] for run in runs]
    points = [point for found in of_run if (point := chosen(found, label))]
    if len(points) < len(runs):
        return None
    results = runs[0].results
    lost = [difference(results, *pair) for pair in zip(points, of_run, strict=True)]
    return {
        "task": runs[0].task,
        "strategy": strategy,
        "calibration": label,
        "quality": percent(mean([point.quality for point in points])),
        "difference": mean(lost),
        **_tested(_against_first(runs, strategy, label)),
        "mean_depth": mean([point.mean_depth for point in points]),
        "blocks": results.blocks,
        **{
            measured(b): mean([point.measured_speedup.get(b) for point in points])
            for b in timed
        },
    }


def _against_first(
    runs: Sequence[Finished], strategy: str, label: str | None = None
) -> Difference | None:
    first, *_ = strategies(runs)
    return None if strategy == first else against(runs, first, strategy, label)


def _tested(test: Difference | None) -> Row:
    return {
        "better": percent(test.mean) if test else None,
        "p": test.p_value if test else None,
    }


def _interval(row: Row) -> str:
    if row["low"] is None:
        return text.DASH
    return f"{text.number(row['low'], 1)} to {text.number(row['high'], 1)}"


def _test(row: Row) -> str:
    if row["p"] is None:
        return text.DASH
    return f"{text.points(row['better'])} ({text.p_value(row['p'])})"


def _depth(row: Row) -> str:
    return f"{text.number(row['mean_depth'])}/{row['blocks']}"


def _measured_column(batch: int) -> Column:
    return Column(f"measured batch {batch}", lambda row: text.number(row[measured(batch)]))
