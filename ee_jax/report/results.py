"""Reading `results`, the content of a run's results.json: points, batches, what gained."""

import math
from collections.abc import Mapping
from typing import Any, TypeGuard

Results = Mapping[str, Any]
Strategy = Mapping[str, Any]
Point = Mapping[str, Any]
Choice = Mapping[str, Any]  # what a calibration chose: an entry of `calibrated`

MEASURED = "measured_speedup_b"


def measured(batch: int) -> str:
    """The key of the measured speed-up at a batch size."""
    return f"{MEASURED}{batch}"


def is_known(value: float | None) -> TypeGuard[float]:
    """False for what could not be computed: null in JSON, NaN in Python."""
    return value is not None and not math.isnan(value)


def batches(results: Results) -> list[int]:
    """The batch sizes that were timed, from the keys of the points."""
    points = [point for s in results["strategies"].values() for point in s["points"]]
    keys = {key for point in points for key in point if key.startswith(MEASURED)}
    return sorted(int(key.removeprefix(MEASURED)) for key in keys)


def sorted_points(strategy: Strategy) -> list[Point]:
    """Points by rising threshold."""
    return sorted(strategy["points"], key=lambda p: (p["threshold"], p["calibrated_for"]))


def labels(results: Results) -> list[str]:
    """The labels of all calibrations, as they first appear."""
    found = [c["label"] for s in results["strategies"].values() for c in s["calibrated"]]
    return list(dict.fromkeys(found))


def gains(point: Point, batch: int) -> bool:
    """True where two decimals show a speed-up; what never stops early gains nothing."""
    speedup = point.get(measured(batch))
    return stops_early(point) and speedup is not None and round(speedup, 2) > 1


def stops_early(point: Point) -> bool:
    """True where two decimals show that blocks were skipped."""
    return point["threshold"] < 1 and round(point["ideal_speedup"], 2) > 1


def best(strategy: Strategy, batch: int, full: float | None, tolerance: float) -> Point | None:
    """The fastest point at `batch` that loses at most `tolerance` of `full`, if one gains."""
    if not is_known(full):
        return None
    points = [p for p in strategy["points"] if is_known(p["quality"]) and gains(p, batch)]
    # 1e-9: 0.83 - 0.01 is not 0.82 in floating point.
    fit = [p for p in points if p["quality"] >= full - tolerance - 1e-9]
    return max(fit, key=lambda p: p[measured(batch)], default=None)


def chosen(strategy: Strategy, label: str) -> Point | None:
    """The point at the threshold that a calibration chose, by its label."""
    points = (point for point in strategy["points"] if label in point["calibrated_for"])
    return next(points, None)


def difference(point: Point, strategy: Strategy) -> float | None:
    """Points of quality that the setting is above its strategy's full model, where known."""
    here, full = point["quality"], strategy["full_quality"]
    if not (is_known(here) and is_known(full)):
        return None
    return round(100 * (here - full), 6)


def is_language(results: Results) -> bool:
    """True of a language model's run, False of an encoder's."""
    return results["task"] == "language_modeling"


def is_regression(results: Results) -> bool:
    """True where answers are numbers, not classes."""
    return not results["data"]["classes"]
