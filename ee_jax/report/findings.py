"""What a run found, in words."""

from ee_jax.report import metrics, text
from ee_jax.report.results import (
    Point,
    Results,
    Strategy,
    batches,
    best,
    difference,
    gains,
    is_known,
    is_regression,
    measured,
    sorted_points,
)


def headline(results: Results, tolerance: float = 0.01) -> str:
    """The largest measured speed-up near the best full model, or that there is none."""
    timed = batches(results)
    if not timed:
        return "Speed was not measured in this run."
    quality = results["quality"]
    full = [strategy["full_quality"] for strategy in results["strategies"].values()]
    top = max(filter(is_known, full), default=None)
    if top is None:
        return f"The {metrics.name(quality)} of no full model is defined."
    found = {batch: _fastest(results, batch, top, tolerance) for batch in timed}
    near = (
        f"within {text.count_points(tolerance)} of the best full model's "
        f"{metrics.said(quality, top)}"
    )
    if not any(found.values()):
        return f"Nothing was gained: {near}, no setting ran faster than the full model."
    clauses = _clauses(found)
    return f"{near[0].upper()}{near[1:]}, {_join(clauses)}."


def _fastest(
    results: Results, batch: int, full: float, tolerance: float
) -> tuple[str, float] | None:
    """The strategy with the largest speed-up at a batch size, and that speed-up."""
    strategies = results["strategies"]
    found = {name: best(s, batch, full, tolerance) for name, s in strategies.items()}
    speedups = {name: p[measured(batch)] for name, p in found.items() if p is not None}
    return max(speedups.items(), key=lambda item: item[1], default=None)


def _clauses(found: dict[int, tuple[str, float] | None]) -> list[str]:
    """A clause a batch size; a strategy is named where it changes."""
    clauses, named = [], None
    for batch, fastest in found.items():
        name, speedup = fastest or (None, 0.0)
        who = "" if name == named else f"{name} ran "
        faster = f"{who}{text.number(speedup)} times as fast at batch {batch}"
        clauses.append(faster if name else f"nothing was gained at batch {batch}")
        named = name
    return clauses


def _join(clauses: list[str]) -> str:
    return " and ".join([", ".join(clauses[:-1]), clauses[-1]] if clauses[1:] else clauses)


def findings(results: Results) -> list[str]:
    """A sentence for each threshold that calibration chose, as it did on the test split."""
    return [
        _calibrated(results, name, strategy, point)
        for name, strategy in results["strategies"].items()
        for point in sorted_points(strategy)
        if point["calibrated_for"]
    ]


def _calibrated(results: Results, name: str, strategy: Strategy, point: Point) -> str:
    who = _join(text.calibrations(point["calibrated_for"]))
    if point["threshold"] >= 1:
        return f"{name}, {who}: no early exit could be calibrated, so the full model answers."
    depth = f"{text.number(point['mean_depth'])} of {results['model']['blocks']}"
    speeds = [_speed(point, batch) for batch in batches(results)]
    return (
        f"{name}, {who} (threshold {text.thresholds(point)}): "
        f"{metrics.said(results['quality'], point['quality'])} on the test split, "
        f"{_against(difference(point, strategy))}, "
        f"{_unlike(results, point)}, mean depth {depth}"
        f"{'; ' + _join(speeds) if speeds else ''}."
    )


def _against(points: float | None) -> str:
    shown = text.points(points)
    return f"{shown} points against the full model" if shown != "0.0" else "as the full model"


def _unlike(results: Results, point: Point) -> str:
    share = text.percent(point["inconsistency"])
    if is_regression(results):
        return f"inconsistent by {share} %"
    return f"{share} % answered unlike it"


def _speed(point: Point, batch: int) -> str:
    value = point.get(measured(batch))
    if value is None or not is_known(value):
        return f"not timed at batch {batch}"
    if not gains(point, batch):
        return f"no gain at batch {batch} ({text.number(value)})"
    return f"{text.number(value)} times as fast at batch {batch}"
