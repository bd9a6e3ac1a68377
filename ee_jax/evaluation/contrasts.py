"""Weighted sums of qualities, and how sure they are: what comparisons of models come to.

Quality at a time or depth lies on a straight line between two models or settings that were
measured, and the area below a curve is a sum of such lines: with times and depths as they were
measured, each is a weighted sum of qualities, one of each vector of answers. So a comparison is
a weighted sum too, of answers to the same examples, and one bootstrap over the examples gives
the intervals of all.
"""

from collections.abc import Sequence
from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Float, Real

from ee_jax.calibration.empirical import Quality
from ee_jax.evaluation.statistics import area_under_curve

DRAWS = 1999  # an odd number, so that percentiles of 95 % are draws


class Contrast(NamedTuple):
    """A weighted sum of qualities, where 95 % of draws lie, and its p-value at a margin."""

    value: float
    low: float
    high: float
    p_value: float


class Drawn(NamedTuple):
    """The qualities of A vectors of answers: of all examples, and of examples drawn anew."""

    quality_A: Float[np.ndarray, " A"]
    quality_BA: Float[np.ndarray, "B A"]

    def contrast(self, weight_A: Float[np.ndarray, " A"], margin: float = 0.0) -> Contrast:
        """The sum with these weights, and its 95 % percentile interval.

        The p-value is two-sided, of the sum being the margin: twice the share of draws on the
        other side, one more counted there, so that it is never 0.
        """
        used_A = weight_A != 0  # of the others, a draw may have no quality
        value_B = self.quality_BA[:, used_A] @ weight_A[used_A]
        value = float(self.quality_A[used_A] @ weight_A[used_A])
        low, high = np.nanquantile(value_B, (0.025, 0.975))
        other = min((value_B <= margin).sum(), (value_B >= margin).sum())
        p_value = min(1.0, 2 * (1 + int(other)) / (1 + len(value_B)))
        return Contrast(value, float(low), float(high), p_value)


def draw(
    metric: Quality,
    answer_AN: Sequence[Real[np.ndarray, " N"]],
    label_N: Real[np.ndarray, " N"],
    draws: int = DRAWS,
    seed: int = 0,
) -> Drawn:
    """The qualities of each vector of answers, on the examples and on `draws` bootstraps.

    All vectors see the same draws, so what they have in common cancels in a contrast.

    Args:
      metric: from answers and labels to a quality.
      answer_AN: vectors of answers to the same N examples.
      label_N: the right ones.
      draws: how often N examples are drawn with replacement, B.
      seed: of the draws.
    """
    for answer_N in answer_AN:
        chex.assert_equal_shape([answer_N, label_N])
    rng, examples = np.random.default_rng(seed), len(label_N)
    quality_BA = np.empty((draws, len(answer_AN)))
    for quality_A in quality_BA:
        drawn_N = rng.integers(examples, size=examples)
        quality_A[:] = [metric(answer_N[drawn_N], label_N[drawn_N]) for answer_N in answer_AN]
    return Drawn(np.array([metric(answer_N, label_N) for answer_N in answer_AN]), quality_BA)


def line_weights(
    place: float, place_K: Float[np.ndarray, " K"]
) -> Float[np.ndarray, " K"] | None:
    """Weights of K points for the straight line between the two next to a place.

    Args:
      place: where the line is read, such as a time.
      place_K: of the points, in any order.

    Returns:
      Weights that sum to 1, two of them not 0, or one at a point; None outside the points.
    """
    place_K = np.asarray(place_K, float)
    if not place_K.min() <= place <= place_K.max():
        return None
    order_K = np.argsort(place_K, kind="stable")
    above = int(np.searchsorted(place_K[order_K], place))
    weight_K = np.zeros(len(place_K))
    right = order_K[above]
    if place_K[right] == place:
        weight_K[right] = 1.0
        return weight_K
    left = order_K[above - 1]
    weight_K[right] = (place - place_K[left]) / (place_K[right] - place_K[left])
    weight_K[left] = 1 - weight_K[right]
    return weight_K


def area_weights(
    depth_P: Float[np.ndarray, " P"], low: float, high: float
) -> Float[np.ndarray, " P"]:
    """Weights of a curve's points for its mean between two depths, see `area_under_curve`."""
    one_PP = np.eye(len(depth_P))
    return np.array([area_under_curve(depth_P, one_P, low, high) for one_P in one_PP])


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values of M tests, so adjusted that one false finding in all has its chance.

    Holm (1979, Scand. J. Statist. 6:65): the smallest times M, the next times M - 1 and so on,
    none below the one before it.
    """
    p_value_M = np.asarray(p_values, float)
    order_M = np.argsort(p_value_M, kind="stable")
    scaled_M = p_value_M[order_M] * np.arange(len(p_value_M), 0, -1)
    adjusted_M = np.empty(len(p_value_M))
    adjusted_M[order_M] = np.minimum(np.maximum.accumulate(scaled_M), 1.0)
    return adjusted_M.tolist()
