"""How well a confidence predicts that its answer is right, and temperatures to mend it.

Calibration error alone misleads: a confidence that is the same for every example can have none
and still tell nobody where to stop. Read it beside `auroc`, which asks only for the order.

Isotonic calibration: the rising function of a score that fits its being right best.
"""

from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Bool, Float, Int, Real
from numpy.typing import ArrayLike
from scipy.optimize import isotonic_regression, root_scalar
from scipy.special import softmax
from scipy.stats import rankdata

T_MIN, T_MAX = 0.05, 20.0


def fit_temperature(
    logits_NC: Float[np.ndarray, "N C"], label_N: Int[np.ndarray, " N"]
) -> float:
    """The T in [T_MIN, T_MAX] that minimises the NLL of softmax(logits / T) (Guo et al. 2017).

    The NLL is convex in 1 / T, so its slope has one root at most, which is searched on log T.
    Where every answer is right the NLL falls for ever as T falls, and T is T_MIN; where none
    is better than chance T is T_MAX; where no T makes a difference it is 1.

    Args:
      logits_NC: of one exit.
      label_N: classes.

    Returns:
      T, above 0.
    """
    chex.assert_rank(logits_NC, 2)
    chex.assert_equal_shape_prefix([logits_NC, label_N], 1)
    logits_NC = np.asarray(logits_NC, np.float64)
    ahead_NC = logits_NC - np.take_along_axis(logits_NC, np.asarray(label_N)[:, None], 1)

    def slope(log_t: float) -> float:
        """d NLL / d (1 / T): how far the mean logit lies above the right one."""
        p_NC = softmax(logits_NC / np.exp(log_t), axis=1)
        return float(np.mean(np.sum(p_NC * ahead_NC, axis=1)))

    sharp, flat = slope(np.log(T_MIN)), slope(np.log(T_MAX))
    if sharp == flat == 0:
        return 1.0
    if sharp <= 0 or flat >= 0:
        return T_MIN if sharp <= 0 else T_MAX
    return float(np.exp(root_scalar(slope, bracket=(np.log(T_MIN), np.log(T_MAX))).root))


class Reliability(NamedTuple):
    """Examples by confidence, K bins of equal width; means of an empty bin are nan."""

    confidence_K: Float[np.ndarray, " K"]  # mean
    accuracy_K: Float[np.ndarray, " K"]
    count_K: Int[np.ndarray, " K"]


def reliability(
    confidence_N: Float[np.ndarray, " N"], correct_N: Bool[np.ndarray, " N"], bins: int = 15
) -> Reliability:
    """The reliability diagram (Guo et al. 2017): bins (lo, hi], 0 in the first.

    Args:
      confidence_N: in [0, 1].
      correct_N: whether the answers are right.
      bins: of equal width.

    Returns:
      Examples, mean confidence and accuracy of each bin.
    """
    chex.assert_equal_shape([confidence_N, correct_N])
    inner_edges = np.linspace(0, 1, bins + 1)[1:-1]
    bin_N = np.searchsorted(inner_edges, confidence_N, side="left")

    def total_K(value_N: np.ndarray | None) -> np.ndarray:
        return np.bincount(bin_N, value_N, bins)

    count_K = total_K(None)
    size_K = np.where(count_K > 0, count_K, np.nan)
    return Reliability(total_K(confidence_N) / size_K, total_K(correct_N) / size_K, count_K)


def expected_calibration_error(
    confidence_N: Float[np.ndarray, " N"], correct_N: Bool[np.ndarray, " N"], bins: int = 15
) -> float:
    """|accuracy - confidence| of a bin, the mean over examples (Guo et al. 2017, eq. 3).

    Args:
      confidence_N: in [0, 1].
      correct_N: whether the answers are right.
      bins: of equal width.

    Returns:
      The error, in [0, 1].
    """
    chex.assert_axis_dimension_gt(confidence_N, 0, 0)
    diagram = reliability(confidence_N, correct_N, bins)
    gap_K = np.nan_to_num(np.abs(diagram.accuracy_K - diagram.confidence_K))
    return float(np.average(gap_K, weights=diagram.count_K))


def auroc(score_N: Real[np.ndarray, " N"], correct_N: Bool[np.ndarray, " N"]) -> float:
    """P(a right answer scores above a wrong one), ties 1/2 (Mann and Whitney 1947).

    nan where every answer is right, or none.

    Args:
      score_N: the larger, the likelier right.
      correct_N: whether the answers are right.

    Returns:
      The probability, or nan.
    """
    chex.assert_equal_shape([score_N, correct_N])
    right_N = np.asarray(correct_N, bool)
    right, wrong = int(right_N.sum()), int((~right_N).sum())
    if not right or not wrong:
        return float("nan")
    above = rankdata(score_N)[right_N].sum() - right * (right + 1) / 2
    return float(above / (right * wrong))


def brier(confidence_N: Float[np.ndarray, " N"], correct_N: Bool[np.ndarray, " N"]) -> float:
    """The mean squared difference of confidence and correctness (Brier 1950).

    Args:
      confidence_N: in [0, 1].
      correct_N: whether the answers are right.

    Returns:
      The score, in [0, 1]; 0 is best.
    """
    chex.assert_equal_shape([confidence_N, correct_N])
    difference_N = np.asarray(confidence_N, np.float64) - np.asarray(correct_N)
    return float(np.mean(difference_N**2))


class Isotonic(NamedTuple):
    """A rising piecewise linear function, level beyond its ends."""

    score_K: Float[np.ndarray, " K"]  # strictly rising
    value_K: Float[np.ndarray, " K"]

    def __call__(self, score: ArrayLike) -> Float[np.ndarray, "..."]:
        """The share of right answers to expect at a score."""
        return np.asarray(np.interp(np.asarray(score, float), self.score_K, self.value_K))


def fit_isotonic(
    score_N: Real[np.ndarray, " N"], correct_N: Bool[np.ndarray, " N"]
) -> Isotonic:
    """Least squares among rising functions (Zadrozny and Elkan 2002), equal scores as one.

    Scores between two that were seen are interpolated, so that fewer become equal.

    Args:
      score_N: the larger, the likelier right.
      correct_N: whether the answers are right.

    Returns:
      A function of scores.
    """
    chex.assert_equal_shape([score_N, correct_N])
    score_K, group_N, count_K = np.unique(score_N, return_inverse=True, return_counts=True)
    accuracy_K = np.bincount(group_N, correct_N) / count_K
    return Isotonic(score_K, isotonic_regression(accuracy_K, weights=count_K).x)
