"""The compiled loop against a loop in plain Python, on models of three lines."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ee_jax.exits.confidence import CONFIDENCES
from ee_jax.exits.loop import run_exits
from ee_jax.exits.rules import forced_rule, threshold_rule
from ee_jax.exits.stopping import PLAIN, Stopping, make_limits
from tests.exits.table_model import (
    LAYERS,
    E,
    N,
    all_confidences,
    heads,
    make_table,
    plain_exit,
    segments,
    start,
)

# Confidences in fp32 against double precision.
TOLERANCE = 1e-6
SIZES = (1, 3)
# Masked, in pieces, at the smallest size; each layout with and without sizes in some test.
WAYS = [((), "loops"), (SIZES, "loops"), ((), "nested"), ((*SIZES, N), "conds")]
# Fixed when a program is compiled, so that few make few programs.
STOPPINGS = [PLAIN, Stopping(min_depth=2, patience=1)]


@cache
def program(kind, sizes=(), stopping=PLAIN, layout="loops"):
    @jax.jit
    def run(table, limits, state):
        exits = len(table.logits_ENC)
        rule = threshold_rule(kind, limits, stopping)
        return run_exits(segments(exits), heads(table), rule, state, sizes, layout)

    return run


def stopped(run, table, limits):
    """All examples of the table in one batch."""
    return jax.device_get(run(table, limits, start(table.score_EN.shape[1])))


def one_at_a_time(run, table, limits):
    def one(n):
        return run(table, limits, jax.tree.map(lambda whole: whole[n : n + 1], start()))

    rows = [one(n) for n in range(N)]
    return jax.tree.map(lambda *parts: np.concatenate(parts), *rows)


def plain_exits(table, confidence_EN, limits, stopping):
    return [
        plain_exit(
            confidence_EN[:, n], table.logits_ENC[:, n].argmax(-1), limits.threshold_E,
            LAYERS[: len(confidence_EN)], stopping.min_depth, stopping.patience,
        )
        for n in range(confidence_EN.shape[1])
    ]  # fmt: skip


def check(out, table, confidence_EN, limits, stopping=PLAIN):
    """The exits of the plain loop, and at each the table's own row, to the bit."""
    exits = plain_exits(table, confidence_EN, limits, stopping)
    assert out.exit_B.tolist() == exits
    numbers = range(len(exits))
    np.testing.assert_array_equal(out.logits_BC, table.logits_ENC[exits, numbers])
    np.testing.assert_allclose(
        out.confidence_B, confidence_EN[exits, numbers], rtol=0, atol=TOLERANCE
    )


def clear(confidence_EN, threshold_E):
    """No confidence so near its threshold that rounding decides."""
    return np.abs(confidence_EN - np.reshape(threshold_E, (-1, 1))).min() > 5 * TOLERANCE


@pytest.mark.parametrize("kind", CONFIDENCES)
@settings(max_examples=25)
@given(
    seed=st.integers(0, 9999),
    thresholds=st.lists(st.floats(0, 1, width=32), min_size=E, max_size=E),
    one_for_all=st.booleans(),
    stopping=st.sampled_from(STOPPINGS),
)
def test_the_plain_loop(kind, seed, thresholds, one_for_all, stopping):
    """Masked, compacted and one example at a time."""
    thresholds = thresholds[:1] * E if one_for_all else thresholds
    table = make_table(seed)
    confidence_EN = all_confidences(kind, table)
    assume(clear(confidence_EN, thresholds))
    limits, wanted = make_limits(thresholds, LAYERS), (table, confidence_EN)
    for sizes, layout in WAYS:
        run = program(kind, sizes, stopping, layout)
        check(stopped(run, table, limits), *wanted, limits, stopping)
    run = program(kind, stopping=stopping)
    check(one_at_a_time(run, table, limits), *wanted, limits, stopping)


@pytest.mark.parametrize(
    ("sizes", "layout"),
    [((5,), "loops"), ((4, 2, 2), "nested"), ((2, 3), "conds"), ((3, N, N + 2), "nested")],
)
def test_any_sizes(sizes, layout):
    """With and without the batch among them, larger, unsorted, repeated; odd pieces."""
    kind = "saturation"
    run = program(kind, sizes, layout=layout)
    for seed in range(20):
        table = make_table(seed)
        confidence_EN = all_confidences(kind, table)
        limits = make_limits(np.array([0.0, 0.4, 0.5, 0.6]), LAYERS)
        check(stopped(run, table, limits), table, confidence_EN, limits)


