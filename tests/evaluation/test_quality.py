import math

import numpy as np
import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.evaluation.metrics import (
    accuracy,
    exit_counts,
    exit_table,
    ideal_speedup,
    mean_depth,
    pearson,
)

LAYERS = (2, 4, 6)
EXITS = np.array([0, 2, 0, 2])


def test_an_exit_that_answers_nobody_is_counted():
    assert exit_counts(EXITS, 3).tolist() == [2, 0, 2]
    assert exit_counts(np.array([0, 0]), 3).tolist() == [2, 0, 0]


def test_depth_and_ideal_speedup_by_hand():
    counts_E = exit_counts(EXITS, 3)
    assert mean_depth(counts_E, LAYERS) == 4
    assert ideal_speedup(counts_E, LAYERS) == 1.5
    assert ideal_speedup(np.array([0, 0, 5]), LAYERS) == 1


def test_a_trace_of_other_exits_is_refused():
    with pytest.raises(AssertionError):
        exit_counts(EXITS, 2)


def test_the_table_by_hand():
    confidence_NE = np.array([[0.9, 1.0], [0.9, 1.0], [0.5, 1.0], [0.1, 1.0]])
    prediction_NE = np.array([[2, 2], [0, 1], [1, 1], [1, 0]])
    label_N = prediction_NE[:, 1]
    wrong_NE = prediction_NE != label_N[:, None]
    depth_E = np.array([3, 6])
    trace = Trace(confidence_NE, wrong_NE.astype(float), depth_E, prediction_NE, label_N)
    first, last = exit_table(trace, accuracy)
    # The bin of 0.9 is off by 0.4, with half the examples; 0.5 by 0.5 and 0.1 by 0.1, a quarter
    # each. Of the four pairs of a right and a wrong answer two are in order and one is tied.
    assert first[:2] == (3, 0.5)
    assert first.ece == pytest.approx(0.35, rel=1e-12)
    assert first.auroc == 2.5 / 4
    assert last[:3] == (6, 1, 0)
    assert math.isnan(last.auroc)


def test_answers_of_a_regression_are_not_right_or_wrong():
    prediction_NE = np.array([[1.0, 4.0], [1.0, 2.0]])
    columns = np.full((2, 2), 0.5), np.zeros((2, 2)), np.array([3, 6]), prediction_NE
    trace = Trace(*columns, np.array([5.0, 1.0]), {"label_range": [0, 5]})
    constant, last = exit_table(trace, pearson)
    assert all(math.isnan(value) for value in constant[1:])
    assert last[:2] == (6, pytest.approx(1))
    assert math.isnan(last.ece)
    assert math.isnan(last.auroc)
