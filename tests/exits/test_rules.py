"""Who stops where: rules against a loop in plain Python."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ee_jax.exits.confidence import confidences
from ee_jax.exits.output import ExitOutput, prediction
from ee_jax.exits.rules import first_exit, forced_rule, make_limits, threshold_rule
from tests.exits.table_model import plain_exit

LAYERS = (1, 2, 4, 7, 8, 9)
E, N = len(LAYERS), 6

first_exit_ = jax.jit(first_exit)
# Few values, exact in float32, so that ties are common.
levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def exits_of(confidence_EN, prediction_EN, threshold, **limits):
    exit_layers = LAYERS[: len(confidence_EN)]
    limits = make_limits(np.array(threshold), exit_layers, **limits)
    return first_exit_(limits, jnp.asarray(confidence_EN), jnp.asarray(prediction_EN)).tolist()


@given(
    arrays(np.float32, (E, N), elements=levels),
    arrays(np.int32, (E, N), elements=st.integers(0, 2)),
    arrays(np.float32, E, elements=levels),
    st.integers(1, 8),
    st.integers(0, 4),
)
def test_the_plain_loop(confidence_EN, prediction_EN, threshold_E, min_depth, patience):
    got = exits_of(
        confidence_EN, prediction_EN, threshold_E, min_depth=min_depth, patience=patience
    )
    wanted = [
        plain_exit(confidence_E, prediction_E, threshold_E, LAYERS, min_depth, patience)
        for confidence_E, prediction_E in zip(confidence_EN.T, prediction_EN.T, strict=True)
    ]
    assert got == wanted


RISING = np.array([[0.2], [0.5], [0.7], [0.9]], np.float32)
SAME = np.zeros((4, 1), int)


@pytest.mark.parametrize(
    ("threshold", "exit"),
    [
        (0.0, 0),
        (0.2, 1),  # strictly above
        (0.4999, 1),
        (0.5, 2),
        (0.95, 3),  # the last exit answers all the same
        (1.0, 3),
        ([0.9, 0.9, 0.6, 0.0], 2),  # one threshold an exit
        ([0.1, 0.9, 0.9, 0.0], 0),
    ],
)
def test_thresholds_by_hand(threshold, exit):
    assert exits_of(RISING, SAME, threshold) == [exit]


def test_a_confidence_of_1_does_not_pass_a_threshold_of_1():
    assert exits_of(np.ones((4, 1), np.float32), SAME, 1.0) == [3]


@pytest.mark.parametrize(("least", "exit"), [(1, 0), (2, 1), (3, 2), (4, 2), (5, 3), (99, 3)])
def test_minimum_depth_counts_blocks(least, exit):
    """The four exits lie after 1, 2, 4 and 7 blocks."""
    assert exits_of(RISING, SAME, 0.1, min_depth=least) == [exit]


@pytest.mark.parametrize(
    ("predictions", "patience", "exit"),
    [
        ([0, 0, 0, 0], 0, 0),
        ([0, 0, 0, 0], 1, 1),
        ([0, 0, 0, 0], 2, 2),
        ([0, 1, 1, 1], 1, 2),
        ([0, 1, 1, 1], 2, 3),
        ([0, 0, 1, 1, 1, 1], 2, 4),  # a change starts the count again
        ([0, 1, 0, 1, 0, 0], 1, 5),
    ],
)
def test_patience_by_hand(predictions, patience, exit):
    """Confidence above a threshold of 0 everywhere, so that the streak alone decides."""
    prediction_EN = np.array(predictions)[:, None]
    sure_EN = np.ones(prediction_EN.shape, np.float32)
    assert exits_of(sure_EN, prediction_EN, 0.0, patience=patience) == [exit]


def test_one_exit():
    assert exits_of(RISING[:1], SAME[:1], 1.0) == [0]


@pytest.mark.parametrize("confidence", ["max_prob", "saturation"])
def test_a_rule_step_by_step(confidence):
    """What `step` says of two examples at each exit, by hand."""
    rule = threshold_rule(
        confidence, make_limits(0.6, (1, 2), temperature=np.array([1.0, 2.0]))
    )
    p = jnp.array([[0.9, 0.1], [0.5, 0.5]])
    answer = ExitOutput(jnp.log(p), jnp.array([[3.0, 4.0], [1.0, 0.0]]))
    first, state = rule.step(jnp.int32(0), answer, rule.init(answer))
    turned = answer._replace(feature=jnp.array([[4.0, 3.0], [0.0, 1.0]]))
    second, _ = rule.step(jnp.int32(1), turned, state)
    # At temperature 2, odds of 9 to 1 become 3 to 1.
    by_hand = {"max_prob": ([0.9, 0.5], [0.75, 0.5]), "saturation": ([0, 0], [0.96, 0])}
    for verdict, wanted in zip((first, second), by_hand[confidence], strict=True):
        np.testing.assert_allclose(verdict.confidence_B, wanted, rtol=0, atol=1e-6)
        assert verdict.stop_B.tolist() == [wanted[0] > 0.6, False]


# Answers of three examples at four exits: numbers of a regression, and classes.
NUMBERS_EN1 = np.array([[0, 1, 0], [1, 1, 1], [1.05, 0, 2], [0, 1, 2]])[..., None]
CLASSES_ENC = np.eye(3)[np.array([[0, 1, 0], [0, 1, 1], [1, 1, 0], [2, 2, 2]])]


@pytest.mark.parametrize(
    ("kind", "logits", "exits"),
    [("patience", NUMBERS_EN1, [2, 1, 3]), ("voting", CLASSES_ENC, [1, 1, 2])],
)
def test_a_rule_follows_an_example_through_the_loop_as_through_its_trace(kind, logits, exits):
    answer = ExitOutput(jnp.asarray(logits, jnp.float32))
    limits = make_limits(0.2 if kind == "patience" else 0.4, (1, 2, 3, 4))
    rule = threshold_rule(kind, limits)
    one = jax.tree.map(lambda part: part[0], answer)
    state, stops, found = rule.init(one), [], []
    for exit in range(4):
        here = jax.tree.map(lambda part, exit=exit: part[exit], answer)
        verdict, state = rule.step(jnp.int32(exit), here, state)
        stops.append(verdict.stop_B | (exit == 3))
        found.append(verdict.confidence_B)
    assert np.argmax(stops, axis=0).tolist() == exits
    traced_EN = confidences(kind, answer, jnp.ones(4))
    np.testing.assert_array_equal(found, traced_EN)
    assert first_exit_(limits, traced_EN, prediction(answer.logits)).tolist() == exits


def test_patience_as_a_condition_of_a_regression():
    """The streak of near numbers, beside a confidence that is always above its threshold."""
    number_EN = jnp.array([[0.0, 0.0], [0.05, 1.0], [0.1, 1.05], [0.1, 1.05]])
    sure_EN = jnp.ones((4, 2))
    for patience, exits in ((1, [1, 2]), (2, [2, 3])):
        limits = make_limits(0.5, (1, 2, 3, 4), patience=patience)
        assert first_exit_(limits, sure_EN, number_EN).tolist() == exits


def test_forced_stops_at_the_first_exit_that_is_deep_enough():
    depth_B = jnp.array([1, 2, 3, 4, 5, 7])
    rule = forced_rule("max_prob", depth_B, LAYERS[:4])
    answer = ExitOutput(jnp.tile(jnp.array([[9.0, 0.0]]), (6, 1)))
    state, stops = rule.init(answer), []
    for exit in range(4):
        verdict, state = rule.step(jnp.int32(exit), answer, state)
        stops.append(verdict.stop_B)
        # The confidence is computed all the same.
        np.testing.assert_allclose(verdict.confidence_B, 1 / (1 + np.exp(-9)), atol=1e-6)
    assert np.argmax(stops, axis=0).tolist() == [0, 1, 2, 2, 3, 3]


def test_forced_wants_a_depth_for_each_example():
    rule = forced_rule("max_prob", jnp.array([1, 2]), LAYERS)
    with pytest.raises(AssertionError):
        rule.init(ExitOutput(jnp.zeros((3, 2))))


def test_limits_of_another_number_of_exits_are_refused():
    with pytest.raises(ValueError, match="broadcast"):
        make_limits(np.array([0.1, 0.2]), (1, 2, 3))
