"""Which of a run's settings to show: what gains, what is best, what calibration chose."""

from collections.abc import Iterator

from ee_jax.report import metrics
from ee_jax.report.text import is_known
from ee_jax.results import Calibrated, Point, Results, StrategyResults


def batches(results: Results) -> list[int]:
    """The batch sizes that were timed."""
    points = [point for s in results.strategies.values() for point in s.points]
    return sorted({batch for point in points for batch in point.measured_speedup})


def with_exits(results: Results) -> dict[str, StrategyResults]:
    """The strategies whose models have exits."""
    return {n: s for n, s in results.strategies.items() if s.static_blocks is None}


def statics(results: Results) -> dict[str, StrategyResults]:
    """The models without exits, by rising depth."""
    found = [(s.static_blocks, n, s) for n, s in results.strategies.items() if s.static_blocks]
    return {name: strategy for _, name, strategy in sorted(found, key=lambda each: each[0])}


def single(results: Results) -> StrategyResults | None:
    """The full model without exits, which losses are quoted against; None: there is none."""
    full = (s for s in statics(results).values() if s.static_blocks == results.blocks)
    return next(full, None)


def has_policies(results: Results) -> bool:
    """Whether points differ in confidence and policy, as those of a language model do."""
    return any(p.policy is not None for s in results.strategies.values() for p in s.points)


def sorted_points(strategy: StrategyResults) -> list[Point]:
    """Points by rising threshold, each confidence and policy by itself."""
    order = list(dict.fromkeys((p.confidence, p.policy) for p in strategy.points))
    return sorted(
        strategy.points,
        key=lambda p: (order.index((p.confidence, p.policy)), p.threshold, p.calibrated_for),
    )


def labels(results: Results) -> list[str]:
    """The labels of all calibrations, as they first appear."""
    found = [choice.label for s in results.strategies.values() for choice in s.calibrated]
    return list(dict.fromkeys(found))


def gains(point: Point, batch: int) -> bool:
    """True where two decimals show a speed-up; what never stops early gains nothing."""
    speedup = point.measured_speedup.get(batch)
    return stops_early(point) and is_known(speedup) and round(speedup, 2) > 1


def stops_early(point: Point) -> bool:
    """True where two decimals show that blocks were skipped."""
    return point.threshold < 1 and round(point.ideal_speedup, 2) > 1


def near(
    results: Results, strategy: StrategyResults, full: float | None, tolerance: float
) -> Iterator[Point]:
    """The points that lose at most the tolerance of a quality, and stop early."""
    for point in strategy.points if is_known(full) else ():
        lost = metrics.lost(results.quality, point.quality, full)
        # 1e-9: 0.83 - 0.01 is not 0.82 in floating point.
        if stops_early(point) and lost is not None and lost <= tolerance + 1e-9:
            yield point


def fastest(
    results: Results,
    strategy: StrategyResults,
    batch: int,
    full: float | None,
    tolerance: float,
) -> Point | None:
    """The fastest point that loses at most `tolerance` of `full`, if any gains."""
    fit = [p for p in near(results, strategy, full, tolerance) if gains(p, batch)]
    return max(fit, key=lambda p: p.measured_speedup[batch] or 0.0, default=None)


def shallowest(
    results: Results, strategy: StrategyResults, full: float | None, tolerance: float
) -> Point | None:
    """The point of least mean depth that loses at most `tolerance` of `full`, if any stops."""
    fit = list(near(results, strategy, full, tolerance))
    return min(fit, key=lambda p: p.mean_depth, default=None)


def least_deep(strategy: StrategyResults, label: str) -> Calibrated | None:
    """What a calibration chose; of several confidences and policies, the least depth.

    The calibration split picks it.
    """
    own = [choice for choice in strategy.calibrated if choice.label == label]
    return min(own, key=lambda choice: choice.calibration_mean_depth, default=None)


def chosen(strategy: StrategyResults, label: str) -> Point | None:
    """The point at the threshold that a calibration chose, by its label."""
    choice = least_deep(strategy, label)
    if choice is None:
        return None
    of = (choice.confidence, choice.policy)
    points = (p for p in strategy.points if label in p.calibrated_for)
    return next((p for p in points if None in of or (p.confidence, p.policy) == of), None)


def difference(results: Results, point: Point, strategy: StrategyResults) -> float | None:
    """Points, or of a perplexity percent, that a setting is above its strategy's full model."""
    return metrics.difference(results.quality, point.quality, strategy.full_quality)


def against_single(results: Results, point: Point) -> float | None:
    """The same above the full model without exits; None where there is none."""
    found = single(results)
    return found and metrics.difference(results.quality, point.quality, found.full_quality)
