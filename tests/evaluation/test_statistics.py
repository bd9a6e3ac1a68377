"""Against enumeration by hand, McNemar's test, and areas that a ruler gives."""

import itertools

import numpy as np
import pytest
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.evaluation.statistics import (
    Interval,
    area_under_curve,
    bootstrap_interval,
    paired_permutation_test,
    seed_interval,
)


def test_three_pairs_that_agree_have_p_a_quarter():
    """Eight sign patterns; +++ and --- are as far out as what was seen: 2 / 8."""
    found = paired_permutation_test(np.array([1, 1, 1, 0]), np.array([0, 0, 0, 0]))
    assert found == (0.75, 0.25)


def test_every_swap_of_unequal_differences():
    """Differences 3, 2, -1: sums 4, -2, 0, -6, 6, 0, 2, -4. At least 4 in size: 4 of 8."""
    first_N, second_N = np.array([3.0, 2.0, 0.0, 5.0]), np.array([0.0, 0.0, 1.0, 5.0])
    assert paired_permutation_test(first_N, second_N) == (1.0, 0.5)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=12))
def test_on_right_and_wrong_it_is_mcnemars_exact_test(pairs):
    first_N, second_N = np.array(pairs).T
    better = int(np.sum(first_N & ~second_N))
    unequal = better + int(np.sum(second_N & ~first_N))
    exact = scipy.stats.binomtest(better, unequal).pvalue if unequal else 1.0
    found = paired_permutation_test(first_N, second_N)
    assert found.p_value == pytest.approx(exact, abs=1e-12)


def test_random_swaps_come_near_the_exact_test():
    """40 better of 60: 2^60 swaps are not enumerated. 9,999 draws: 4 sigma is 0.005."""
    first_N = np.array([1] * 40 + [0] * 20)
    found = paired_permutation_test(first_N, 1 - first_N)
    assert found.p_value == pytest.approx(scipy.stats.binomtest(40, 60).pvalue, abs=0.005)


def test_equal_systems_do_not_differ():
    assert paired_permutation_test(np.ones(3), np.ones(3)) == (0.0, 1.0)


def test_percentiles_of_two_examples_are_the_examples():
    """Means of draws of (0, 1): 0, 1/2, 1 with 1/4, 1/2, 1/4; 2.5 % from below is 0."""
    found = bootstrap_interval(np.mean, np.array([0.0, 1.0]), method="percentile")
    assert found == (0.0, 1.0)


def test_percentiles_against_all_draws_of_four_examples():
    value_N = np.array([0.0, 1.0, 2.0, 7.0])
    means = [np.mean(draw) for draw in itertools.product(value_N, repeat=4)]
    found = bootstrap_interval(np.mean, value_N, level=0.8, method="percentile")
    # The 10 % and 90 % points of the 256 means; the draws may fall one step of 1/4 beside.
    assert found == pytest.approx(np.quantile(means, (0.1, 0.9)), abs=0.25)


def test_bca_leans_towards_the_long_tail():
    value_N = np.random.default_rng(0).exponential(size=50)
    plain = bootstrap_interval(np.mean, value_N, method="percentile")
    corrected = bootstrap_interval(np.mean, value_N)
    assert corrected.low > plain.low
    assert corrected.high > plain.high


def test_examples_are_drawn_whole():
    """Were the columns drawn apart, answers would not match their labels."""
    label_N = np.array([0, 1, 2, 3, 4, 5])
    found = bootstrap_interval(lambda a, b: np.mean(a == b), label_N, label_N)
    assert found == (1.0, 1.0)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 200 intervals of 90 %, 180 cover on average; 166 to 192 but in 2 of 1000 worlds."""
    draw = np.random.default_rng(0)
    covers = [
        low <= 0.7 <= high
        for low, high in (
            bootstrap_interval(np.mean, draw.random(80) < 0.7, level=0.9, resamples=199)
            for _ in range(200)
        )
    ]
    assert 166 <= sum(covers) <= 192


def test_seeds():
    assert seed_interval([0.9]) is None
    assert seed_interval([0.9, 0.9, 0.9]) == (0.9, 0.9)
    found = seed_interval([0.5, 0.75, 1.0])  # exact in binary
    assert isinstance(found, Interval)
    assert 0.5 <= found.low < 0.75 < found.high <= 1.0


CURVE = np.array([1.0, 2.0, 4.0]), np.array([0.5, 0.7, 0.9])


@pytest.mark.parametrize(
    ("low", "high", "area"),
    [
        (1, 2, 0.6),
        (2, 4, 0.8),
        (1, 4, (0.6 + 2 * 0.8) / 3),
        (1.5, 3, (0.5 * 0.65 + 1 * 0.75) / 1.5),  # 0.6 at 1.5, 0.8 at 3
        (3, 3.5, 0.825),  # between two points
    ],
)
def test_area_by_hand(low, high, area):
    assert area_under_curve(*CURVE, low, high) == pytest.approx(area)


def test_points_may_come_in_any_order_and_twice():
    depth_P, quality_P = np.array([4.0, 1.0, 2.0, 2.0]), np.array([0.9, 0.5, 0.6, 0.8])
    assert area_under_curve(depth_P, quality_P, 1, 4) == pytest.approx((0.6 + 1.6) / 3)


@pytest.mark.parametrize(("low", "high"), [(0.5, 2), (1, 5), (2, 2), (3, 2)])
def test_no_area_where_there_is_no_curve(low, high):
    with pytest.raises(ValueError, match=f"no curve from {low} to {high}"):
        area_under_curve(*CURVE, low, high)
