"""The table of a study's strategies side by side."""

from collections.abc import Sequence
from typing import Any

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.results import batches, difference, labels, measured
from ee_jax.studies.beside import percent
from ee_jax.studies.contest import against, areas, chosen, strategies
from ee_jax.studies.ours import interval, mean
from ee_jax.studies.outcome import Finished, Swept

Part = dict[str, Any]  # of a row


def side_by_side(title: str, swept: Swept) -> Table:
    """A row for each task and strategy, over the seeds.

    Its full model, what the first calibration chose, the area under its curve; and the others
    tested against the first strategy.
    """
    runs = swept.finished
    label = next((label for run in runs for label in labels(run.results)), None)
    timed = sorted({batch for run in runs for batch in batches(run.results)})
    finished = [swept.of(task).finished for task in swept.tasks]
    rows = [row for each in finished if each for row in _rows(each, label, timed)]
    notes = (*_notes(label), *swept.said())
    return Table(title, _columns(label, timed), tuple(rows), notes)


def _rows(runs: Sequence[Finished], label: str | None, timed: list[int]) -> list[Part]:
    (low, high), area = areas(runs)
    first, *_ = strategies(runs)
    return [
        {"task": runs[0].task, "strategy": name, "metric": runs[0].results["quality"]}
        | _full(runs, name)
        | {"area": percent(area[name]), "area_from": low, "area_to": high}
        | _chosen(runs, name, label, timed)
        | _tests(runs, name, first, label)
        for name in area
    ]


def _full(runs: Sequence[Finished], strategy: str) -> Part:
    quality_S = [run.results["strategies"][strategy]["full_quality"] for run in runs]
    low, high = interval(runs, quality_S, strategy, 1.0) or (None, None)
    found = {"full": mean(quality_S), "full_low": low, "full_high": high}
    return {"seeds": len(runs)} | {key: percent(value) for key, value in found.items()}


def _chosen(
    runs: Sequence[Finished], strategy: str, label: str | None, timed: list[int]
) -> Part:
    """What a calibration chose, as means over the seeds; empty unless it chose for each."""
    points = [point for run in runs if (point := chosen(run, strategy, label))]
    ours = [run.results["strategies"][strategy] for run in runs]
    whole = points if len(points) == len(runs) else []
    lost = [difference(point, one) for point, one in zip(whole, ours, strict=False)]
    return {
        "chosen": percent(mean([point["quality"] for point in whole])),
        "chosen_difference": mean(lost),
        "chosen_depth": mean([point["mean_depth"] for point in whole]),
        "blocks": runs[0].results["model"]["blocks"],
    } | {measured(b): mean([point.get(measured(b)) for point in whole]) for b in timed}


def _tests(runs: Sequence[Finished], strategy: str, first: str, label: str | None) -> Part:
    """How much less the strategy loses than the first one, and its p-value."""
    other = strategy != first
    found = {
        "full": against(runs, first, strategy) if other else None,
        "chosen": against(runs, first, strategy, label) if other and label else None,
    }
    return {
        f"{key}_{name}": value
        for key, test in found.items()
        for name, value in (
            ("better", percent(test.mean) if test else None),
            ("p", test.p_value if test else None),
        )
    }


def _columns(label: str | None, timed: list[int]) -> tuple[Column, ...]:
    return (
        Column("task", lambda row: row["task"], is_text=True),
        Column("strategy", lambda row: row["strategy"], is_text=True),
        Column("metric", lambda row: metrics.short(row["metric"]), is_text=True),
        Column("seeds", lambda row: str(row["seeds"])),
        Column("full model", lambda row: text.number(row["full"], 1)),
        Column("95 % interval", _interval),
        Column("better than first (p)", lambda row: _test(row, "full")),
        Column("area", lambda row: text.number(row["area"], 1)),
        *(_chosen_columns(label, timed) if label else ()),
    )


def _chosen_columns(label: str, timed: list[int]) -> tuple[Column, ...]:
    return (
        Column(label, lambda row: text.number(row["chosen"], 1)),
        Column("against full model", lambda row: text.points(row["chosen_difference"])),
        Column("better than first (p)", lambda row: _test(row, "chosen")),
        Column("mean depth", _depth),
        *(_measured_column(batch) for batch in timed),
    )


def _measured_column(batch: int) -> Column:
    return Column(f"measured batch {batch}", lambda row: text.number(row[measured(batch)]))


def _interval(row: Row) -> str:
    if row["full_low"] is None:
        return text.DASH
    return f"{text.number(row['full_low'], 1)} to {text.number(row['full_high'], 1)}"


def _depth(row: Row) -> str:
    depth = row["chosen_depth"]
    return text.DASH if depth is None else f"{text.number(depth)}/{row['blocks']}"


def _test(row: Row, key: str) -> str:
    better, p = row[f"{key}_better"], row[f"{key}_p"]
    if p is None:
        return text.DASH
    shown = f"{text.number(p, 3)}" if p >= 0.001 else "under 0.001"
    return f"{text.points(better)} ({shown})"


def _notes(label: str | None) -> list[str]:
    notes = [
        "Means over the seeds, on the official dev sets. Interval: bootstrap, over the seeds; "
        "of a single one, over the test examples. Area: mean quality over the depths that all "
        "curves reach.",
        "Better than first: points of mean loss below the first strategy's on the same "
        "examples, and how often chance alone does as much (p, of a paired permutation test).",
    ]
    chose = f"{label}: at the threshold that it chose on the calibration split."
    return notes + [chose] * bool(label)
