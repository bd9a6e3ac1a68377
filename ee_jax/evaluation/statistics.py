"""Statistics of comparisons: is a difference real, how sure is a number, what is a curve worth.

Everything is NumPy and SciPy on numbers that a run has left: no model is needed.
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import chex
import numpy as np
import scipy.stats
from jaxtyping import Float, Num

RESAMPLES = 9999


class Difference(NamedTuple):
    """The mean of first - second, and how often chance alone makes one as large."""

    mean: float
    p_value: float


def paired_permutation_test(
    first_N: Num[np.ndarray, " N"],
    second_N: Num[np.ndarray, " N"],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Difference:
    """Do two systems differ, on the same examples, in the mean of a score or loss?

    If they do not, the two scores of an example may be swapped (Fisher 1935, The Design of
    Experiments, sec. 21; Yeh 2000, arXiv:cs/0008005, for systems that process language). The
    p-value is two-sided: exact over all swaps where these are at most `resamples`, else from
    so many random ones. Equal pairs change no sum and are left out, so the exact test of right
    and wrong answers is McNemar's.
    """
    chex.assert_equal_shape([first_N, second_N])
    difference_N = np.asarray(first_N, float) - np.asarray(second_N, float)
    unequal_M = difference_N[difference_N != 0]
    if len(unequal_M) < 2:
        return Difference(float(difference_N.mean()), 1.0)
    # In whole units: sums that are equal but for the order of their rounding are ties.
    unit = np.abs(unequal_M).sum() * 2.0**-40
    found = scipy.stats.permutation_test(
        (unequal_M, np.zeros_like(unequal_M)),
        lambda first, second, axis: np.rint(np.sum(first - second, axis) / unit),
        permutation_type="samples",
        vectorized=True,
        n_resamples=resamples,
        batch=1000,  # keeps the swapped copies small
        rng=np.random.default_rng(seed),
    )
    return Difference(float(difference_N.mean()), float(found.pvalue))


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


def bootstrap_interval(
    metric: Callable[..., Any],
    *columns_N: Num[np.ndarray, " N"],
    level: float = 0.95,
    method: str = "BCa",
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """Where `metric(*columns_N)` lies when N examples are drawn again with replacement.

    A metric with an argument `axis` gets all draws at once.
    `method` is `percentile` or `BCa`, which corrects for bias and acceleration (Efron 1987,
    J. Am. Stat. Assoc. 82:171) and falls back to percentiles where every draw gives the same.
    """
    chex.assert_equal_shape(columns_N)

    def bootstrap(method: str, **more: Any) -> Any:
        options = {"paired": True, "confidence_level": level}
        return scipy.stats.bootstrap(columns_N, metric, method=method, **options, **more)

    with warnings.catch_warnings(), np.errstate(invalid="ignore"):
        warnings.simplefilter("ignore", scipy.stats.DegenerateDataWarning)
        found = bootstrap(method, n_resamples=resamples, rng=np.random.default_rng(seed))
    if np.isnan(found.confidence_interval).any():
        found = bootstrap("percentile", n_resamples=0, bootstrap_result=found)
    return Interval(*map(float, found.confidence_interval))


def seed_interval(value_S: Sequence[float], level: float = 0.95) -> Interval | None:
    """The bootstrap interval of a mean over seeds; None for a single seed.

    A handful of seeds has few different draws, so this interval is rather too narrow.
    """
    if len(value_S) < 2:
        return None
    return bootstrap_interval(np.mean, np.asarray(value_S, float), level=level)


def area_under_curve(
    depth_P: Float[np.ndarray, " P"],
    quality_P: Float[np.ndarray, " P"],
    low: float,
    high: float,
) -> float:
    """The mean quality of a quality-depth curve between two depths.

    The points are joined by straight lines and the area below them is divided by the width, so
    that a constant quality is its own area (BERxiT, Xin et al. 2021, draws such areas). Points
    of the same depth count with their mean.

    Raises:
      ValueError: the curve does not reach both depths, or they are not in order.
    """
    chex.assert_equal_shape([depth_P, quality_P])
    knot_K, group_P = np.unique(depth_P, return_inverse=True)
    if not knot_K[0] <= low < high <= knot_K[-1]:
        raise ValueError(f"no curve from {low} to {high}: it goes {knot_K[0]} to {knot_K[-1]}")
    mean_K = np.bincount(group_P, quality_P) / np.bincount(group_P)
    inside_K = (knot_K > low) & (knot_K < high)
    depth_J = np.array([low, *knot_K[inside_K], high])
    return float(np.trapezoid(np.interp(depth_J, knot_K, mean_K), depth_J) / (high - low))
