"""One request for any method, against the functions that it stands for."""

import numpy as np
import pytest

from ee_jax.calibration.certify import certify
from ee_jax.calibration.choice import exits_taken
from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.empirical import choose_for_depth
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.per_exit import certify_per_exit
from ee_jax.calibration.request import Request, answer, trial
from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import Splits
from ee_jax.exits.stopping import Stopping


@pytest.fixture(scope="module")
def trace():
    rng = np.random.default_rng(0)
    bad_NE = rng.random((120, 3)) < (0.3, 0.2, 0)
    confidence_NE = rng.random((120, 3), np.float32)
    return Trace(confidence_NE, bad_NE.astype(float), np.array([2, 4, 6]), bad_NE.astype(int))


@pytest.mark.parametrize("method", [*METHODS, *CONFORMAL])
def test_an_answer_is_certify(trace, method):
    deep = Stopping(min_depth=4)
    request = Request(method=method, risk="gap", level=0.2, delta=0.3, stopping=deep)
    assert answer(trace, request) == certify(trace, method, "gap", 0.2, 0.3, stopping=deep)


@pytest.mark.parametrize("search", ["greedy", "pareto"])
def test_a_search_is_certify_per_exit(trace, search):
    request = Request(risk="gap", level=0.2, delta=0.3, search=search)
    assert answer(trace, request) == certify_per_exit(trace, "ltt", "gap", 0.2, 0.3, search)


def test_a_budget_is_choose_for_depth(trace):
    request = Request(method="budget", level=4.0)
    assert answer(trace, request) == choose_for_depth(trace, 4.0)


@pytest.mark.parametrize(
    ("request_", "levels"),
    [
        (Request(risk="gap", delta=0.3, search="greedy"), (0.1, 0.3)),
        (Request(method="budget", level=3.5), (3.5, 6.0)),
    ],
)
def test_trials_choose_on_one_part_and_judge_on_the_other(trace, request_, levels):
    parts = Splits(120, 3)
    for level, found in zip(levels, trial(trace, request_, levels, parts), strict=True):
        for threshold, risk, depth, part_N in zip(*found, parts, strict=True):
            first = trace.take(part_N.nonzero()[0])
            if request_.search:
                choice = certify_per_exit(first, "ltt", "gap", level, 0.3)
            else:
                choice = choose_for_depth(first, level)
            np.testing.assert_array_equal(threshold, choice.threshold)
            rest = trace.take((~part_N).nonzero()[0])
            exit_N = exits_taken(rest, np.array([threshold]))[0]
            loss_N = rest.loss_NE[np.arange(60), exit_N]
            # 1e-12: sums of 60 numbers in another order.
            assert risk == pytest.approx(loss_N.mean(), rel=1e-12)
            assert depth == pytest.approx(rest.depth_E[exit_N].mean(), rel=1e-12)


def test_a_budget_that_a_part_cannot_keep_takes_the_lowest_threshold(trace):
    (found,) = trial(trace, Request(method="budget", level=1.0), (1.0,), Splits(120, 2))
    assert found.threshold_S.tolist() == [0, 0]
    assert found.depth_S.tolist() == [2, 2]


def test_sequences_keep_a_budget_and_a_level():
    loss_NK = np.tile([0.25, 0.25, 1.0], (100, 1))
    trace = SequenceTrace(
        np.array([1.0, 0.7, 0.4]), loss_NK, np.tile([8.0, 4.0, 2.0], (100, 1))
    )
    assert answer(trace, Request(risk="gap")).threshold == 0.7
    assert answer(trace, Request(method="budget", level=3.0)).threshold == 0.4
