import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ee_jax.calibration.ucb import BLOCK, accepts, bets, betting_bound, log_wealth

LOSSES = st.integers(1, 30).flatmap(
    lambda n: arrays(float, n, elements=st.sampled_from((0.0, 0.25, 1.0)))
)
DELTAS = st.floats(0.01, 0.5)


def most_wealth_in_plain_python(losses, mu, delta):
    """A gambler who looks at one loss after the other."""
    total, squares, variance = 0.5, 0.25, 0.25
    wealth, most = 1.0, 0.0
    for seen, loss in enumerate(losses, start=1):
        bet = min(1, math.sqrt(2 * math.log(1 / delta) / (len(losses) * variance)))
        wealth *= 1 - bet * (loss - mu)
        most = max(most, wealth)
        total += loss
        squares += (loss - total / (seen + 1)) ** 2
        variance = squares / (seen + 1)
    return most


@given(LOSSES, st.floats(0.01, 0.99), DELTAS)
def test_wealth_is_that_of_a_gambler_in_plain_python(losses, mu, delta):
    expected = most_wealth_in_plain_python(losses, mu, delta)
    found = math.exp(log_wealth(losses[None], bets(losses[None], delta), mu)[0])
    # 1e-9: sums of logarithms against products, 30 of them.
    assert found == pytest.approx(expected, rel=1e-9)


@given(LOSSES, st.floats(0.01, 0.99), DELTAS)
def test_the_test_is_the_bound(losses, level, delta):
    bound = betting_bound(losses, delta)
    if abs(bound - level) > 1e-6:  # where rounding does not decide
        assert accepts(losses[None], level, delta)[0] == (bound <= level)


def test_bounds_that_are_known():
    # No loss in 59: every bet is 1 once the variance is small, and (1 + mu)^n passes 1 / delta.
    assert 0 < betting_bound(np.zeros(59), 0.05) < 0.1
    assert betting_bound(np.ones(10), 0.05) == 1
    assert betting_bound(np.zeros(1), 0.05) == 1


def test_a_smaller_variance_gives_a_smaller_bound():
    rng = np.random.default_rng(0)
    calm, wild = np.full(400, 0.25), (rng.permutation(400) < 100).astype(float)
    assert calm.mean() == wild.mean()
    assert betting_bound(calm, 0.05) < betting_bound(wild, 0.05)


def test_a_level_of_0_cannot_be_certified_and_of_1_need_not_be():
    risk_KN = np.array([[0.0] * 50, [1.0] * 50])
    assert accepts(risk_KN, 0.0, 0.05).tolist() == [False, False]
    assert accepts(risk_KN, 1.0, 0.05).tolist() == [True, True]


@pytest.mark.parametrize("level", [0.5, 1.0])
def test_losses_that_are_not_numbers_are_not_accepted(level):
    risk_KN = np.array([[0.0] * 100, [0.0] * 99 + [np.nan]])
    assert accepts(risk_KN, level, 0.05).tolist() == [True, False]


def test_blocks_change_nothing_before_the_first_failure():
    share_K = np.linspace(0, 0.4, 3 * BLOCK + 1)
    risk_KN = (np.random.default_rng(0).random(500) < share_K[:, None]).astype(float)
    alone_K = [accepts(risk_N[None], 0.2, 0.05)[0] for risk_N in risk_KN]
    first_failure = alone_K.index(False)
    assert 0 < first_failure < len(alone_K) - BLOCK
    together_K = accepts(risk_KN, 0.2, 0.05)
    assert together_K[: first_failure + 1].tolist() == alone_K[: first_failure + 1]
