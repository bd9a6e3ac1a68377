"""Learn then Test with fixed-sequence testing (Angelopoulos et al. 2021; CALM, Alg. 1).

For each candidate, from the full model down, the hypothesis "its risk is above the level" is
tested on n examples; the walk ends at the first that cannot be rejected, and the candidate
before it is chosen. The order was fixed beforehand, so the chance that any true hypothesis was
rejected on the way is at most delta:

    P(risk of the chosen threshold > level) <= delta,

over calibration sets of independent examples, for any losses in [0, 1], monotone or not.

The tests are functions of the mean risk, and broadcast.
"""

import math

import numpy as np
from jaxtyping import Float
from numpy.typing import ArrayLike
from scipy.special import betainc, rel_entr

# n times the mean of n zeros and ones may come out at 3.0000000000000004, which is no 4.
ROUNDING = 1e-9


def hoeffding(mean: ArrayLike, n: int, level: float) -> Float[np.ndarray, "..."]:
    """exp(-2 n (level - mean)^2) where the mean lies below the level (Hoeffding 1963).

    Args:
      mean: mean risks of n examples, in [0, 1].
      n: how many examples.
      level: the risk allowed.

    Returns:
      P-values of "the risk is above the level", in [0, 1].
    """
    below = np.maximum(0, level - np.asarray(mean))
    return _p_value(np.exp(-2 * n * below**2), level)


def hoeffding_bentkus(mean: ArrayLike, n: int, level: float) -> Float[np.ndarray, "..."]:
    """The smaller of Hoeffding's and Bentkus' p-values (Bates et al. 2021).

    min(exp(-n h(min(mean, level), level)), e P(Bin(n, level) <= ceil(n mean))), where h is the
    relative entropy of two coins.

    Args:
      mean: mean risks of n examples, in [0, 1].
      n: how many examples.
      level: the risk allowed.

    Returns:
      P-values of "the risk is above the level", in [0, 1].
    """
    mean = np.asarray(mean)
    low = np.minimum(mean, level)
    entropy = rel_entr(low, level) + rel_entr(1 - low, 1 - level)
    bentkus = math.e * _tail(np.ceil(n * mean - ROUNDING), n, level)
    return _p_value(np.minimum(np.exp(-n * entropy), bentkus), level)


def binomial(mean: ArrayLike, n: int, level: float) -> Float[np.ndarray, "..."]:
    """P(Bin(n, level) <= n mean): exact where every loss is 0 or 1.

    Rejecting at delta is the same as Clopper and Pearson's (1934) upper bound lying at or
    below the level.

    Args:
      mean: mean risks of n examples, in [0, 1].
      n: how many examples.
      level: the risk allowed.

    Returns:
      P-values of "the risk is above the level", in [0, 1].
    """
    return _p_value(_tail(np.round(n * np.asarray(mean)), n, level), level)


def _tail(count: ArrayLike, n: int, level: float) -> Float[np.ndarray, "..."]:
    """P(Bin(n, level) <= count); scipy's `bdtr` is off by 3e-9 of it at a million examples."""
    count = np.asarray(count, float)
    tail = betainc(np.maximum(n - count, 1), count + 1, 1 - level)
    return np.asarray(np.where(count >= n, 1.0, tail))


def _p_value(p: ArrayLike, level: float) -> Float[np.ndarray, "..."]:
    """No risk exceeds 1, so the hypothesis "above 1" is false whatever was seen."""
    p = np.asarray(p)
    return np.asarray(np.minimum(p, 1) if level < 1 else np.where(np.isnan(p), p, 0.0))
