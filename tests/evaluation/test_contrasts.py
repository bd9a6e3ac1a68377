"""Weighted sums of qualities against numbers worked out by hand, and by brute force."""

import numpy as np
import pytest

from ee_jax.evaluation.contrasts import area_weights, draw, holm, line_weights
from ee_jax.evaluation.metrics import METRICS
from ee_jax.evaluation.statistics import area_under_curve


@pytest.mark.parametrize(
    ("place", "weights"),
    [
        (0.4, [0.0, 0.0, 1.0]),  # a point itself
        (1.0, [1.0, 0.0, 0.0]),
        (0.85, [0.5, 0.5, 0.0]),  # halfway from .7 to 1
        (0.5, [0.0, 1 / 3, 2 / 3]),  # a third of the way from .4 to .7
        (0.39, None),
        (1.01, None),
        (float("nan"), None),
    ],
)
def test_the_line_between_the_two_next_to_a_place(place, weights):
    found = line_weights(place, np.array([1.0, 0.7, 0.4]))
    assert (found if found is None else found.tolist()) == (
        weights if weights is None else pytest.approx(weights)
    )


def test_the_line_is_numpys_interpolation():
    rng = np.random.default_rng(0)
    for _ in range(50):
        place_K, quality_K = rng.permutation(rng.random(5)), rng.random(5)
        order = np.argsort(place_K)
        place = rng.uniform(place_K.min(), place_K.max())
        wanted = np.interp(place, place_K[order], quality_K[order])
        weight_K = line_weights(place, place_K)
        assert weight_K is not None
        assert weight_K @ quality_K == pytest.approx(wanted)


def test_points_of_one_time_and_no_point_within():
    """Two models that took the same time: the first of them, not a division by 0."""
    np.testing.assert_array_equal(line_weights(0.5, np.array([0.5, 0.5])), [1.0, 0.0])


def test_the_area_is_that_of_the_curve():
    rng = np.random.default_rng(1)
    depth_P, quality_P = np.array([1.0, 2.0, 2.0, 3.5, 6.0]), rng.random(5)
    weight_P = area_weights(depth_P, 1.5, 5.0)
    wanted = area_under_curve(depth_P, quality_P, 1.5, 5.0)
    assert weight_P @ quality_P == pytest.approx(wanted)
    assert weight_P.sum() == pytest.approx(1.0)


@pytest.mark.parametrize("name", ["accuracy", "matthews"])
def test_the_bootstrap_by_brute_force(name):
    """Each draw by itself: take the examples, judge both models on them, subtract."""
    rng, metric = np.random.default_rng(2), METRICS[name]
    label_N = rng.integers(2, size=60)
    first_N = np.where(rng.random(60) < 0.8, label_N, 1 - label_N)
    second_N = np.where(rng.random(60) < 0.7, label_N, 1 - label_N)
    found = draw(metric, [first_N, second_N], label_N, draws=199, seed=5).contrast(
        np.array([1.0, -1.0])
    )
    draws, differences = np.random.default_rng(5), []
    for _ in range(199):
        rows = [int(row) for row in draws.integers(60, size=60)]
        one, other, labels = (
            np.array([column[row] for row in rows]) for column in (first_N, second_N, label_N)
        )
        differences.append(metric(one, labels) - metric(other, labels))
    low, high = np.quantile(differences, [0.025, 0.975])
    below = sum(difference <= 0 for difference in differences)
    above = sum(difference >= 0 for difference in differences)
    assert found.value == pytest.approx(metric(first_N, label_N) - metric(second_N, label_N))
    assert (found.low, found.high) == pytest.approx((low, high))
    assert found.p_value == pytest.approx(min(1, 2 * (1 + min(below, above)) / 200))


def test_what_models_share_cancels():
    """Two models that answer alike differ by nothing in every draw."""
    rng = np.random.default_rng(3)
    label_N, answer_N = rng.integers(2, size=(2, 40))
    drawn = draw(METRICS["accuracy"], [answer_N, answer_N], label_N, draws=99)
    assert drawn.contrast(np.array([1.0, -1.0])) == (0.0, 0.0, 0.0, 1.0)


def test_the_interval_holds_the_truth_as_often_as_it_says():
    """Of 200 samples of two models that are right in 80 and 70 %, some 190 have 10 points."""
    rng, held = np.random.default_rng(4), 0
    for _ in range(200):
        answer_AN = [(rng.random(150) < share).astype(int) for share in (0.8, 0.7)]
        drawn = draw(METRICS["accuracy"], answer_AN, np.ones(150, int), draws=299)
        found = drawn.contrast(np.array([1.0, -1.0]))
        held += found.low <= 0.1 <= found.high
    assert 180 <= held <= 198


def test_holm_by_hand():
    """.01 x 4; .02 x 3; .03 x 2; .5: none below the one before."""
    assert holm([0.5, 0.01, 0.03, 0.02]) == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.4, 0.9]) == pytest.approx([0.8, 0.9])
    assert holm([]) == []
