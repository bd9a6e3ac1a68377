"""Trials against a plain loop: each split on its own, by the functions that `answer` calls."""

import numpy as np
import pytest

from ee_jax.calibration.certify import certify
from ee_jax.calibration.choice import exits_taken
from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.per_exit import PATHS, certify_per_exit
from ee_jax.calibration.request import Request, trial
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import Splits, sums, trials_of_outcomes
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

LEVELS, DELTA = (0.02, 0.1, 0.3), 0.2


def trace_of(examples=200, seed=0, values=(0.0, 1.0)):
    rng = np.random.default_rng(seed)
    wrong_NE = rng.random((examples, 3)) < (0.3, 0.2, 0.1)
    return Trace(
        confidence_NE=rng.random((examples, 3)).round(2).astype(np.float32),
        loss_NE=np.where(wrong_NE, rng.choice(values[1:], wrong_NE.shape), values[0]),
        depth_E=np.array([2, 4, 6]),
        prediction_NE=wrong_NE.astype(int),
    )


def one_split_after_the_other(trace, request, splits):
    """At each level thresholds, risks and depths, of every split by itself."""
    risk_NE, found = RISKS[request.risk](trace), []
    for level in LEVELS:
        asked = request.method, request.risk, level, DELTA
        for part_N in splits:
            part, rest = trace.take(part_N.nonzero()[0]), trace.take((~part_N).nonzero()[0])
            if request.search:
                choice = certify_per_exit(part, *asked, request.search, request.stopping)
            else:
                choice = certify(part, *asked, stopping=request.stopping)
            exit_N = exits_taken(rest, np.array([choice.threshold]), request.stopping)[0]
            risk_N = risk_NE[~part_N][np.arange(len(exit_N)), exit_N]
            found.append((choice.threshold, risk_N.mean(), trace.depth_E[exit_N].mean()))
    return found


def check(trace, request, splits):
    expected = one_split_after_the_other(trace, request, splits)
    done = trial(trace, request, LEVELS, splits)
    rows = [row for level in done for row in zip(*level, strict=True)]
    for (threshold, risk, depth), (threshold_, risk_, depth_) in zip(
        rows, expected, strict=True
    ):
        np.testing.assert_array_equal(threshold, threshold_)
        # 1e-12: sums of 100 numbers in another order; where losses are whole they are equal.
        assert risk == pytest.approx(risk_, rel=0 if whole(trace) else 1e-12, abs=1e-15)
        assert depth == depth_


def whole(trace):
    return bool(np.isin(trace.loss_NE, (0, 1)).all())


# Bets are made in an order that is the trials' own.
SAME = [name for name in [*METHODS, *CONFORMAL] if name != "ucb"]
DEEP = Stopping(min_depth=4, patience=1)


@pytest.mark.parametrize("stopping", [PLAIN, DEEP], ids=["plain", "deep"])
@pytest.mark.parametrize("risk", ["gap", "signed_gap", "consistency"])
@pytest.mark.parametrize("method", SAME)
def test_trials_are_certify_on_one_part_and_means_over_the_other(method, risk, stopping):
    if risk == "signed_gap" and method in (*CONFORMAL, "clopper_pearson"):
        pytest.skip("refused")
    request = Request(method=method, risk=risk, delta=DELTA, stopping=stopping)
    check(trace_of(), request, Splits(200, trials=12))


@pytest.mark.parametrize("search", PATHS)
@pytest.mark.parametrize("method", ["ltt", "crc", "ucb", "naive"])
@pytest.mark.parametrize("risk", ["gap", "signed_gap"])
def test_a_path_for_each_split_is_that_of_certify_per_exit(method, risk, search):
    request = Request(method=method, risk=risk, delta=DELTA, search=search, stopping=DEEP)
    check(trace_of(120), request, Splits(120, trials=3, share=0.7))


@pytest.mark.parametrize("search", [None, "greedy"])
def test_losses_of_many_values_are_summed_and_not_counted(search):
    trace = trace_of(120, values=np.append(0, np.random.default_rng(0).random(50)))
    assert not whole(trace)
    request = Request(method="ltt", risk="gap", delta=DELTA, search=search)
    check(trace, request, Splits(120, trials=4))


def test_trials_of_bets_keep_the_level_and_use_it():
    # No reference but the guarantee, since the order of the bets is the trials' own.
    request = Request(method="ucb", risk="gap", delta=0.2)
    (trials,) = trial(trace_of(2000), request, [0.1], Splits(2000, trials=50))
    assert 0.05 < trials.risk_S.mean() < 0.1
    assert len(set(trials.threshold_S)) > 1


def test_trials_of_sequences():
    loss_NK = np.repeat([[0.5, 0.5, 1.0]], 300, axis=0)
    depth_NK = np.repeat([[8.0, 4.0, 2.0]], 300, axis=0)
    found = SequenceTrace(np.array([1.0, 0.7, 0.4]), loss_NK, depth_NK).outcomes()
    (trials,) = trials_of_outcomes(found, "ltt", [0.1], 0.05, Splits(300, trials=3))
    assert trials.threshold_S.tolist() == [0.7] * 3
    assert trials.risk_S.tolist() == [0] * 3
    assert trials.depth_S.tolist() == [4] * 3


def test_splits_have_the_same_size_and_differ():
    splits = Splits(101, trials=30, share=0.8)
    calibrate_SN = np.array(list(splits))
    assert (calibrate_SN.sum(1) == splits.calibrated_on).all()
    assert (splits.calibrated_on, splits.held_out) == (81, 20)
    assert len({row.tobytes() for row in calibrate_SN}) == 30
    assert (np.concatenate(list(splits.blocks(7))) == calibrate_SN).all()
    assert (np.array(list(Splits(101, 30, 0.8, seed=1))) != calibrate_SN).any()


def test_each_example_is_calibrated_on_as_often_as_any_other():
    calibrate_SN = np.array(list(Splits(10, trials=4000, share=0.3)))
    # Five standard deviations of a share of 4,000 splits.
    assert np.abs(calibrate_SN.mean(0) - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / 4000)
    both = (calibrate_SN[:, 0] & calibrate_SN[:, 1]).mean()
    assert abs(both - 0.3 * 2 / 9) < 5 * np.sqrt(0.07 * 0.93 / 4000)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ((10, 5, 0.0), r"share is 0.0: calibrate on more than 0, less than 1"),
        ((10, 5, 1.0), r"share is 1.0: calibrate on more"),
        ((10, 5, float("nan")), r"share is nan: calibrate on more"),
        ((10, 5, 0.01), r"share is 0.01, which calibrates on 0 of 10 examples: leave none"),
        ((10, 5, 0.99), r"share is 0.99, which calibrates on 10 of 10 examples"),
        ((10, 0), r"trials is 0: ask for 1 to 1,000,000"),
        ((10, 10**12), r"trials is 1000000000000: ask for 1 to 1,000,000"),
    ],
)
def test_splits_that_cannot_be_made(asked, message):
    with pytest.raises(UserError, match=message):
        Splits(*asked)


def test_sums_by_hand():
    part_SN = np.array([[True, True, False], [False, True, True]])
    value_KN = np.array([[1, 2, 3], [0, 0, 1]])
    assert sums(part_SN, value_KN).tolist() == [[3, 0], [5, 1]]
