import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.choice import at_exits, exits_taken
from ee_jax.calibration.conformal import (
    CONFORMAL,
    choose_conformal,
    exit_thresholds,
    shared_threshold,
    upper_quantile,
)
from ee_jax.calibration.risks import inconsistency
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import Stopping
from tests.calibration.small_traces import CONFIDENCES, traces

SCORES = st.lists(st.sampled_from(CONFIDENCES[1:]), min_size=1, max_size=30)


def test_the_quantile_by_hand():
    score_N = np.arange(1, 20) / 20
    # 19 scores: the twentieth is the largest with a chance of 1 in 20, at 0.95 (19 + 1) = 19.
    assert upper_quantile(score_N, 0.05) == 0.95
    assert upper_quantile(score_N, 0.1) == 0.9
    assert upper_quantile(score_N, 0.04) == 1
    assert upper_quantile(score_N[:18], 0.05) == 1
    assert upper_quantile(score_N[:0], 0.5) == 1
    assert upper_quantile(score_N, 0.0) == 1
    assert upper_quantile(score_N, 1.0) == 0


@given(SCORES, st.floats(0, 1))
def test_a_score_is_above_the_quantile_of_the_others_as_seldom_as_promised(scores, level):
    # Which of the scores came last is chance: this share is the probability.
    above = [
        score > upper_quantile(np.delete(np.array(scores), n), level)
        for n, score in enumerate(scores)
    ]
    # 1e-9: what `upper_quantile` forgives for rounding.
    assert np.mean(above) <= level + 1e-9


@pytest.mark.parametrize("find", [shared_threshold, exit_thresholds])
@given(trace=traces(), level=st.sampled_from((0.0, 0.2, 0.5, 0.9)), patience=st.integers(0, 2))
def test_each_example_left_out_in_turn_stops_badly_as_seldom_as_promised(
    find, trace, level, patience
):
    risk_NE = inconsistency(np.asarray(trace.prediction_NE))
    bad_NE = risk_NE == 1
    found = []
    for n in range(len(bad_NE)):
        found_K = find(np.delete(trace.confidence_NE, n, 0), np.delete(bad_NE, n, 0))
        exit_KN = exits_taken(trace, found_K([level]), Stopping(patience=patience))
        found.append(at_exits(risk_NE, exit_KN)[0, n])
    has_bad_N = bad_NE.any(1)
    if has_bad_N.any():
        assert np.mean(np.array(found)[has_bad_N]) <= level + 1e-9


TRACE = Trace(
    confidence_NE=np.array([[0.2, 0.4, 1.0], [0.6, 0.8, 1.0], [0.9, 0.1, 1.0]], np.float32),
    loss_NE=np.zeros((3, 3)),
    depth_E=np.array([2, 4, 6]),
    prediction_NE=np.array([[1, 1, 0], [0, 1, 1], [1, 1, 1]]),
)


def test_thresholds_by_hand():
    # Bad are the first example's first two exits (at most 0.4) and the second's first (0.6).
    shared = choose_conformal(TRACE, "conformal", "consistency", 0.5)
    assert shared.threshold == pytest.approx(0.6)
    assert (shared.depth, shared.risk) == ((6 + 4 + 2) / 3, 0)
    # A quarter for each exit: too few bad ones to know that.
    each = choose_conformal(TRACE, "conformal_per_exit", "consistency", 0.5)
    assert each.threshold == (1, 1, 1)
    assert each.ended == "too few examples"
    few = "only 2 examples have a bad exit, 3 would do: using the full model"
    assert each.warning == few
    # At 3/4 the first exit's larger bad confidence will do, and the second's only one does not.
    each = choose_conformal(TRACE, "conformal_per_exit", "consistency", 0.75)
    assert each.threshold == (pytest.approx(0.6), 1, 1)


def test_too_few_examples_are_counted_and_the_full_model_answers():
    choice = choose_conformal(TRACE, "conformal", "consistency", 0.05)
    assert choice.is_full_model
    assert (choice.depth, choice.risk) == (6, 0)
    few = "only 2 examples have a bad exit, 19 would do: using the full model"
    assert choice.warning == few
    none = choose_conformal(TRACE, "conformal", "consistency", 0.0)
    assert none.warning.endswith("none would do: using the full model")


def test_one_exit_is_the_full_model():
    trace = Trace(np.ones((30, 1), np.float32), np.ones((30, 1)), np.array([6]))
    for method in CONFORMAL:
        assert choose_conformal(trace, method, "gap", 0.5).depth == 6


def test_half_a_loss_is_refused():
    trace = Trace(np.ones((1, 2), np.float32), np.array([[0.5, 0.0]]), np.array([1, 2]))
    with pytest.raises(UserError, match="conformal needs a risk of 0 or 1: use crc"):
        choose_conformal(trace, "conformal", "gap", 0.1)
