"""Encoders' runs side by side: quality, depth and the measured speed-up at each batch size."""

from collections.abc import Callable, Sequence
from typing import Any

from ee_jax.report import metrics, text
from ee_jax.report.comparable import notes
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.results import (
    Point,
    Results,
    Strategy,
    batches,
    best,
    chosen,
    difference,
    gains,
    measured,
)

BEST = "best"
Pick = Callable[[Strategy, int], Point | None]


def encoder_comparison(
    runs: Sequence[Results], tolerance: float, calibration: str | None
) -> Table:
    """Each strategy's full model, and one of its points at each batch size.

    The fastest point that loses at most `tolerance` on the test split; or the one that
    `calibration` chose without it, a label such as "ltt 2 %".
    """
    timed = sorted({batch for results in runs for batch in batches(results)})
    pick = _fastest(tolerance) if calibration is None else _chosen(calibration)
    rows = [
        _row(results, name, timed, pick) for results in runs for name in results["strategies"]
    ]
    said = _said(tolerance, calibration)
    head = BEST if calibration is None else calibration
    return Table("Runs compared", _columns(timed, head), tuple(rows), (said, *notes(runs)))


def _fastest(tolerance: float) -> Pick:
    return lambda strategy, batch: best(strategy, batch, strategy["full_quality"], tolerance)


def _chosen(calibration: str) -> Pick:
    return lambda strategy, _: chosen(strategy, calibration)


def _row(results: Results, name: str, timed: list[int], pick: Pick) -> Row:
    strategy = results["strategies"][name]
    row: dict[str, Any] = {
        "run": results["name"],
        "strategy": name,
        "quality": results["quality"],
        "full_quality": strategy["full_quality"],
        "blocks": results["model"]["blocks"],
    }
    for batch in timed:
        row |= _at(strategy, batch, pick(strategy, batch))
    data = results["data"]
    return row | {
        "config_hash": results["config_hash"],
        "data": data["name"],
        "data_version": data["version"],
    }


def _at(strategy: Strategy, batch: int, picked: Point | None) -> Row:
    """The picked point at a batch size, empty where there is none."""
    point = picked or {}
    return {
        f"gains_b{batch}": _gains(strategy, batch, picked),
        measured(batch): point.get(measured(batch)),
        f"threshold_b{batch}": point.get("threshold"),
        f"mean_depth_b{batch}": point.get("mean_depth"),
        f"difference_points_b{batch}": difference(point, strategy) if point else None,
    }


def _gains(strategy: Strategy, batch: int, picked: Point | None) -> bool | None:
    """None where no point was timed, or none is the one to show."""
    if picked is not None:
        return gains(picked, batch)
    was_timed = any(p.get(measured(batch)) is not None for p in strategy["points"])
    return False if was_timed else None


def _columns(timed: list[int], head: str) -> tuple[Column, ...]:
    per_batch = [column for batch in timed for column in _batch_columns(batch, head)]
    return (
        Column("run", lambda r: r["run"], is_text=True),
        Column("strategy", lambda r: r["strategy"], is_text=True),
        Column("quality", lambda r: metrics.heading(r["quality"]), is_text=True),
        Column("full model", lambda r: text.percent(r["full_quality"])),
        *per_batch,
        Column("config", lambda r: r["config_hash"], is_text=True),
        Column("data", lambda r: r["data_version"], is_text=True),
    )


def _batch_columns(batch: int, head: str) -> tuple[Column, ...]:
    def speedup(row: Row) -> str:
        picked = head == BEST or row[f"threshold_b{batch}"] is not None
        no_gain = picked and row[f"gains_b{batch}"] is False
        return text.NO_GAIN if no_gain else text.number(row[measured(batch)])

    def depth(row: Row) -> str:
        value = row[f"mean_depth_b{batch}"]
        return text.DASH if value is None else f"{text.number(value)}/{row['blocks']}"

    return Column(f"{head} batch {batch}", speedup), Column("mean depth", depth)


def _said(tolerance: float, calibration: str | None) -> str:
    if calibration is not None:
        return (
            f"{calibration}: the threshold that it chose on the calibration split, measured on "
            "the test split."
        )
    most = text.count_points(tolerance)
    return (
        f"Best: the largest measured speed-up on the test split that loses at most {most} "
        "against the strategy's own full model."
    )