@pytest.mark.parametrize("sizes", [(), SIZES])
@pytest.mark.parametrize(
    ("threshold", "exit"), [(0.0, 0), (1.0, E - 1), ([1.0, 0.0, 1.0, 1.0], 1)]
)
def test_all_together(sizes, threshold, exit):
    """All stop at the first exit, or nobody does before the last."""
    table, limits = make_table(0), make_limits(threshold, LAYERS)
    out = stopped(program("max_prob", sizes), table, limits)
    assert out.exit_B.tolist() == [exit] * N
    check(out, table, all_confidences("max_prob", table), limits)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("batch", [1, 5])
def test_one_exit(batch, threshold):
    table = make_table(3, 1, batch)
    limits = make_limits(threshold, LAYERS[:1])
    out = stopped(program("margin", SIZES), table, limits)
    check(out, table, all_confidences("margin", table), limits)


@pytest.mark.parametrize("sizes", [(), SIZES])
def test_ties_do_not_stop(sizes):
    """Two equal classes and an impossible one: probabilities of exactly 1/2, 1/2 and 0."""
    table = make_table(0)
    table.logits_ENC[:] = [0, 0, -1e30]
    at, below = (
        stopped(program("max_prob", sizes), table, make_limits(threshold, LAYERS))
        for threshold in (0.5, np.nextafter(np.float32(0.5), np.float32(0)))
    )
    assert at.exit_B.tolist() == [E - 1] * N
    assert below.exit_B.tolist() == [0] * N


def test_a_confidence_that_is_nan_stops_nobody_else():
    table = make_table(0)
    table.logits_ENC[:, 2] = np.nan
    out = stopped(program("max_prob", SIZES), table, make_limits(0.0, LAYERS))
    assert out.exit_B.tolist() == [0, 0, E - 1, 0, 0, 0]


def test_temperatures():
    table, temperature = make_table(5), np.array([0.5, 1.0, 2.0, 3.0], np.float32)
    cooled = temperature[:, None, None]
    confidence_EN = all_confidences(
        "max_prob", table._replace(logits_ENC=table.logits_ENC / cooled)
    )
    for threshold in np.linspace(0.35, 0.95, 13):
        assert clear(confidence_EN, [threshold] * E)
        limits = make_limits(threshold, LAYERS, temperature)
        # The logits that come out are as the head gave them.
        check(stopped(program("max_prob"), table, limits), table, confidence_EN, limits)


@pytest.mark.parametrize("sizes", [(), SIZES])
def test_forced(sizes):
    @jax.jit
    def run(table, depth_B):
        rule = forced_rule("saturation", depth_B, LAYERS)
        return run_exits(segments(), heads(table), rule, start(), sizes)

    table = make_table(0)
    for depth_B, exits in [
        ([7, 1, 4, 2, 1, 7], [3, 0, 2, 1, 0, 3]),
        ([3, 3, 5, 1, 6, 99], [2, 2, 3, 0, 3, 3]),  # no exit there: the next one
        ([4] * N, [2] * N),
    ]:
        out = jax.device_get(run(table, jnp.array(depth_B)))
        assert out.exit_B.tolist() == exits
        np.testing.assert_array_equal(out.logits_BC, table.logits_ENC[exits, range(N)])
        confidence_EN = all_confidences("saturation", table)
        np.testing.assert_allclose(
            out.confidence_B, confidence_EN[exits, range(N)], rtol=0, atol=TOLERANCE
        )


def test_a_model_in_bfloat16_goes_through():
    table = make_table(0)
    half = table._replace(
        logits_ENC=jnp.asarray(table.logits_ENC, jnp.bfloat16),
        feature_END=jnp.asarray(table.feature_END, jnp.bfloat16),
    )
    out = stopped(program("saturation", SIZES), half, make_limits(0.5, LAYERS))
    assert out.logits_BC.dtype == jnp.bfloat16
    rows = half.logits_ENC[jnp.asarray(out.exit_B), jnp.arange(N)]
    np.testing.assert_array_equal(out.logits_BC, rows)
    assert 0 < out.exit_B.min() < out.exit_B.max()
