"""Runs side by side: one line a run and strategy."""

from collections.abc import Sequence
from typing import Any

from ee_jax.report import text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.results import Results, batches, best, difference, measured


def comparison(runs: Sequence[Results], tolerance: float = 0.01) -> Table:
    """Each strategy's full model, and its fastest point that loses at most `tolerance`."""
    timed = sorted({batch for results in runs for batch in batches(results)})
    rows = [
        _row(results, name, timed, tolerance)
        for results in runs
        for name in results["strategies"]
    ]
    return Table("Runs compared", _columns(timed), tuple(rows), _notes(runs, tolerance))


def _row(results: Results, name: str, timed: list[int], tolerance: float) -> Row:
    strategy = results["strategies"][name]
    row: dict[str, Any] = {
        "run": results["name"],
        "strategy": name,
        "full_accuracy": strategy["full_accuracy"],
        "blocks": results["model"]["blocks"],
    }
    for batch in timed:
        row |= _best(strategy, batch, strategy["full_accuracy"] - tolerance)
    data = results["data"]
    return row | {
        "config_hash": results["config_hash"],
        "data": data["name"],
        "data_version": data["version"],
    }


def _best(strategy: Results, batch: int, floor: float) -> Row:
    """The fastest point at a batch size, empty where nothing gains."""
    point = best(strategy, batch, floor) or {}
    was_timed = any(p.get(measured(batch)) is not None for p in strategy["points"])
    return {
        f"gains_b{batch}": bool(point) if was_timed else None,
        measured(batch): point.get(measured(batch)),
        f"threshold_b{batch}": point.get("threshold"),
        f"mean_depth_b{batch}": point.get("mean_depth"),
        f"difference_points_b{batch}": difference(point, strategy) if point else None,
    }


def _columns(timed: list[int]) -> tuple[Column, ...]:
    per_batch = [column for batch in timed for column in _batch_columns(batch)]
    return (
        Column("run", lambda r: r["run"], is_text=True),
        Column("strategy", lambda r: r["strategy"], is_text=True),
        Column("full model %", lambda r: text.percent(r["full_accuracy"])),
        *per_batch,
        Column("config", lambda r: r["config_hash"], is_text=True),
        Column("data", lambda r: r["data_version"], is_text=True),
    )


def _batch_columns(batch: int) -> tuple[Column, ...]:
    def speedup(row: Row) -> str:
        no_gain = row[f"gains_b{batch}"] is False
        return text.NO_GAIN if no_gain else text.number(row[measured(batch)])

    def depth(row: Row) -> str:
        value = row[f"mean_depth_b{batch}"]
        return text.DASH if value is None else f"{text.number(value)}/{row['blocks']}"

    return Column(f"best batch {batch}", speedup), Column("mean depth", depth)


def _notes(runs: Sequence[Results], tolerance: float) -> tuple[str, ...]:
    most = text.count_points(tolerance)
    notes = [
        f"Best: the largest measured speed-up on the test split that loses at most {most} "
        "against the strategy's own full model."
    ]
    if len(data := _distinct([_data(results) for results in runs])) > 1:
        notes.append(f"Not comparable, the data differ: {'; '.join(data)}.")
    if len(devices := _distinct([results["device"] for results in runs])) > 1:
        notes.append(f"Speed is not comparable, the devices differ: {'; '.join(devices)}.")
    return tuple(notes)


def _data(results: Results) -> str:
    data = results["data"]
    return f"{data['name']} {data['version']} (checksum {data['checksum']})"


def _distinct(values: list[str]) -> list[str]:
    return list(dict.fromkeys(values))
