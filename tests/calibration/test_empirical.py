from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.choice import GRID, last_accepted, outcomes
from ee_jax.calibration.empirical import SLACK, choose_for_quality
from ee_jax.calibration.risks import zero_one_loss
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from tests.calibration.small_traces import traces


def few_losses(loss_N, _):
    """A quality, of a trace whose predictions are its losses."""
    return -float(loss_N.mean())


def choose_by_losses(trace, tolerance, *rule, **more):
    """What is lost counted in the trace's losses."""
    label_N = np.zeros(len(trace.loss_NE))
    trace = replace(trace, prediction_NE=trace.loss_NE, label_N=label_N)
    return choose_for_quality(trace, few_losses, tolerance, *rule, **more)


def trace_of(confidence, early_loss, full_loss):
    """Two exits; each list is over examples."""
    confidence_NE = np.stack([confidence, np.ones(len(confidence))], 1).astype(np.float32)
    loss_NE = np.stack([early_loss, full_loss], 1).astype(float)
    return Trace(confidence_NE, loss_NE, np.array([1, 2]))


@given(traces(), st.sampled_from((0.0, 0.1, 0.5, 1.0)))
def test_the_walk_stops_before_the_first_failure(trace, tolerance):
    limit = trace.full_loss_N.mean() + tolerance
    expected = 1.0
    for threshold, loss in zip(GRID, outcomes(trace).loss_KN.mean(1), strict=True):
        if loss > limit + SLACK:
            break
        expected = threshold
    choice = choose_by_losses(trace, tolerance)
    assert choice.threshold == expected
    assert choice.risk <= tolerance + SLACK


def test_a_choice_by_hand():
    # Examples stop early below 0.9, 0.6 and 0.3; the second and the third lose by it.
    trace = trace_of([0.9, 0.6, 0.3, 0.0], [0.0, 1.0, 1.0, 0.0], [0.0] * 4)
    choice = choose_by_losses(trace, 0.25)
    assert choice.threshold == 0.3
    assert choice.risk == 0.25
    assert choice.depth == 1.5
    assert choice.examples == 4
    assert choice.ended == "next candidate failed"
    assert not choice.is_full_model


def test_a_lower_threshold_that_is_fine_again_is_left_alone():
    # At 0.6 one answer of two is lost; at 0.3 another is won and the mean is back.
    trace = trace_of([0.7, 0.4], [1.0, 0.0], [0.0, 1.0])
    found = outcomes(trace, np.array([1.0, 0.6, 0.3]))
    assert found.loss_KN.mean(1).tolist() == [0.5, 1.0, 0.5]
    choice = choose_by_losses(trace, 0.0)
    assert choice.threshold == 0.7


def test_nothing_may_be_lost_and_everything_would_be():
    # A confidence of exactly 1 does not stop at 1, and does at 0.99.
    choice = choose_by_losses(trace_of([1.0], [1.0], [0.0]), 0.0)
    assert choice.threshold == 1
    assert choice.is_full_model
    assert choice.depth == 2
    assert choice.ended == "next candidate failed"


def test_the_record_says_that_the_grid_ended():
    trace = trace_of([0.5], [0.0], [0.0])
    assert choose_by_losses(trace, 0.0).ended == "edge of the grid"
    assert choose_by_losses(trace, 0.0).threshold == 0
    only = choose_by_losses(trace, 0.0, np.array([1.0]))
    assert (only.threshold, only.ended) == (1, "edge of the grid")


def test_one_exit_is_the_full_model_at_every_threshold():
    trace = Trace(np.ones((3, 1), np.float32), np.ones((3, 1)), np.array([6]))
    choice = choose_by_losses(trace, 0.0)
    assert (choice.depth, choice.risk, choice.ended) == (6, 0, "edge of the grid")


def test_a_loss_at_exactly_the_tolerance_passes_whatever_is_rounded():
    assert 0.4 - 0.1 > 0.3
    assert choose_by_losses(trace_of([0.5], [0.4], [0.1]), 0.3).threshold == 0


@pytest.mark.parametrize("candidates", [(0.9, 0.5), (1.0, 0.5, 0.5), (1.0, 0.2, 0.5)])
def test_candidates_fall_from_1(candidates):
    trace = trace_of([0.5], [0.0], [0.0])
    with pytest.raises(UserError, match="candidate thresholds must fall from 1"):
        choose_by_losses(trace, 0.0, np.array(candidates))


@pytest.mark.parametrize(
    ("ok", "expected"),
    [([1, 1, 0, 1], 1), ([1, 0, 0], 0), ([1, 1, 1], 2), ([0, 1, 0], 1), ([0, 0], 0), ([1], 0)],
)
def test_the_last_accepted_is_before_the_first_failure(ok, expected):
    assert last_accepted(np.array(ok, bool)) == expected


def share_right(prediction_N, label_N):
    return float(np.mean(prediction_N == label_N))


def answers(confidence, early, full, label):
    """A trace of two exits, of their answers; each list is over examples."""
    prediction_NE, label_N = np.stack([early, full], 1), np.array(label)
    trace = trace_of(confidence, early, full)
    return replace(
        trace,
        loss_NE=zero_one_loss(prediction_NE, label_N),
        prediction_NE=prediction_NE,
        label_N=label_N,
    )


def test_a_quality_of_all_examples_by_hand():
    """One answer is lost below 0.6: 1 of 5, but 1 of the 2 of class 1."""
    trace = answers(
        [0.9, 0.9, 0.9, 0.6, 0.0], [0, 0, 1, 0, 0], [0, 0, 1, 1, 0], [0, 0, 1, 1, 0]
    )

    def recall(prediction_N, label_N):
        return float(np.mean(prediction_N[label_N == 1] == 1))

    assert choose_for_quality(trace, share_right, 0.3).threshold == 0
    choice = choose_for_quality(trace, recall, 0.3)
    assert (choice.threshold, choice.risk) == (0.6, 0)
    assert choose_for_quality(trace, recall, 0.5).risk == 0.5


def test_a_quality_that_is_not_defined_fails():
    """At 0.89 all answers are 0, and below 0.6 none are."""
    trace = answers([0.9, 0.6], [0, 1], [0, 0], [0, 1])

    def unknown(prediction_N, label_N):
        return 0.5 if prediction_N.any() else float("nan")

    choice = choose_for_quality(trace, unknown, 1.0)
    assert (choice.threshold, choice.risk, choice.is_full_model) == (1, 0, True)
    assert choice.ended == "next candidate failed"
