import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.choice import GRID, exits_taken, outcomes, predictions
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import Stopping
from tests.calibration.small_traces import CONFIDENCES, traces

TRACE = Trace(
    confidence_NE=np.array([[0.2, 0.6, 0.9], [0.7, 0.7, 1.0], [1.0, 1.0, 0.1]], np.float32),
    loss_NE=np.array([[1.0, 0.5, 0.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]),
    depth_E=np.array([2, 4, 6]),
)


def first_exit_in_plain_python(trace, example, thresholds, min_depth, patience):
    last, agreed, before = len(trace.depth_E) - 1, 0, None
    for exit, depth in enumerate(trace.depth_E):
        prediction = trace.prediction_NE[example, exit]
        agreed = agreed + 1 if prediction == before else 0
        before = prediction
        sure = trace.confidence_NE[example, exit] > thresholds[exit]
        if exit == last or (sure and depth >= min_depth and agreed >= patience):
            return exit


@given(traces(), st.data(), st.integers(1, 6), st.integers(0, 2))
def test_exits_are_those_of_a_plain_loop(trace, data, min_depth, patience):
    exits, examples = len(trace.depth_E), len(trace.loss_NE)
    one_each = st.lists(st.sampled_from(CONFIDENCES), min_size=exits, max_size=exits)
    threshold_KE = np.array(data.draw(st.lists(one_each, min_size=2, max_size=2)))
    expected_KN = [
        [
            first_exit_in_plain_python(trace, example, threshold_E, min_depth, patience)
            for example in range(examples)
        ]
        for threshold_E in threshold_KE
    ]
    exit_KN = exits_taken(trace, threshold_KE, Stopping(min_depth=min_depth, patience=patience))
    assert exit_KN.tolist() == expected_KN


def test_outcomes_by_hand():
    # 0.7 is not above 0.7 in float32, in which the compiled loop compares.
    found = outcomes(TRACE, np.array([1.0, 0.7, 0.5]))
    assert found.depth_KN.tolist() == [[6, 6, 6], [6, 6, 2], [4, 2, 2]]
    assert found.loss_KN.tolist() == [[0, 1, 0], [0, 1, 1], [0.5, 0, 1]]


@given(traces(), st.integers(1, 6), st.integers(0, 2))
def test_a_threshold_of_1_is_the_full_model(trace, min_depth, patience):
    found = outcomes(trace, np.array([1.0]), Stopping(min_depth=min_depth, patience=patience))
    assert (found.depth_KN == trace.depth_E[-1]).all()
    assert (found.loss_KN[0] == trace.full_loss_N).all()


@given(traces(), st.integers(1, 6))
def test_depth_falls_as_the_threshold_falls(trace, min_depth):
    depth_KN = outcomes(trace, GRID, Stopping(min_depth=min_depth)).depth_KN
    assert (np.diff(depth_KN, axis=0) <= 0).all()


def test_thresholds_of_the_grid_are_those_that_a_person_types():
    assert GRID[0] == 1
    assert GRID[-1] == 0
    assert GRID[30] == 0.7


def test_patience_needs_predictions():
    with pytest.raises(UserError, match="no `prediction_NE`: write it, or set patience to 0"):
        outcomes(TRACE, GRID, Stopping(patience=1))


def test_answers_of_a_regression_are_never_quite_equal():
    columns = np.full((2, 2), 0.5, np.float32), np.zeros((2, 2)), np.array([1, 2])
    trace = Trace(*columns, np.full((2, 2), 1.5), np.zeros(2), {"label_range": [0, 5]})
    assert predictions(trace, np.array([0.4])).tolist() == [[1.5, 1.5]]
    with pytest.raises(
        UserError, match="answers of a regression are the same: set patience to 0"
    ):
        exits_taken(trace, np.array([0.4]), Stopping(patience=1))
