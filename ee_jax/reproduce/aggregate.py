"""Our numbers of one task and strategy: each setting, over the seeds that were run.

Strategies of one task against each other, over the seeds of a sweep.

Every run is of all strategies on the same examples, so strategies are tested in pairs: an
example's loss, as a mean over the seeds, against its loss by the other strategy.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.choice import outcomes, predictions
from ee_jax.evaluation.metrics import METRICS
from ee_jax.evaluation.statistics import (
    Difference,
    Interval,
    area_under_curve,
    bootstrap_interval,
    paired_permutation_test,
    seed_interval,
)
from ee_jax.report.select import chosen, statics, with_exits
from ee_jax.report.text import is_known
from ee_jax.reproduce.swept import Finished
from ee_jax.results import Point, Results

# What a paper's table counts as saved, and the speed-up that counts the same here.
SPEEDUPS: dict[str, Callable[[Point], float | None]] = {
    "wall clock": lambda point: point.measured_speedup.get(1),
    "layers": lambda point: point.ideal_speedup,
    "FLOPs": lambda point: point.flops_speedup,
    "not stated": lambda point: point.measured_speedup.get(1),
}


class Setting(NamedTuple):
    """A threshold over the seeds, as means; None for what a run could not compute."""

    threshold: float
    quality_S: tuple[float | None, ...]
    difference: float | None  # from the `reference`
    saved: float | None  # share of the full model's cost

    @property
    def quality(self) -> float | None:
        """Over the seeds."""
        return mean(self.quality_S)


def settings(
    runs: Sequence[Finished], strategy: str, metric: str | None = None, saving: str = "layers"
) -> list[Setting]:
    """The settings that each of the runs of a task measured, the full model first.

    `metric` None is the task's main one.
    """
    points = [_points(run.results, strategy) for run in runs]
    shared = set.intersection(*map(set, points)) if points else set()
    return [
        _setting(runs, [each[t] for each in points], strategy, metric, SPEEDUPS[saving])
        for t in sorted(shared, reverse=True)
    ]


def _points(results: Results, strategy: str) -> dict[float, Point]:
    """By threshold, those that the config asks for: calibration's differ from seed to seed."""
    asked = results.config["evaluation"]["thresholds"]
    points = results.strategies[strategy].points
    one = [point for point in points if point.threshold_E is None]
    return {point.threshold: point for point in one if point.threshold in asked}


def _setting(
    runs: Sequence[Finished],
    points: Sequence[Point],
    strategy: str,
    metric: str | None,
    speedup: Callable[[Point], float | None],
) -> Setting:
    quality_S = tuple(_quality(point, metric) for point in points)
    full_S = [_full(run.results, reference(run.results, strategy), metric) for run in runs]
    speedup_S = [speedup(point) for point in points]
    saved_S = [None if value is None else 1 - 1 / value for value in speedup_S]
    threshold, full, quality = points[0].threshold, mean(full_S), mean(quality_S)
    difference = None if full is None or quality is None else quality - full
    return Setting(threshold, quality_S, difference, mean(saved_S))


def reference(results: Results, strategy: str) -> str:
    """Whose full quality a difference is from: the model without exits, as papers quote it.

    Where a run has none, the strategy's own full model.
    """
    full = (n for n, s in statics(results).items() if s.static_blocks == results.blocks)
    return next(full, strategy)


def full_model(runs: Sequence[Finished], strategy: str) -> Setting:
    """The full model as a setting, judged by the task's main metric."""
    full_S = tuple(run.results.strategies[strategy].full_quality for run in runs)
    return Setting(1.0, full_S, 0.0, 0.0)


def _quality(point: Point, metric: str | None) -> float | None:
    return point.quality if metric is None else point.metrics.get(metric)


def _full(results: Results, strategy: str, metric: str | None) -> float | None:
    """The full model's: the point at threshold 1 has all metrics."""
    if metric in (None, results.quality):
        return results.strategies[strategy].full_quality
    full = _points(results, strategy).get(1.0)
    return None if full is None else _quality(full, metric)


def mean(value_S: Sequence[float | None]) -> float | None:
    """The mean; None where any is unknown."""
    known = [value for value in value_S if is_known(value)]
    return float(np.mean(known)) if known and len(known) == len(value_S) else None


def interval(
    runs: Sequence[Finished], strategy: str, setting: Setting, metric: str | None = None
) -> Interval | None:
    """The bootstrap interval of a setting's quality, over the seeds.

    Of a single seed it is over the examples of its test trace. None where a quality is unknown,
    or the one run has no trace.
    """
    known = [value for value in setting.quality_S if is_known(value)]
    if len(known) < len(runs):
        return None
    if len(runs) > 1:
        return seed_interval(known)
    results, trace = runs[0].results, runs[0].traces.get(strategy)
    if trace is None or trace.label_N is None:
        return None
    of = METRICS[metric or results.quality]
    prediction_N = predictions(trace, np.array([setting.threshold]), runs[0].stopping)[0]
    return bootstrap_interval(
        of, prediction_N, trace.label_N, method="percentile", resamples=999
    )


Curve = tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]  # depths and qualities
Losses = Float[np.ndarray, " N"]


def areas(
    runs: Sequence[Finished],
) -> tuple[tuple[float, float] | None, dict[str, float | None]]:
    """The depths that all strategies' and seeds' curves reach, and the mean areas there.

    None where a curve has no quality that is known, or is of one exit alone.
    """
    exits = with_exits(runs[0].results)
    curves = {name: [_curve(run.results, name) for run in runs] for name in exits}
    every = [depth_P for each in curves.values() for depth_P, _ in each]
    low = max(depth_P.min(initial=np.inf) for depth_P in every)
    high = min(depth_P.max(initial=-np.inf) for depth_P in every)
    if low >= high:
        return None, dict.fromkeys(curves)
    return (float(low), float(high)), {
        name: mean([area_under_curve(*curve, low, high) for curve in each])
        for name, each in curves.items()
    }


def _curve(results: Results, strategy: str) -> Curve:
    points = [p for p in results.strategies[strategy].curve if is_known(p.quality)]
    return np.array([p.mean_depth for p in points]), np.array([p.quality for p in points])


def strategies(runs: Sequence[Finished]) -> list[str]:
    """The names of the runs' strategies, which all of them have."""
    return list(runs[0].results.strategies)


def against(
    runs: Sequence[Finished], first: str, second: str, label: str | None = None
) -> Difference | None:
    """First - second in mean loss: of the full models, or of what calibration `label` chose.

    None where a trace or a choice is missing.
    """
    pairs = [(_losses(run, first, label), _losses(run, second, label)) for run in runs]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if len(known) < len(pairs):
        return None
    first_N, second_N = np.mean(known, axis=0)
    return paired_permutation_test(first_N, second_N)


def _losses(run: Finished, strategy: str, label: str | None) -> Losses | None:
    trace = run.traces.get(strategy)
    point = chosen(run.results.strategies[strategy], label) if label else None
    if trace is None or (label and point is None):
        return None
    if point is None:
        return trace.full_loss_N
    threshold_K = np.array([point.threshold_E or point.threshold])
    return outcomes(trace, threshold_K, run.stopping).loss_KN[0]
