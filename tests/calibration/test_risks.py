import numpy as np
import pytest

from ee_jax.calibration.risks import (
    RISKS,
    brier_inconsistency,
    brier_loss,
    inconsistency,
    performance_gap,
    squared_loss,
    zero_one_loss,
)
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError


def test_a_gap_is_never_below_the_full_model():
    loss_NE = np.array([[0.75, 0.0, 0.25], [0.0, 1.0, 1.0]])
    assert performance_gap(loss_NE).tolist() == [[0.5, 0, 0], [0, 0, 0]]


def test_zero_one_losses_by_hand():
    prediction_NE = np.array([[0, 1, 1], [2, 0, 2]])
    assert inconsistency(prediction_NE).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert zero_one_loss(prediction_NE, np.array([0, 2])).tolist() == [[0, 1, 1], [0, 1, 0]]


def test_losses_of_a_regression_by_hand():
    """Off by 1 and 2.5 of a range of 5; and by 6, which is beyond it."""
    prediction_NE = np.array([[2.0, 5.5], [11.0, 5.0]])
    loss_NE = squared_loss(prediction_NE, np.array([3.0, 5.0]), (0, 5))
    assert loss_NE.tolist() == [[pytest.approx(0.04), 0.25], [1, 0]]
    unlike_NE = inconsistency(prediction_NE, (-1.0, 9.0))
    assert unlike_NE.tolist() == [[pytest.approx(0.1225), 0], [pytest.approx(0.36), 0]]


def test_consistency_of_a_trace_of_a_regression():
    columns = np.ones((1, 2), np.float32), np.zeros((1, 2)), np.array([1, 2])
    trace = Trace(*columns, np.array([[1.0, 2.0]]), None, {"label_range": [0, 5]})
    assert RISKS["consistency"](trace).tolist() == [[pytest.approx(0.04), 0]]


def test_brier_losses_by_hand():
    prob_NEC = np.array([[[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]]])
    assert brier_loss(prob_NEC, np.array([0])).tolist() == [[0, 0.25, 1]]
    assert brier_inconsistency(prob_NEC).tolist() == [[1, 0.25, 0]]


def test_brier_inconsistency_is_the_loss_to_expect_if_labels_came_from_the_full_model():
    prob_NEC = np.random.default_rng(0).dirichlet(np.ones(4), size=(5, 3))
    loss_by_label = [brier_loss(prob_NEC, np.full(5, label)) for label in range(4)]
    expected_NE = np.einsum("lne,nl->ne", loss_by_label, prob_NEC[:, -1])
    above_NE = expected_NE - expected_NE[:, -1:]
    # 1e-12: sums of a few products.
    np.testing.assert_allclose(brier_inconsistency(prob_NEC), above_NE, atol=1e-12)


def test_consistency_needs_predictions_and_the_gap_does_not():
    trace = Trace(np.ones((1, 2), np.float32), np.array([[1.0, 0.5]]), np.array([1, 2]))
    assert RISKS["gap"](trace).tolist() == [[0.5, 0]]
    with pytest.raises(UserError, match="consistency needs `prediction_NE`: write it, or use"):
        RISKS["consistency"](trace)
