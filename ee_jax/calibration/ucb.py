"""The betting bound of Waudby-Smith and Ramdas (2023), as a test and as a bound.

A gambler who bets, example by example, that the mean lies below mu would by Ville's inequality
have multiplied the stake by 1 / delta at any time with a chance of at most delta if it did not.
Bets adapt to the variance, which is small where risks are small, so fewer examples do than for
bounds that know only the mean. With fixed-sequence testing, as in `ltt`,

    P(risk of the chosen threshold > level) <= delta,

over calibration sets of independent examples in an order that their losses did not choose, for
losses in [0, 1], monotone or not.
"""

import math

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import root_scalar

BLOCK = 8
_RUIN = -1e3  # stands for a logarithm of 0, of which no root can be searched


def bets(risk_KN: Float[np.ndarray, "K N"], delta: float) -> Float[np.ndarray, "K N"]:
    """nu_i = min(1, sqrt(2 log(1 / delta) / (n sigma_{i-1}^2))) (Bates et al. 2021).

    sigma_i^2 is the variance of the first i examples, begun with an example of 1/2 and a
    variance of 1/4, so that no bet looks at the example it is made on.

    Args:
      risk_KN: of each example at each candidate, in [0, 1].
      delta: the chance of a wrong bound.

    Returns:
      The bets, in [0, 1].
    """
    n = risk_KN.shape[1]
    seen_N = np.arange(2, n + 2)
    mean_KN = (0.5 + np.cumsum(risk_KN, 1)) / seen_N
    variance_KN = (0.25 + np.cumsum((risk_KN - mean_KN) ** 2, 1)) / seen_N
    before_KN = np.insert(variance_KN[:, :-1], 0, 0.25, axis=1)
    return np.minimum(1, np.sqrt(2 * math.log(1 / delta) / (n * before_KN)))


def log_wealth(
    risk_KN: Float[np.ndarray, "K N"], bet_KN: Float[np.ndarray, "K N"], mu: float
) -> Float[np.ndarray, " K"]:
    """max over t of sum_{i <= t} log(1 - nu_i (x_i - mu)); rises with mu.

    Args:
      risk_KN: of each example at each candidate.
      bet_KN: made before the example was seen.
      mu: the mean that is bet against.

    Returns:
      The largest logarithm of the wealth, of each candidate.
    """
    with np.errstate(divide="ignore"):  # at mu = 0 a loss of 1 may take all there is
        return np.cumsum(np.log1p(-bet_KN * (risk_KN - mu)), 1).max(1)


def accepts(
    risk_KN: Float[np.ndarray, "K N"], level: float, delta: float
) -> Bool[np.ndarray, " K"]:
    """Where the upper bound lies at or below the level; False past a block with a failure.

    Candidates are taken by the block, since a walk asks for none beyond its end.

    Args:
      risk_KN: of each example at candidates from the full model down.
      level: the risk allowed.
      delta: the chance of more than that.

    Returns:
      Which candidates pass.
    """
    ok_K = np.zeros(len(risk_KN), bool)
    for start in range(0, len(risk_KN), BLOCK):
        block = slice(start, start + BLOCK)
        ok_K[block] = _below(risk_KN[block], level, delta)
        if not ok_K[block].all():
            break
    return ok_K


def _below(risk_KN: Float[np.ndarray, "K N"], level: float, delta: float) -> np.ndarray:
    if level >= 1:
        return np.isfinite(risk_KN.sum(1))
    return log_wealth(risk_KN, bets(risk_KN, delta), level) >= -math.log(delta)


def betting_bound(risk_N: Float[np.ndarray, " N"], delta: float) -> float:
    """The smallest mu at which the wealth has reached 1 / delta; 1 where there is none.

    The mean lies above it with a chance of at most delta.

    Args:
      risk_N: of independent examples, in [0, 1].
      delta: the chance of a wrong bound.

    Returns:
      An upper bound of the mean risk.
    """
    bet_KN = bets(risk_N[None], delta)

    def excess(mu: float) -> float:
        wealth = log_wealth(risk_N[None], bet_KN, mu)[0]
        return max(wealth, _RUIN) + math.log(delta)

    if excess(1.0) < 0:
        return 1.0
    return float(root_scalar(excess, bracket=(0.0, 1.0)).root)
