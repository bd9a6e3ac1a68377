"""Each method keeps its promise where the truth is known, and the tests would see it break.

An example is lost at candidate k with a known chance risk_K[k], so nothing about the truth is
estimated. Seeds are fixed; counts are held against what so many trials of the promised chance
exceed once in a thousand times.
"""

import numpy as np
import pytest
from scipy.stats import binom

from ee_jax.calibration.choice import GRID, last_accepted
from ee_jax.calibration.conformal import shared_threshold
from ee_jax.calibration.methods import METHODS

TRIALS, EXAMPLES, LEVEL, DELTA = 1000, 300, 0.05, 0.1
MOST = binom.ppf(0.999, TRIALS, DELTA)

# Rises slowly through the level, at a threshold of 0.75.
RISING = 0.2 * (1 - GRID)
# Falls again and again to where candidates would be fine, after failing.
WAVES = np.where(np.arange(60) % 3 == 2, 0.056, 0.03)
WAVES[0] = 0
# One candidate within the level, then far above.
CLIFF = np.array([0, 0.01, 0.2, 0.2])


def losses(risk_K, trial, together):
    """An example's losses at all candidates: all of one die, or each of its own."""
    dice = 1 if together else len(risk_K)
    die_KN = np.random.default_rng(trial).random((dice, EXAMPLES))
    return (die_KN < risk_K[:, None]).astype(float)


def chosen(method, risk_K, together):
    """The candidate chosen in each trial."""
    how = METHODS[method]
    accepted = [
        how.accepts(how.prepare(losses(risk_K, trial, together)), LEVEL, DELTA)
        for trial in range(TRIALS)
    ]
    return how.last(np.array(accepted))


def breaks(risk_K, chosen_S):
    """In how many trials the true risk is above the level."""
    return np.sum(risk_K[chosen_S] > LEVEL + 1e-9)  # 1e-9: 0.2 (1 - 0.75) is rounded


def keeps_mean(values_S):
    """The mean is at most the level, but for three standard errors of it."""
    return np.mean(values_S) <= LEVEL + 3 * np.std(values_S) / np.sqrt(TRIALS)


WITH_DELTA = [name for name, method in METHODS.items() if method.has_delta]


@pytest.mark.parametrize("method", WITH_DELTA)
@pytest.mark.parametrize(
    ("risk_K", "together"), [(RISING, True), (WAVES, False), (CLIFF, True)]
)
def test_the_level_is_broken_in_at_most_delta_of_the_trials(method, risk_K, together):
    assert breaks(risk_K, chosen(method, risk_K, together)) <= MOST


def test_an_exact_test_breaks_the_level_exactly_as_often_as_it_may():
    # With rising losses the walk passes the first candidate above the level wherever the test
    # does, which is where its count is one of those that the binomial distribution allows.
    above = RISING[RISING > LEVEL + 1e-9][0]
    count = np.arange(EXAMPLES + 1)
    allowed = count[binom.cdf(count, EXAMPLES, LEVEL) <= DELTA].max()
    chance = binom.cdf(allowed, EXAMPLES, above)
    least, most = binom.ppf([0.001, 0.999], TRIALS, chance)
    assert least <= breaks(RISING, chosen("clopper_pearson", RISING, True)) <= most


def test_an_index_off_by_one_would_break_the_level():
    first_that_failed = chosen("ltt", CLIFF, True) + 1
    assert breaks(CLIFF, first_that_failed) > MOST


def test_a_walk_that_goes_on_after_a_failure_would_break_the_level():
    risk_K = np.append(0, np.full(60, 0.056))
    stopped, went_on = [], []
    for trial in range(TRIALS):
        ok_K = METHODS["ltt"].accepts(losses(risk_K, trial, together=False), LEVEL, DELTA)
        stopped.append(last_accepted(ok_K))
        went_on.append(ok_K.nonzero()[0].max(initial=0))
    assert breaks(risk_K, stopped) <= MOST < breaks(risk_K, went_on)


def test_empirical_does_break_it():
    assert breaks(RISING, chosen("empirical", RISING, True)) > 0.4 * TRIALS


@pytest.mark.parametrize(("risk_K", "together"), [(RISING, True), (WAVES, False)])
def test_crc_keeps_the_mean_and_only_the_mean(risk_K, together):
    chosen_S = chosen("crc", risk_K, together)
    assert keeps_mean(risk_K[chosen_S])
    if together:
        assert breaks(risk_K, chosen_S) > MOST


def test_conformal_keeps_the_mean_among_examples_with_a_bad_exit():
    # Confidences are uniform, good or bad, so the chance that a bad one is above t is 1 - t.
    def true_risk(trial):
        rng = np.random.default_rng(trial)
        confidence_N, bad_N = rng.random(EXAMPLES), rng.random(EXAMPLES) < 0.3
        pad = np.zeros(EXAMPLES)
        find = shared_threshold(np.stack([confidence_N, pad], 1), np.stack([bad_N, pad > 0], 1))
        return 1 - find([LEVEL])[0]

    risk_S = [true_risk(trial) for trial in range(TRIALS)]
    assert keeps_mean(risk_S)
    assert np.mean(risk_S) > 0.8 * LEVEL  # with 90 bad exits, not for want of trying
