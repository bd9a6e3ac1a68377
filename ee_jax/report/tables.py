"""The tables of one run: what each setting gives, each exit, each calibration."""

from typing import Any

from ee_jax.report import metrics, text
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
    """Strategy and threshold against quality, depth and speed-ups."""
    timed = batches(results)
    rows = [
        _speed_row(name, strategy, point, timed)
        for name, strategy in results["strategies"].items()
        for point in sorted_points(strategy)
    ]
    quality = metrics.name(results["quality"])
    title = f"{results['name']}: {quality}, depth and speed on the test split"
    return Table(title, _speed_columns(results, timed), tuple(rows), (_speed_note(results),))


def _speed_row(name: str, strategy: Strategy, point: Point, timed: list[int]) -> Row:
    setting = ("threshold", "threshold_E", "calibrated_for")
    found = ("inconsistency", "mean_depth", "ideal_speedup", "flops_speedup")
    row: dict[str, Any] = {"strategy": name} | {key: point[key] for key in setting}
    row |= point["metrics"] | {key: point[key] for key in found}
    row |= {"difference_points": difference(point, strategy)}
    return row | {measured(batch): point.get(measured(batch)) for batch in timed}


def _speed_columns(results: Results, timed: list[int]) -> tuple[Column, ...]:
    return (
        STRATEGY,
        Column("threshold", text.setting, is_text=True),
        *(_metric_column(metric) for metric in results["metrics"]),
        Column("against full model", lambda r: text.points(r["difference_points"])),
        Column("mean depth", lambda r: text.number(r["mean_depth"])),
        Column("ideal speed-up", lambda r: text.number(r["ideal_speedup"])),
        Column("FLOPs speed-up", lambda r: text.number(r["flops_speedup"])),
        *(measured_column(batch) for batch in timed),
    )


def _metric_column(metric: str) -> Column:
    return Column(metrics.heading(metric), lambda row: text.percent(row[metric]))


def measured_column(batch: int) -> Column:
    """The measured speed-up at a batch size."""
    return Column(f"measured batch {batch}", lambda row: text.speedup(row, batch))


def _speed_note(results: Results) -> str:
    of = f" of {metrics.name(results['quality'])}" if len(results["metrics"]) > 1 else ""
    return (
        f"Against full model: points{of} of difference to the strategy's own. "
        f"Ideal speed-up: blocks ({results['model']['blocks']}) / mean depth. "
        "Measured: wall clock of the full-depth program / of the early-exit program. "
        f"{text.NO_GAIN.capitalize()}: the setting is not faster than the full model."
    )


def exit_table(results: Results) -> Table:
    """What each exit alone can do, and how far its confidence can be trusted."""
    quality, keys = results["quality"], ("ece", "auroc", "temperature")
    rows = [
        {"strategy": name, "depth": entry["depth"], quality: entry["quality"]}
        | {key: entry[key] for key in keys}
        for name, strategy in results["strategies"].items()
        for entry in strategy["exits"]
    ]
    columns = (
        STRATEGY,
        Column("exit after block", lambda r: str(r["depth"])),
        _metric_column(quality),
        Column("ECE", lambda r: text.number(r["ece"], 3)),
        Column("AUROC", lambda r: text.number(r["auroc"], 3)),
        Column("temperature", lambda r: text.number(r["temperature"])),
    )
    return Table(f"{results['name']}: each exit alone", columns, tuple(rows))
