"""P-values and bounds against exact fractions, scipy's distributions and double precision."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import bdtr
from scipy.stats import binom

from ee_jax.calibration import crc
from ee_jax.calibration.ltt import binomial, hoeffding, hoeffding_bentkus
from ee_jax.calibration.methods import to_unit
from ee_jax.calibration.ucb import Gambler

SIZES = st.sampled_from([1, 2, 3, 10, 59, 300, 5000, 25_000, 10**6])
LEVELS = st.one_of(
    st.floats(1e-6, 1 - 1e-6), st.sampled_from([1e-12, 1e-6, 0.05, 0.5, 1 - 1e-6])
)


@st.composite
def counts(draw):
    """Losses of n examples: none, all, a few, about at the level, or any; and the level."""
    n, level = draw(SIZES), draw(LEVELS)
    at = int(level * n)
    near = st.integers(max(0, at - 3), min(n, at + 3))
    few = st.integers(0, min(n, 3))
    return draw(st.one_of(st.just(0), st.just(n), few, near, st.integers(0, n))), n, level


def exact_cdf(count, n, level):
    """P(Bin(n, level) <= count), as a fraction of whole numbers."""
    q = Fraction(level)
    terms = (math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(count + 1))
    return sum(terms, Fraction(0))


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), LEVELS)
def test_the_binomial_tail_is_the_fraction(count, level):
    losses, n = count
    p = float(binomial(losses / n, n, level))
    # 1e-10: that of scipy's incomplete beta function at its worst.
    assert p == pytest.approx(float(exact_cdf(losses, n, level)), rel=1e-10, abs=1e-300)


@given(counts())
def test_the_binomial_tail_is_scipys_for_any_number_of_examples(case):
    losses, n, level = case
    expected = binom.cdf(losses, n, level)
    # 1e-9: two algorithms; tails below the least double are 0 in one and tiny in the other.
    assert float(binomial(losses / n, n, level)) == pytest.approx(
        expected, rel=1e-9, abs=1e-290
    )


def test_the_binomial_tail_of_a_million_by_symmetry():
    """The tail beside the middle at 1/2 is one half less the middle's terms: a fraction.

    And what the formula's docstring says of `bdtr`.
    """
    n, half = 10**6, 5 * 10**5
    middle = Fraction(math.comb(n, half), 2**n)
    down, further = Fraction(half, half + 1), Fraction(half - 1, half + 2)
    below = Fraction(1, 2) - middle / 2 - middle * down - middle * down * further
    # 1e-10: that of scipy's incomplete beta function at its worst.
    assert float(binomial((half - 3) / n, n, 0.5)) == pytest.approx(float(below), rel=1e-10)
    off = bdtr(float(half - 3), n, 0.5) / float(below) - 1
    assert abs(off) == pytest.approx(3e-9, rel=0.2)


@given(counts())
def test_hoeffdings_exponent_in_fractions(case):
    losses, n, level = case
    below = max(Fraction(0), Fraction(level) - Fraction(losses, n))
    expected = math.exp(-2 * float(n * below * below))
    # 1e-9: n times the square of a difference that is rounded at 1e-16, n up to a million.
    assert float(hoeffding(losses / n, n, level)) == pytest.approx(
        expected, rel=1e-9, abs=1e-290
    )


def entropy_with_logarithms(a, b):
    """a ln(a / b) + (1 - a) ln((1 - a) / (1 - b)), with 0 ln 0 = 0."""
    first = a * math.log(a / b) if a > 0 else 0.0
    last = (1 - a) * (math.log1p(-a) - math.log1p(-b)) if a < 1 else 0.0
    return first + last


@given(counts())
def test_hoeffding_bentkus_is_the_smaller_of_the_two(case):
    losses, n, level = case
    low = min(losses / n, level)
    sharp = math.exp(-n * entropy_with_logarithms(low, level))
    bentkus = math.e * binom.cdf(losses, n, level)
    # 1e-8: n times an entropy that is rounded at 1e-16, n up to a million, as above.
    found = float(hoeffding_bentkus(losses / n, n, level))
    assert found == pytest.approx(min(1.0, sharp, bentkus), rel=1e-8, abs=1e-290)


@given(counts(), st.floats(1e-6, 0.5))
def test_p_values_rise_with_the_losses_and_fall_with_the_level(case, delta):
    losses, n, level = case
    for p_value in (binomial, hoeffding, hoeffding_bentkus):
        here = float(p_value(losses / n, n, level))
        assert 0 <= here <= 1
        if losses < n:
            # 1e-9: rounding, as above.
            assert float(p_value((losses + 1) / n, n, level)) >= here * (1 - 1e-9)
        assert float(p_value(losses / n, n, min(1.0, level * 1.5))) <= here * (1 + 1e-9)


@given(counts())
def test_risk_control_in_fractions(case):
    """(n mean + 1) / (n + 1) <= level, where rounding does not decide."""
    losses, n, level = case
    left, right = Fraction(losses + 1), (n + 1) * Fraction(level)
    if abs(left - right) > Fraction(crc.ROUNDING) * 2:
        assert bool(crc.accepts(np.array(losses / n), n, level)) == (left <= right)


@given(counts(), st.sampled_from([-1.0, -0.25, 0.0]))
def test_risk_control_is_the_same_of_losses_that_are_moved_to_0_and_1(case, low):
    losses, n, level = case
    mean = low + (1 - low) * losses / n
    moved = crc.accepts(to_unit(mean, low), n, float(to_unit(level, low)))
    plain = n * Fraction(mean) + 1 <= (n + 1) * Fraction(level)
    if abs(n * Fraction(mean) + 1 - (n + 1) * Fraction(level)) > Fraction(1, 10**6):
        assert bool(moved) == plain


@given(st.sampled_from([1, 2, 59, 300, 5000]), st.floats(0, 1), LEVELS, st.floats(0.001, 0.5))
def test_the_betting_bound_never_accepts_a_mean_that_is_above_the_level(n, share, level, delta):
    """Where all examples lose the same, the truth is known: no bet on less is won."""
    gambler = Gambler.of(np.full(n, share), delta)
    if share >= level:
        assert not gambler.wins(level)


@pytest.mark.parametrize("n", [1, 59, 10**6])
@pytest.mark.parametrize("level", [1e-12, 1e-6, 0.05, 1 - 1e-6])
def test_no_loss_at_all_in_closed_form(n, level):
    expected = math.exp(n * math.log1p(-level))
    for p_value in (binomial, hoeffding_bentkus):
        # 1e-8: n times a logarithm that is rounded at 1e-16.
        assert float(p_value(0.0, n, level)) == pytest.approx(expected, rel=1e-8, abs=1e-290)
    assert hoeffding_bentkus(1.0, n, level) == binomial(1.0, n, level) == 1
