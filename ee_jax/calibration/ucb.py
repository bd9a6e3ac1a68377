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

    def __init__(
        self,
        n: int,
        lost_M: Int[np.ndarray, " M"],
        loss_M: Float[np.ndarray, " M"],
        delta: float,
    ):
        """The gambler's bets on independent examples in an order not chosen by their losses.

        Args:
          n: how many examples.
          lost_M: the places in that order of those that lose something, rising from 0.
          loss_M: what they lose, at most 1.
          delta: the chance of a wrong bound.
        """
        self._n, self._goal = n, -math.log(delta)
        self._lost_M, self._loss_M = lost_M, loss_M
        # Runs without a loss: before the first, between two, after the last.
        self._start_R = np.concatenate([[0], self._lost_M + 1])
        self._end_R = np.concatenate([self._lost_M, [self._n]])
        sum_R = np.cumsum(np.concatenate([[0.5], self._loss_M]))
        self._square_R = sum_R**2
        tail_N1 = _tails(self._n)
        off_M = self._loss_M - sum_R[1:] / (self._lost_M + 2)
        self._tail_R = tail_N1.take(self._start_R)
        tail_M = tail_N1.take(lost_M)
        step_M = off_M**2 + self._square_R[1:] * self._tail_R[1:]
        step_M -= self._square_R[:-1] * tail_M
        begin = 0.25 + 0.25 * tail_N1[0]
        self._first_R = np.cumsum(np.concatenate([[begin], step_M]))
        # Sums of squares before the loss at a run's end, and the least that a bet in it is.
        after_R = self._first_R - self._square_R * np.append(tail_M, tail_N1[n])
        self._length_R = self._end_R - self._start_R
        self._least_R = self._bet(self._start_R + 1, after_R)
        self._bet_M = self._bet(lost_M + 1, after_R[:-1])

    @cached_property
    def _most_R(self) -> np.ndarray:
        """The most that a bet in a run is, by the sum of squares before its first example."""
        return self._bet(self._end_R, self._first_R - self._square_R * self._tail_R)

    @classmethod
    def of(cls, risk_N: Float[np.ndarray, " N"], delta: float) -> "Gambler":
        """The bets on these examples in turn."""
        lost_M = (risk_N != 0).nonzero()[0]
        return cls(len(risk_N), lost_M, risk_N[lost_M], delta)

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
        return np.log1p(self._bet_M * (mu - self._loss_M))

    def _most(self, gain_R: np.ndarray, gain_M: np.ndarray) -> float:
        """The largest running sum of runs and losses in turn."""
        before_R = gain_R.copy()
        after_M = (gain_R[:-1] + gain_M).cumsum()
        before_R[1:] += after_M
        return float(max(before_R.max(), after_M.max(initial=0.0)))

    def log_wealth(self, mu: float) -> float:
        """max over t of sum_{i <= t} log(1 - nu_i (x_i - mu)), t >= 0; rises with mu.

        Args:
          mu: the mean that is bet against.

        Returns:
          The largest logarithm of the wealth; nan where a loss is.
        """
        if mu <= 0:  # nothing loses less than that
            return 0.0
        gain_N1 = np.zeros(self._n + 1)
        np.log1p(self.bet_N * mu, out=gain_N1[:-1])
        gain_N1[self._lost_M] = 0
        return self._most(np.add.reduceat(gain_N1, self._start_R), self._gains(mu))

    def _run_gains(self, bet_R: np.ndarray, mu: float) -> np.ndarray:
        return self._length_R * np.log1p(mu * bet_R)

    def wins(self, level: float) -> bool:
        """Whether the wealth against this mean reaches 1 / delta: the bound is at most that.

        The bets of a run are at least what its first place and last sum of squares make them,
        and at most what its last place and first sum do. Where both say the same of the wealth,
        no bet between is looked at.
        """
        if level >= 1:
            return not np.isnan(self._first_R[-1])
        if level <= 0:
            return False
        gain_M = self._gains(level)
        if self._most(self._run_gains(self._least_R, level), gain_M) >= self._goal + CLOSE:
            return True
        most = self._most(self._run_gains(self._most_R, level), gain_M)
        if not most >= self._goal - CLOSE:
            return False
        return self.log_wealth(level) >= self._goal


@lru_cache(maxsize=4)
def _tails(n: int) -> Float[np.ndarray, " N1"]:
    """sum_{i < j <= n} 1 / (j + 1)^2 for i from 0 to n."""
    return np.append(np.cumsum(1.0 / np.arange(n + 1, 1, -1.0) ** 2)[::-1], 0.0)


class Walk:
    """Walks down the candidates with any of the examples, in any order.

    What passes at a level does so at every higher one, since wealth rises with the level. So
    the walk at a level begins where that at the one below it ended, and each candidate's bets,
    which no level changes, are made once.
    """

    def __init__(self, risk_KN: Float[np.ndarray, "K N"], delta: float):
        """Walks down these candidates.

        Args:
          risk_KN: of each example at candidates from the full model down.
          delta: the chance of more than the level.
        """
        self._risk_KN, self._delta = risk_KN, delta
        # The examples that lose something at each, and what.
        self._lost: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def __call__(
        self, rows_M: Int[np.ndarray, " M"], level_L: Sequence[float]
    ) -> Int[np.ndarray, " L"]:
        """The candidate before the first, but the full model, that fails.

        Args:
          rows_M: the examples to bet on, in this order.
          level_L: the risks allowed.

        Returns:
          The candidate's number, at each level.
        """
        place_N = np.full(self._risk_KN.shape[1], -1)
        place_N[rows_M] = np.arange(len(rows_M))
        last_L, k, gambler = np.zeros(len(level_L), int), 1, None
        for row in np.argsort(level_L, kind="stable"):
            while k < len(self._risk_KN):
                gambler = gambler or self._gambler(k, place_N, len(rows_M))
                if not gambler.wins(level_L[row]):
                    break
                k, gambler = k + 1, None
            last_L[row] = k - 1
        return last_L

    def _gambler(self, k: int, place_N: Int[np.ndarray, " N"], n: int) -> Gambler:
        """Bets at candidate k on the n examples that have a place."""
        if k not in self._lost:
            lost_M = self._risk_KN[k].nonzero()[0]
            self._lost[k] = lost_M, self._risk_KN[k].take(lost_M)
        lost_M, loss_M = self._lost[k]
        place_M = place_N.take(lost_M)
        kept_M = (place_M >= 0).nonzero()[0]
        place_M, loss_M = place_M.take(kept_M), loss_M.take(kept_M)
        if (place_M[1:] < place_M[:-1]).any():
            order_M = place_M.argsort()
            place_M, loss_M = place_M[order_M], loss_M[order_M]
        return Gambler(n, place_M, loss_M, self._delta)


def betting_bound(risk_N: Float[np.ndarray, " N"], delta: float) -> float:
    """The smallest mu at which the wealth has reached 1 / delta; 1 where there is none.

    The mean lies above it with a chance of at most delta.

    Args:
      risk_N: of independent examples, in [0, 1].
      delta: the chance of a wrong bound.

    Returns:
      An upper bound of the mean risk.
    """
    gambler = Gambler.of(risk_N, delta)

    def excess(mu: float) -> float:
        return max(gambler.log_wealth(mu), _RUIN) + math.log(delta)

    if excess(1.0) < 0:
        return 1.0
    return float(root_scalar(excess, bracket=(0.0, 1.0)).root)
