import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.choice import GRID, outcomes
from ee_jax.calibration.empirical import choose_for_depth
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from tests.calibration.small_traces import traces


@given(traces(), st.floats(1, 5))
def test_the_largest_threshold_within_the_budget(trace, budget):
    depth_K = outcomes(trace).depth_KN.mean(1)
    fit = GRID[depth_K <= budget]
    if not fit.size:
        with pytest.raises(UserError, match=r"^no mean depth of .*: allow as many, or add"):
            choose_for_depth(trace, budget)
    else:
        choice = choose_for_depth(trace, budget)
        assert choice.threshold == fit.max()
        assert choice.depth <= budget


def test_what_cannot_be_had_is_said_in_one_line():
    trace = Trace(np.full((2, 2), 0.5, np.float32), np.zeros((2, 2)), np.array([3, 6]))
    assert choose_for_depth(trace, 3).threshold == 0.49
    message = "no mean depth of 2: the smallest threshold, 0, runs 3.00 blocks"
    with pytest.raises(UserError, match=message):
        choose_for_depth(trace, 2)
