"""Isotonic calibration: the rising function of a score that fits its being right best."""

from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import isotonic_regression


class Isotonic(NamedTuple):
    """A rising piecewise linear function, level beyond its ends."""

    score_K: Float[np.ndarray, " K"]  # strictly rising
    value_K: Float[np.ndarray, " K"]

    def __call__(self, score: Float[np.ndarray, "*N"]) -> Float[np.ndarray, "*N"]:
        """The share of right answers to expect at a score."""
        return np.interp(score, self.score_K, self.value_K)


def fit_isotonic(
    score_N: Float[np.ndarray, " N"], correct_N: Bool[np.ndarray, " N"]
) -> Isotonic:
    """Least squares among rising functions (Zadrozny and Elkan 2002), equal scores as one.

    Scores between two that were seen are interpolated, so that fewer become equal.
    """
    chex.assert_equal_shape([score_N, correct_N])
    score_K, group_N, count_K = np.unique(score_N, return_inverse=True, return_counts=True)
    accuracy_K = np.bincount(group_N, correct_N) / count_K
    return Isotonic(score_K, isotonic_regression(accuracy_K, weights=count_K).x)
