import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.choice import GRID, at_exits, exits_taken, last_accepted
from ee_jax.calibration.crc import accepts, rising
from ee_jax.calibration.risks import performance_gap
from ee_jax.exits.stopping import Stopping
from tests.calibration.small_traces import traces


def test_the_condition_by_hand():
    # 19 examples without a loss certify 0.05, 18 do not; at 39 one loss may be among them.
    assert accepts(np.array(0.0), 19, 0.05)
    assert not accepts(np.array(0.0), 18, 0.05)
    assert accepts(np.array(1 / 39), 39, 0.05)
    assert not accepts(np.array(1.1 / 39), 39, 0.05)


def test_a_level_of_0_cannot_be_certified_and_of_1_need_not_be():
    mean = np.array([0.0, 0.5, 1.0])
    assert accepts(mean, 10**6, 0.0).tolist() == [False] * 3
    assert accepts(mean, 1, 1.0).tolist() == [True] * 3


def test_a_mean_that_is_not_a_number_is_not_accepted():
    assert not accepts(np.array(np.nan), 100, 1.0)


def test_rising_losses_by_hand():
    risk_KN = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.5], [0.5, 0.25]])
    assert rising(risk_KN).tolist() == [[0, 0], [1, 0], [1, 0.5], [1, 0.5]]


@given(traces(), st.sampled_from((0.0, 0.1, 0.2, 0.5, 1.0)), st.integers(0, 2))
def test_each_example_left_out_in_turn_loses_no_more_than_the_level_on_average(
    trace, level, patience
):
    # The guarantee itself: which of the examples came last is chance, so this mean over who did
    # is the expectation.
    exit_KN = exits_taken(trace, GRID, Stopping(patience=patience))
    risk_KN = at_exits(performance_gap(trace.loss_NE), exit_KN)
    prepared_KN, examples = rising(risk_KN), risk_KN.shape[1]
    lost = []
    for n in range(examples):
        rest_KN = np.delete(prepared_KN, n, axis=1)
        mean_K = rest_KN.mean(1) if examples > 1 else np.zeros(len(GRID))
        k = last_accepted(accepts(mean_K, examples - 1, level))
        lost.append(risk_KN[k, n])
    # 1e-9: what `accepts` forgives for rounding.
    assert np.mean(lost) <= level + 1e-9
