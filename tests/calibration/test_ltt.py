import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, binom

from ee_jax.calibration.ltt import binomial, hoeffding, hoeffding_bentkus

LEVELS = st.floats(0.01, 0.99)
COUNTS = st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))

every_p_value = pytest.mark.parametrize("p_value", [hoeffding, hoeffding_bentkus, binomial])


@every_p_value
@given(st.integers(1, 60), LEVELS, st.floats(0.01, 0.5))
def test_a_risk_at_the_level_is_rejected_with_a_chance_of_at_most_delta(
    p_value, n, level, delta
):
    # Exactly, over all counts of losses that there can be.
    count = np.arange(n + 1)
    rejected = p_value(count / n, n, level) <= delta
    # 1e-9: scipy's binomial distribution is that exact.
    assert binom.pmf(count, n, level)[rejected].sum() <= delta + 1e-9


def test_p_values_by_hand():
    # 1e-12: a few operations in double precision.
    assert hoeffding(0.0, 100, 0.1) == pytest.approx(math.exp(-2), rel=1e-12)
    assert hoeffding_bentkus(0.0, 100, 0.1) == pytest.approx(0.9**100, rel=1e-12)
    # One loss in two: Bentkus' e (1 - 0.1^2) is above 1, and the mean is above the level.
    assert hoeffding_bentkus(0.5, 2, 0.1) == 1
    # Five in a hundred: Bentkus' 0.157 is below exp(-100 h(0.05, 0.1)) = 0.188.
    bentkus = math.e * binom.cdf(5, 100, 0.1)
    assert hoeffding_bentkus(0.05, 100, 0.1) == pytest.approx(bentkus, rel=1e-12)
    assert binomial(0.05, 20, 0.5) == pytest.approx(21 / 2**20, rel=1e-12)


@given(COUNTS, LEVELS)
def test_each_p_value_is_no_larger_than_the_simpler_one(count, level):
    losses, n = count
    # 1e-12: where two are equal.
    exact, bentkus, simple = (
        p(losses / n, n, level) for p in (binomial, hoeffding_bentkus, hoeffding)
    )
    assert exact <= bentkus + 1e-12
    assert bentkus <= simple + 1e-12


@given(COUNTS, LEVELS, st.floats(0.01, 0.5))
def test_the_binomial_test_is_clopper_and_pearsons_bound(count, level, delta):
    losses, n = count
    bound = beta.ppf(1 - delta, losses + 1, n - losses) if losses < n else 1.0
    p = binomial(losses / n, n, level)
    if abs(bound - level) > 1e-6:  # where rounding does not decide
        assert (p <= delta) == (bound <= level)


@every_p_value
def test_a_level_of_0_cannot_be_certified_and_of_1_need_not_be(p_value):
    mean = np.array([0.0, 0.5, 1.0])
    assert p_value(mean, 50, 0.0).tolist() == [1, 1, 1]
    assert p_value(mean, 50, 1.0).tolist() == [0, 0, 0]


@every_p_value
@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
def test_a_mean_that_is_not_a_number_is_rejected_by_nobody(p_value, level):
    assert not p_value(np.nan, 50, level) <= 0.05


@every_p_value
def test_p_values_of_many_means_are_those_of_each(p_value):
    mean = np.array([[0.0, 0.02], [0.05, 0.3]])
    alone = [[float(p_value(m, 100, 0.1)) for m in row] for row in mean]
    np.testing.assert_array_equal(p_value(mean, 100, 0.1), alone)


def test_a_count_that_is_rounded_up_in_its_mean_is_the_same_count():
    mean = 0.1 + 0.2
    assert math.ceil(10 * mean) == 4
    assert hoeffding_bentkus(mean, 10, 0.9) == hoeffding_bentkus(0.3, 10, 0.9)
