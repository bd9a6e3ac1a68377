"""The tables of one run: what each setting gives, each exit, each calibration."""

from typing import Any

from ee_jax.report import text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.results import (
    Point,
    Results,
    Strategy,
    batches,
    difference,
    measured,
    sorted_points,
)

STRATEGY = Column("strategy", lambda row: row["strategy"], is_text=True)


def speed_table(results: Results) -> Table:
    """Strategy and threshold against accuracy, depth and speed-ups."""
    timed = batches(results)
    rows = [
        _speed_row(name, strategy, point, timed)
        for name, strategy in results["strategies"].items()
        for point in sorted_points(strategy)
    ]
    title = f"{results['name']}: accuracy, depth and speed on the test split"
    return Table(title, _speed_columns(results, timed), tuple(rows), (_speed_note(results),))


def _speed_row(name: str, strategy: Strategy, point: Point, timed: list[int]) -> Row:
    keys = (
        "threshold", "threshold_E", "calibrated_for", "accuracy", "inconsistency", "mean_depth",
        "ideal_speedup", "flops_speedup",
    )  # fmt: skip
    row: dict[str, Any] = {"strategy": name} | {key: point[key] for key in keys}
    row |= {"difference_points": difference(point, strategy)}
    return row | {measured(batch): point.get(measured(batch)) for batch in timed}


def _speed_columns(results: Results, timed: list[int]) -> tuple[Column, ...]:
    return (
        STRATEGY,
        Column("threshold", text.setting, is_text=True),
        Column(f"{results['quality']} %", lambda r: text.percent(r["accuracy"])),
        Column("against full model", lambda r: text.points(r["difference_points"])),
        Column("mean depth", lambda r: text.number(r["mean_depth"])),
        Column("ideal speed-up", lambda r: text.number(r["ideal_speedup"])),
        Column("FLOPs speed-up", lambda r: text.number(r["flops_speedup"])),
        *(_measured_column(batch) for batch in timed),
    )


def _measured_column(batch: int) -> Column:
    return Column(f"measured batch {batch}", lambda row: text.speedup(row, batch))


def _speed_note(results: Results) -> str:
    return (
        "Against full model: points of difference to the strategy's own. "
        f"Ideal speed-up: blocks ({results['model']['blocks']}) / mean depth. "
        "Measured: wall clock of the full-depth program / of the early-exit program. "
        f"{text.NO_GAIN.capitalize()}: the setting is not faster than the full model."
    )


def exit_table(results: Results) -> Table:
    """What each exit alone can do, and how far its confidence can be trusted."""
    keys = ("depth", "accuracy", "ece", "auroc", "temperature")
    rows = [
        {"strategy": name} | {key: entry[key] for key in keys}
        for name, strategy in results["strategies"].items()
        for entry in strategy["exits"]
    ]
    columns = (
        STRATEGY,
        Column("exit after block", lambda r: str(r["depth"])),
        Column(f"{results['quality']} %", lambda r: text.percent(r["accuracy"])),
        Column("ECE", lambda r: text.number(r["ece"], 3)),
        Column("AUROC", lambda r: text.number(r["auroc"], 3)),
        Column("temperature", lambda r: text.number(r["temperature"])),
    )
    return Table(f"{results['name']}: each exit alone", columns, tuple(rows))
