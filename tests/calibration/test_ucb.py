import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.ucb import Gambler, Walk, betting_bound

LOSSES = st.integers(1, 30).flatmap(
    lambda n: arrays(float, n, elements=st.sampled_from((0.0, 0.25, 1.0)))
)
DELTAS = st.floats(0.01, 0.5)


def gambler_in_plain_python(losses, mu, delta):
    """One who looks at one loss after the other: the bets, and the most wealth."""
    total, squares, variance = 0.5, 0.25, 0.25
    wealth, most, bets = 1.0, 1.0, []
    for seen, loss in enumerate(losses, start=1):
        bets.append(min(1, math.sqrt(2 * math.log(1 / delta) / (len(losses) * variance))))
        wealth *= 1 - bets[-1] * (loss - mu)
        most = max(most, wealth)
        total += loss
        squares += (loss - total / (seen + 1)) ** 2
        variance = squares / (seen + 1)
    return bets, most


def log_wealth_in_plain_numpy(risk_N, mu, delta):
    """The formula as it is written, for as many examples as one likes."""
    n = len(risk_N)
    seen_N = np.arange(2, n + 2)
    mean_N = (0.5 + np.cumsum(risk_N)) / seen_N
    variance_N = (0.25 + np.cumsum((risk_N - mean_N) ** 2)) / seen_N
    before_N = np.insert(variance_N[:-1], 0, 0.25)
    bet_N = np.minimum(1, np.sqrt(2 * math.log(1 / delta) / (n * before_N)))
    return max(0.0, np.cumsum(np.log1p(-bet_N * (risk_N - mu))).max())


@given(LOSSES, st.floats(0.01, 0.99), DELTAS)
def test_bets_and_wealth_are_those_of_a_gambler_in_plain_python(losses, mu, delta):
    bets, most = gambler_in_plain_python(losses, mu, delta)
    gambler = Gambler.of(losses, delta)
    # 1e-9: sums of logarithms against products, 30 of them.
    np.testing.assert_allclose(gambler.bet_N, bets, rtol=1e-9)
    assert math.exp(gambler.log_wealth(mu)) == pytest.approx(most, rel=1e-9)


# Losses seldom, often, always; of one value, of few, of many.
KINDS = {
    "none": lambda rng, n: np.zeros(n),
    "seldom": lambda rng, n: (rng.random(n) < 0.01).astype(float),
    "often": lambda rng, n: (rng.random(n) < 0.3).astype(float),
    "few values": lambda rng, n: (rng.random(n) < 0.1) * rng.integers(0, 5, n) / 4,
    "always": lambda rng, n: 0.1 * rng.random(n),
    "first": lambda rng, n: (np.arange(n) < n // 20).astype(float),
    "last": lambda rng, n: (np.arange(n) >= n - n // 20).astype(float),
    "all": lambda rng, n: np.ones(n),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n", [1, 2, 59, 1000, 25_000, 10**6])
def test_wealth_of_any_number_of_examples(kind, n):
    risk_N = KINDS[kind](np.random.default_rng(n), n)
    for mu in (1e-6, 0.01, float(np.clip(risk_N.mean() + 0.01, 0.02, 0.9)), 0.99):
        expected = log_wealth_in_plain_numpy(risk_N, mu, 0.05)
        # 1e-8: a million sums of each kind; where most is lost it is far below any goal.
        assert Gambler.of(risk_N, 0.05).log_wealth(mu) == pytest.approx(
            expected, rel=1e-8, abs=1e-8
        )


@pytest.mark.parametrize("kind", KINDS)
def test_a_win_is_seen_without_the_bets_between_losses_as_with_them(kind):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        risk_N = KINDS[kind](rng, int(rng.integers(1, 3000)))
        gambler = Gambler.of(risk_N, 0.05)
        for mu in {*(risk_N.mean() + np.array([0.0, 0.003, 0.01, 0.03, 0.1])), 0.002, 0.5}:
            if 0 < mu < 1:
                reached = gambler.log_wealth(mu) >= math.log(1 / 0.05)
                assert gambler.wins(mu) == reached


@given(LOSSES, st.floats(0.01, 0.99), DELTAS)
def test_the_test_is_the_bound(losses, level, delta):
    bound = betting_bound(losses, delta)
    if abs(bound - level) > 1e-6:  # where rounding does not decide
        assert Gambler.of(losses, delta).wins(level) == (bound <= level)


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
    for risk_N in (np.zeros(50), np.ones(50)):
        assert not Gambler.of(risk_N, 0.05).wins(0.0)
        assert Gambler.of(risk_N, 0.05).wins(1.0)


@pytest.mark.parametrize("level", [0.5, 1.0])
def test_losses_that_are_not_numbers_are_not_accepted(level):
    for place in (0, 50, 99):
        risk_N = np.zeros(100)
        risk_N[place] = np.nan
        assert not Gambler.of(risk_N, 0.05).wins(level)


def test_walks_at_many_levels_are_those_at_each():
    share_K = np.append(0, np.linspace(0, 0.4, 25))
    risk_KN = (np.random.default_rng(0).random(500) < share_K[:, None]).astype(float)
    levels, rows_M = (0.3, 0.05, 1.0, 0.0, 0.2), np.arange(500)[::-1]
    together_L = Walk(risk_KN, 0.05)(rows_M, levels)
    for level, number in zip(levels, together_L, strict=True):
        alone_K = [Gambler.of(risk_N[::-1], 0.05).wins(level) for risk_N in risk_KN[1:]]
        assert number == [*alone_K, False].index(False)
    assert METHODS["ucb"].accepts(risk_KN[:, ::-1], 0.2, 0.05).sum() == together_L[4] + 1
    some_M = np.random.default_rng(1).permutation(500)[:200]
    alone_L = Walk(risk_KN[:, some_M], 0.05)(np.arange(200), levels)
    assert Walk(risk_KN, 0.05)(some_M, levels).tolist() == alone_L.tolist()
