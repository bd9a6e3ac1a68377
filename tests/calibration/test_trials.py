import numpy as np
import pytest

from ee_jax.calibration.certify import certify
from ee_jax.calibration.choice import exits_taken
from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import means, run_trials, split, trials_of_outcomes


def trace_of(examples=200, seed=0):
    rng = np.random.default_rng(seed)
    wrong_NE = rng.random((examples, 3)) < (0.3, 0.2, 0)
    return Trace(
        confidence_NE=rng.random((examples, 3), np.float32),
        loss_NE=wrong_NE.astype(float),
        depth_E=np.array([2, 4, 6]),
    )


# Bets are made in an order that is the trials' own.
SAME = [name for name in [*METHODS, *CONFORMAL] if name != "ucb"]


@pytest.mark.parametrize("method", SAME)
def test_trials_are_certify_on_one_part_and_means_over_the_other(method):
    trace, calibrate_SN = trace_of(), split(200, trials=60)
    trials = run_trials(trace, method, "gap", 0.1, 0.2, calibrate_SN)
    assert len(trials.risk_S) == 60
    for threshold, risk, depth, part_N in zip(*trials, calibrate_SN, strict=True):
        choice = certify(trace.take(part_N.nonzero()[0]), method, "gap", 0.1, 0.2)
        np.testing.assert_array_equal(threshold, choice.threshold)
        rest = trace.take((~part_N).nonzero()[0])
        exit_N = exits_taken(rest, np.array([threshold]))[0]
        # 1e-12: sums of 100 numbers in another order.
        expected = rest.loss_NE[np.arange(100), exit_N].mean()
        assert risk == pytest.approx(expected, rel=1e-12)
        assert depth == pytest.approx(trace.depth_E[exit_N].mean(), rel=1e-12)


def test_trials_of_bets_keep_the_level_and_use_it():
    # No reference but the guarantee, since the order of the bets is the trials' own.
    trials = run_trials(trace_of(2000), "ucb", "gap", 0.1, 0.2, split(2000, trials=50))
    assert 0.05 < trials.risk_S.mean() < 0.1
    assert len(set(trials.threshold_S)) > 1


def test_trials_of_sequences():
    loss_NK = np.repeat([[0.5, 0.5, 1.0]], 300, axis=0)
    depth_NK = np.repeat([[8.0, 4.0, 2.0]], 300, axis=0)
    found = SequenceTrace(np.array([1.0, 0.7, 0.4]), loss_NK, depth_NK).outcomes()
    trials = trials_of_outcomes(found, "ltt", 0.1, 0.05, split(300, trials=3))
    assert trials.threshold_S.tolist() == [0.7] * 3
    assert trials.risk_S.tolist() == [0] * 3
    assert trials.depth_S.tolist() == [4] * 3


def test_splits_have_the_same_size_and_differ():
    calibrate_SN = split(101, trials=30, share=0.8)
    assert (calibrate_SN.sum(1) == 81).all()
    assert len({row.tobytes() for row in calibrate_SN}) == 30
    assert (split(101, 30, 0.8) == calibrate_SN).all()
    assert (split(101, 30, 0.8, seed=1) != calibrate_SN).any()


def test_means_by_hand():
    part_SN = np.array([[True, True, False], [False, True, True]])
    value_KN = np.array([[1, 2, 3], [0, 0, 1]])
    assert means(part_SN, value_KN).tolist() == [[1.5, 0], [2.5, 0.5]]
