"""What a run found, in words."""

from collections.abc import Callable

from ee_jax.report import metrics, text
from ee_jax.report.select import (
    batches,
    chosen,
    difference,
    fastest,
    gains,
    has_policies,
    labels,
    shallowest,
)
from ee_jax.report.text import is_known
from ee_jax.results import Point, Results, StrategyResults

POINTS, RATIO = 0.01, 0.05  # what the headline gives up: of a share, of a perplexity


def headline(results: Results) -> str:
    """The largest measured speed-up near the best full model, or that there is none.

    Where nothing was timed, the least mean depth there.
    """
    quality = results.quality
    deep = [s for s in results.strategies.values() if s.static_blocks in (None, results.blocks)]
    full = [s.full_quality for s in deep if is_known(s.full_quality)]
    top = metrics.best(quality, full)
    if top is None:
        return f"The {metrics.name(quality)} of no full model is defined."
    tolerance = RATIO if metrics.of(quality).is_ratio else POINTS
    near = f"within {metrics.tolerance(quality, tolerance)} of the best full model's "
    near += metrics.said(quality, top)
    timed = batches(results)
    found = [_fastest(results, batch, top, tolerance) for batch in timed]
    if not timed:
        return _least_deep(results, near, top, tolerance)
    if not any(name for name, _ in found):
        return f"Nothing was gained: {near}, no setting ran faster than the full model."
    return f"{near[0].upper()}{near[1:]}, {text.join(_clauses(found))}."


def _best(
    results: Results,
    find: Callable[[StrategyResults], Point | None],
    rank: Callable[[Point], float],
) -> tuple[str | None, Point | None]:
    """The strategy whose point ranks first."""
    found = {name: find(strategy) for name, strategy in results.strategies.items()}
    known = [(rank(point), name, point) for name, point in found.items() if point is not None]
    _, name, point = max(known, key=lambda each: each[0], default=(0, None, None))
    return name, point


def _fastest(
    results: Results, batch: int, top: float, tolerance: float
) -> tuple[str | None, str]:
    """The fastest strategy at a batch size, and how fast it ran; none where nothing gained."""
    name, point = _best(
        results,
        lambda strategy: fastest(results, strategy, batch, top, tolerance),
        lambda point: point.measured_speedup[batch] or 0.0,
    )
    if point is None:
        return None, f"nothing was gained at batch {batch}"
    return name, f"{text.number(point.measured_speedup[batch])} times as fast at batch {batch}"


def _clauses(found: list[tuple[str | None, str]]) -> list[str]:
    """A clause a batch size; a strategy is named where it changes."""
    clauses, named = [], None
    for name, said in found:
        clauses.append(said if name in (None, named) else f"{name} ran {said}")
        named = name
    return clauses


def _least_deep(results: Results, near: str, top: float, tolerance: float) -> str:
    name, point = _best(
        results,
        lambda strategy: shallowest(results, strategy, top, tolerance),
        lambda point: -point.mean_depth,
    )
    if point is None:
        return f"Nothing was gained: {near}, nothing stopped early."
    depth = f"{text.number(point.mean_depth)} of {results.blocks} blocks"
    flops = text.number(point.flops_speedup)
    how = f"{_setting(results, point)}FLOPs speed-up {flops}; speed was not measured"
    return f"{near[0].upper()}{near[1:]}, {name} ran {depth} ({how})."


def _setting(results: Results, point: Point) -> str:
    if not has_policies(results):
        return ""
    return f"{point.confidence} above {text.threshold(point.threshold)}, {point.policy}; "


def findings(results: Results) -> list[str]:
    """A sentence for each threshold that calibration chose, as it did on the test split.

    Of several confidences and policies, the one of least depth, which the calibration split
    picks.
    """
    found = []
    for name, strategy in results.strategies.items():
        points = [point for label in labels(results) if (point := chosen(strategy, label))]
        once = [point for n, point in enumerate(points) if point not in points[:n]]
        once.sort(key=lambda point: point.threshold)
        found += [_finding(results, name, strategy, point) for point in once]
    return found


def _finding(results: Results, name: str, strategy: StrategyResults, point: Point) -> str:
    who = text.join(text.calibrations(point, strategy))
    if point.threshold >= 1:
        return f"{name}, {who}: no early exit could be calibrated, so the full model answers."
    threshold = text.thresholds(point.threshold, point.threshold_E)
    if has_policies(results):
        threshold = f"{threshold} of {point.confidence}, {point.policy}"
    depth = f"{text.number(point.mean_depth)} of {results.blocks}"
    speeds = [_speed(point, batch) for batch in batches(results)]
    return (
        f"{name}, {who} (threshold {threshold}): "
        f"{metrics.said(results.quality, point.quality)} on the test split, "
        f"{_against(results, point, strategy)}, "
        f"{_unlike(results, point)}, mean depth {depth}"
        f"{'; ' + text.join(speeds) if speeds else ''}."
    )


def _against(results: Results, point: Point, strategy: StrategyResults) -> str:
    shown = text.points(difference(results, point, strategy))
    unit = "%" if metrics.of(results.quality).is_ratio else "points"
    return f"{shown} {unit} against the full model" if shown != "0.0" else "as the full model"


def _unlike(results: Results, point: Point) -> str:
    share = text.percent(point.inconsistency)
    if results.data.get("classes") == []:  # of a regression
        return f"inconsistent by {share} %"
    return f"{share} % answered unlike it"


def _speed(point: Point, batch: int) -> str:
    value = point.measured_speedup.get(batch)
    if not is_known(value):
        return f"not timed at batch {batch}"
    if not gains(point, batch):
        return f"no gain at batch {batch} ({text.number(value)})"
    return f"{text.number(value)} times as fast at batch {batch}"
