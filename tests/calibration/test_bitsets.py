"""Counts of sets against plain means over the exits that `exits_taken` finds."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.calibration.bitsets import PLANES, Sample, count, may_stop, pack
from ee_jax.calibration.choice import at_exits, exits_taken
from ee_jax.calibration.conformal import ThresholdEvaluator
from ee_jax.calibration.per_exit import COARSE
from ee_jax.calibration.risks import signed_gap
from ee_jax.calibration.trace import Trace
from ee_jax.exits.stopping import RULES, ExitRule, Stopping
from tests.calibration.small_traces import traces


@pytest.mark.parametrize("examples", [1, 7, 8, 63, 64, 65, 200])
def test_sets_are_counted_whatever_their_size(examples):
    member_JN = np.random.default_rng(examples).random((3, examples)) < 0.5
    assert count(pack(member_JN)).tolist() == member_JN.sum(1).tolist()
    assert pack(member_JN).shape == (3, -(-examples // 32))


def plain_means(trace, risk_NE, threshold_JE, stopping, among_N):
    exit_JN = exits_taken(trace, threshold_JE, stopping)[:, among_N]
    risk_JN = at_exits(risk_NE[among_N], exit_JN)
    return risk_JN.mean(1), trace.depth_E[exit_JN].mean(1)


THRESHOLDS = st.sampled_from([*COARSE.tolist()])
STOPPINGS = st.builds(
    lambda least, same: Stopping(min_depth=least, patience=same),
    st.integers(1, 5),
    st.integers(0, 2),
)


@given(traces(), st.data(), STOPPINGS)
def test_means_are_those_over_the_exits_taken(trace, data, stopping):
    exits, examples = len(trace.depth_E), len(trace.loss_NE)
    one = st.lists(THRESHOLDS, min_size=exits, max_size=exits)
    threshold_JE = np.array(data.draw(st.lists(one, min_size=2, max_size=2)))
    risk_NE = signed_gap(trace.loss_NE)
    rows_M = np.array(
        data.draw(st.lists(st.integers(0, examples - 1), min_size=1, unique=True))
    )
    among_N = np.isin(np.arange(examples), rows_M)
    expected = plain_means(trace, risk_NE, threshold_JE, stopping, among_N)
    judged = ThresholdEvaluator(trace, risk_NE, stopping)(threshold_JE, among_N)
    sample = Sample.of(trace, risk_NE, COARSE, stopping).take(rows_M)
    for found in (judged, sample.measure(threshold_JE)):
        # Quarters and halves are summed without rounding.
        np.testing.assert_array_equal(found, expected)
    exit_JM = exits_taken(trace, threshold_JE, stopping)[:, rows_M]
    risk_JM = at_exits(risk_NE[rows_M], exit_JM)
    np.testing.assert_array_equal(sample.risks(threshold_JE), risk_JM)


def wide(examples=300, exits=5):
    rng = np.random.default_rng(0)
    shape = examples, exits
    return Trace(
        rng.random(shape, np.float32), rng.random(shape), np.arange(1, exits + 1),
        rng.integers(0, 2, shape),
    )  # fmt: skip


def test_risks_of_more_values_than_are_counted():
    trace = wide()
    assert np.unique(trace.loss_NE).size > PLANES
    threshold_JE = np.random.default_rng(1).choice(COARSE, (400, 5))
    among_N = np.arange(300) % 3 > 0
    expected = plain_means(trace, trace.loss_NE, threshold_JE, Stopping(), among_N)
    sample = Sample.of(trace, trace.loss_NE, COARSE).take(among_N.nonzero()[0])
    for found in (
        sample.measure(threshold_JE),
        ThresholdEvaluator(trace, trace.loss_NE)(threshold_JE, among_N),
    ):
        # 1e-12: sums of 200 numbers in another order.
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-12)
        np.testing.assert_array_equal(found[1], expected[1])


def test_a_rule_of_ones_own_is_asked_at_every_threshold(monkeypatch):
    """It stops only whose confidence is far above the threshold."""
    far = ExitRule(
        lambda _: (),
        lambda seen, memory: (seen.confidence > seen.threshold + jnp.float32(0.2), memory),
    )
    monkeypatch.setitem(RULES, "far", far)
    trace, stopping = wide(), Stopping(rule="far")
    assert may_stop(trace, stopping) is None
    threshold_JE = np.random.default_rng(1).choice(COARSE, (20, 5))
    among_N = np.arange(300) % 3 > 0
    expected = plain_means(trace, trace.loss_NE, threshold_JE, stopping, among_N)
    plain = plain_means(trace, trace.loss_NE, threshold_JE, Stopping(), among_N)
    assert (expected[1] > plain[1]).all()
    sample = Sample.of(trace, trace.loss_NE, COARSE, stopping).take(among_N.nonzero()[0])
    judge = ThresholdEvaluator(trace, trace.loss_NE, stopping)
    for found in (sample.measure(threshold_JE), judge(threshold_JE, among_N)):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
