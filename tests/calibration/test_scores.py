import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import log_softmax

from ee_jax.calibration.scores import (
    T_MAX,
    T_MIN,
    auroc,
    brier,
    expected_calibration_error,
    fit_temperature,
    reliability,
)

# Two classes whose logits differ by 2; 3 of 4 answers are right.
LOGITS = np.array([[2.0, 0.0]] * 4)
LABELS = np.array([0, 0, 0, 1])


def test_temperature_by_hand():
    # The best T makes the confidence 3/4: 1 / (1 + exp(-2 / T)) = 3/4. 1e-9: brentq's default.
    assert fit_temperature(LOGITS, LABELS) == pytest.approx(2 / math.log(3), rel=1e-9)


@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_logits_in_another_unit_have_a_temperature_in_that_unit(scale):
    expected = scale * fit_temperature(LOGITS, LABELS)
    assert fit_temperature(scale * LOGITS, LABELS) == pytest.approx(expected, rel=1e-9)


def test_no_temperature_on_a_fine_grid_has_a_lower_nll():
    rng = np.random.default_rng(0)
    logits_NC = 4 * rng.normal(size=(200, 5))
    label_N = np.where(rng.random(200) < 0.5, logits_NC.argmax(1), rng.integers(5, size=200))

    def nll(t):
        return -log_softmax(logits_NC / t, axis=1)[np.arange(200), label_N].mean()

    grid = np.geomspace(T_MIN, T_MAX, 2000)
    assert nll(fit_temperature(logits_NC, label_N)) <= min(map(nll, grid))


@pytest.mark.parametrize(
    ("logits", "labels", "expected"),
    [
        (LOGITS, [0, 0, 0, 0], T_MIN),  # every answer right: the NLL falls for ever
        (1e5 * LOGITS, [0, 0, 0, 0], 1.0),  # ... to an NLL of exactly 0 at every T
        (1e3 * LOGITS, [0, 0, 0, 0], T_MIN),  # ... which it reaches on the way
        (LOGITS, [1, 1, 1, 1], T_MAX),  # every answer wrong
        (LOGITS, [0, 0, 1, 1], T_MAX),  # no better than chance
        (1e4 * LOGITS, [0, 0, 0, 1], T_MAX),  # the best T is out of bounds
        (0 * LOGITS, [0, 1, 0, 1], 1.0),  # no T makes a difference
        (LOGITS[:1], [0], T_MIN),  # one example
    ],
)
def test_temperature_at_its_bounds(logits, labels, expected):
    assert fit_temperature(logits, np.array(labels)) == expected


def test_bins_are_open_below_and_closed_above_with_0_in_the_first():
    confidence_N = np.array([0.0, 0.5, 0.50001, 1.0])
    diagram = reliability(confidence_N, np.array([True, False, True, True]), bins=2)
    assert diagram.count_K.tolist() == [2, 2]
    assert diagram.accuracy_K.tolist() == [0.5, 1]
    # 1e-12: two additions in double precision.
    np.testing.assert_allclose(diagram.confidence_K, [0.25, 0.750005], rtol=1e-12)


def test_an_empty_bin_has_no_means():
    diagram = reliability(np.array([0.1, 0.9]), np.array([True, True]), bins=3)
    assert diagram.count_K.tolist() == [1, 0, 1]
    assert np.isnan(diagram.accuracy_K).tolist() == [False, True, False]
    assert np.isnan(diagram.confidence_K).tolist() == [False, True, False]


def test_calibration_error_by_hand():
    confidence_N = np.array([0.15, 0.25, 0.95, 0.85])
    correct_N = np.array([False, True, True, True])
    # Below 1/2: mean confidence 0.2, accuracy 0.5; above: 0.9, 1. Half the examples each.
    expected = 0.5 * 0.3 + 0.5 * 0.1
    error = expected_calibration_error(confidence_N, correct_N, bins=2)
    assert error == pytest.approx(expected, rel=1e-12)


def test_calibration_error_misses_a_confidence_that_tells_nothing():
    correct_N = np.array([True, True, True, False])
    same_N = np.full(4, 0.75)
    assert expected_calibration_error(same_N, correct_N) == 0
    assert auroc(same_N, correct_N) == 0.5


@given(
    st.integers(1, 20).flatmap(
        lambda n: st.tuples(arrays(int, n, elements=st.integers(0, 5)), arrays(bool, n))
    )
)
def test_auroc_is_the_share_of_pairs_in_order(pair):
    score_N, correct_N = pair
    wins = [
        (right > wrong) + 0.5 * (right == wrong)
        for right in score_N[correct_N]
        for wrong in score_N[~correct_N]
    ]
    if not wins:
        assert math.isnan(auroc(score_N, correct_N))
    else:
        # 1e-12: ranks and their sum are exact halves; only the last division rounds.
        assert auroc(score_N, correct_N) == pytest.approx(np.mean(wins), rel=1e-12)


def test_brier_by_hand():
    score = brier(np.array([1.0, 0.5, 0.0]), np.array([True, False, True]))
    assert score == pytest.approx((0 + 0.25 + 1) / 3, rel=1e-12)
