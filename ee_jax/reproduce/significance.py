"""Strategies of one task against each other, over the seeds of a sweep.

Every run is of all strategies on the same examples, so strategies are tested in pairs: an
example's loss, as a mean over the seeds, against its loss by the other strategy.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.outcomes import outcomes
from ee_jax.evaluation.statistics import Difference, area_under_curve, paired_permutation_test
from ee_jax.report.select import chosen, is_known
from ee_jax.reproduce.aggregate import mean
from ee_jax.reproduce.outcome import Finished
from ee_jax.results import Results

Curve = tuple[Float[np.ndarray, " P"], Float[np.ndarray, " P"]]  # depths and qualities
Losses = Float[np.ndarray, " N"]


def areas(
    runs: Sequence[Finished],
) -> tuple[tuple[float, float] | None, dict[str, float | None]]:
    """The depths that all strategies' and seeds' curves reach, and the mean areas there.

    None where a curve has no quality that is known, or is of one exit alone.
    """
    curves = {name: [_curve(run.results, name) for run in runs] for name in strategies(runs)}
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
