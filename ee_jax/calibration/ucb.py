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
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import root_scalar

CLOSE = 1e-6  # logarithms that rounding, or n sums of it, may bring on either side
_RUIN = -1e3  # stands for a logarithm of 0, of which no root can be searched


class Gambler:
    """Bets on n examples in turn; nu_i is the bet on the i-th (Bates et al. 2021).

    nu_i = min(1, sqrt(2 log(1 / delta) / (n sigma_{i-1}^2))), where sigma_i^2 is the variance
    of the first i examples about their running means m_j, begun with an example of 1/2 and a
    variance of 1/4, so that no bet looks at the example it is made on:

        m_j = (1/2 + x_1 + ... + x_j) / (j + 1)
        (i + 1) sigma_i^2 = 1/4 + sum_{j <= i} (x_j - m_j)^2

    Most examples lose nothing. From one loss to the next the sum of x_j stays s, and the sum of
    squares grows by s^2 / (j + 1)^2 a step, of which sums are kept. So only losses are summed
    one after the other, and the bets between two of them are bounded by those at the ends.
    """

    def __init__(self, risk_N: Float[np.ndarray, " N"], delta: float):
        """The gambler's bets.

        Args:
          risk_N: of independent examples, in [0, 1], in an order not chosen by them.
          delta: the chance of a wrong bound.
        """
        self._n, self._goal = len(risk_N), -math.log(delta)
        self._lost_M = (risk_N != 0).nonzero()[0]
        self._loss_M = risk_N[self._lost_M]
        # Runs without a loss: before the first, between two, after the last.
        self._start_R = np.concatenate([[0], self._lost_M + 1])
        self._end_R = np.concatenate([self._lost_M, [self._n]])
        sum_R = np.cumsum(np.concatenate([[0.5], self._loss_M]))
        self._square_R = sum_R**2
        tail_N1 = _tails(self._n)
        off_M = self._loss_M - sum_R[1:] / (self._lost_M + 2)
        step_M = off_M**2 + self._square_R[1:] * tail_N1[self._lost_M + 1]
        step_M -= self._square_R[:-1] * tail_N1[self._lost_M]
        begin = 0.25 + 0.25 * tail_N1[0]
        self._first_R = np.cumsum(np.concatenate([[begin], step_M]))
        # Sums of squares after the run's first example is awaited, and before the loss.
        self._low_R = self._first_R - self._square_R * tail_N1[self._start_R]
        self._high_R = self._first_R - self._square_R * tail_N1[self._end_R]

    def _bet(self, place: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """nu_i from i and the sum of squares after the examples before."""
        return np.minimum(1, np.sqrt(2 * self._goal / self._n * place / squares))

    @cached_property
    def bet_N(self) -> Float[np.ndarray, " N"]:
        """All bets."""
        runs_R = self._end_R - self._start_R
        runs_R[:-1] += 1  # a loss is bet on with what was seen before it
        square_N = np.repeat(self._first_R, runs_R)
        square_N -= np.repeat(self._square_R, runs_R) * _tails(self._n)[:-1]
        return self._bet(np.arange(1.0, self._n + 1), square_N)

    def _gains(self, mu: float) -> Float[np.ndarray, " M"]:
        """What the losses add to the logarithm of the wealth."""
        bet_M = self._bet(self._lost_M + 1, self._high_R[:-1])
        with np.errstate(divide="ignore"):  # at mu = 0 a loss of 1 may take all there is
            return np.log1p(bet_M * (mu - self._loss_M))

    def _most(self, gain_R: np.ndarray, gain_M: np.ndarray) -> float:
        """The largest running sum of runs and losses in turn."""
        after_M = np.cumsum(gain_R[:-1] + gain_M)
        before_R = gain_R + np.concatenate([[0.0], after_M])
        return float(max(before_R.max(), after_M.max(initial=0.0)))

    def log_wealth(self, mu: float) -> float:
        """max over t of sum_{i <= t} log(1 - nu_i (x_i - mu)), t >= 0; rises with mu.

        Args:
          mu: the mean that is bet against.

        Returns:
          The largest logarithm of the wealth; nan where a loss is.
        """
        gain_N1 = np.zeros(self._n + 1)
        np.log1p(self.bet_N * mu, out=gain_N1[:-1])
        gain_N1[self._lost_M] = 0
        return self._most(np.add.reduceat(gain_N1, self._start_R), self._gains(mu))

    def wins(self, level: float) -> bool:
        """Whether the wealth against this mean reaches 1 / delta: the bound is at most that.

        The bets of a run are at least what its first place and last sum of squares make them,
        and at most what its last place and first sum do. Where both say the same of the wealth,
        no bet between is looked at.
        """
        if level >= 1:
            return not np.isnan(self._first_R[-1])
        gain_M, length_R = self._gains(level), self._end_R - self._start_R
        least_R, most_R = (
            length_R * np.log1p(level * self._bet(place_R, squares_R))
            for place_R, squares_R in (
                (self._start_R + 1, self._high_R),
                (self._end_R, self._low_R),
            )
        )
        if self._most(least_R, gain_M) >= self._goal + CLOSE:
            return True
        if not self._most(most_R, gain_M) >= self._goal - CLOSE:
            return False
        return self.log_wealth(level) >= self._goal


@lru_cache(maxsize=4)
def _tails(n: int) -> Float[np.ndarray, " N1"]:
    """sum_{i < j <= n} 1 / (j + 1)^2 for i from 0 to n."""
    return np.append(np.cumsum(1.0 / np.arange(n + 1, 1, -1.0) ** 2)[::-1], 0.0)


def passed(
    risk_KN: Float[np.ndarray, "K N"],
    rows_M: Int[np.ndarray, " M"],
    level_L: Sequence[float],
    delta: float,
) -> Int[np.ndarray, " L"]:
    """How many candidates pass before the first, but the full model, that fails.

    What passes at a level does so at every higher one, since wealth rises with the level. So
    the walk at a level begins where that at the one below it ended, and each candidate's bets,
    which no level changes, are made once.

    Args:
      risk_KN: of each example at candidates from the full model down.
      rows_M: the examples to bet on, in this order.
      level_L: the risks allowed.
      delta: the chance of more than that.

    Returns:
      The number, at each level.
    """
    passed_L, k, gambler = np.ones(len(level_L), int), 1, None
    for row in np.argsort(level_L, kind="stable"):
        while k < len(risk_KN):
            gambler = gambler or Gambler(risk_KN[k].take(rows_M), delta)
            if not gambler.wins(level_L[row]):
                break
            k, gambler = k + 1, None
        passed_L[row] = k
    return passed_L


def betting_bound(risk_N: Float[np.ndarray, " N"], delta: float) -> float:
    """The smallest mu at which the wealth has reached 1 / delta; 1 where there is none.

    The mean lies above it with a chance of at most delta.

    Args:
      risk_N: of independent examples, in [0, 1].
      delta: the chance of a wrong bound.

    Returns:
      An upper bound of the mean risk.
    """
    gambler = Gambler(risk_N, delta)

    def excess(mu: float) -> float:
        return max(gambler.log_wealth(mu), _RUIN) + math.log(delta)

    if excess(1.0) < 0:
        return 1.0
    return float(root_scalar(excess, bracket=(0.0, 1.0)).root)
