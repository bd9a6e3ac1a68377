"""Who stops where: rules against a loop in plain Python."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from ee_jax.config import Exits
from ee_jax.errors import UserError
from ee_jax.exits.confidence import CONFIDENCES, confidences, memoryless
from ee_jax.exits.output import ExitOutput, prediction
from ee_jax.exits.rules import exit_update, first_exit, forced_rule, threshold_rule
from ee_jax.exits.stopping import RULES, ExitRule, Stopping, make_limits
from tests.exits.table_model import plain_exit

LAYERS = (1, 2, 4, 7, 8, 9)
E, N = len(LAYERS), 6

first_exit_ = jax.jit(first_exit, static_argnames="stopping")
# Few values, exact in float32, so that ties are common.
levels = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def exits_of(confidence_EN, prediction_EN, threshold, **stopping):
    limits = make_limits(np.array(threshold), LAYERS[: len(confidence_EN)])
    columns = jnp.asarray(confidence_EN), jnp.asarray(prediction_EN)
    return first_exit_(limits, *columns, Stopping(**stopping)).tolist()


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


RISE_AND_FALL = np.array([[0.6, 0.9], [0.2, 0.9], [0.7, 0.1], [0.8, 0.1], [0.9, 0.1]])


@pytest.fixture
def in_a_row():
    """A rule with a memory: two confident exits in a row."""

    def step(evidence, count):
        count = jnp.where(evidence.confidence > evidence.threshold, count + 1, 0)
        return count >= 2, count

    RULES["in_a_row"] = ExitRule(lambda prediction: jnp.int32(0), step)
    yield "in_a_row"
    del RULES["in_a_row"]


def test_a_rule_that_remembers_in_traces_and_in_loops(in_a_row):
    stopping = Stopping(in_a_row)
    zeros_EN, limits = np.zeros((5, 2), int), make_limits(0.5, LAYERS[:5])
    assert exits_of(RISE_AND_FALL, zeros_EN, 0.5, rule=in_a_row) == [3, 1]
    assert exits_of(RISE_AND_FALL, zeros_EN, 0.5, rule=in_a_row, min_depth=3) == [3, 4]
    assert exits_of(RISE_AND_FALL, zeros_EN, 1.0, rule=in_a_row) == [4, 4]
    rule = threshold_rule("max_prob", limits, stopping)
    rows = np.log(np.stack([RISE_AND_FALL, 1 - RISE_AND_FALL, 0 * RISE_AND_FALL + 1e-9], -1))
    answers = [ExitOutput(jnp.asarray(row)) for row in rows]
    state, done_B, exits = rule.init(answers[0]), jnp.zeros(2, bool), np.full(2, -1)
    for exit, answer in enumerate(answers):
        now = exit_update(rule, jnp.int32(exit), exit == 4, answer, done_B, state)
        exits[np.asarray(now.here_B)] = exit
        done_B, state = now.done_B, now.rule_state
    # Above the threshold of the likeliest class: .8 at the second exit counts too.
    sure_EN = np.maximum(RISE_AND_FALL, 1 - RISE_AND_FALL)
    assert exits.tolist() == exits_of(sure_EN, zeros_EN, 0.5, rule=in_a_row) == [1, 1]


ALWAYS: Any = (lambda prediction: (), lambda evidence, memory: (True, memory))


def test_a_rule_never_stops_whom_the_threshold_holds():
    RULES["always"] = ExitRule(*ALWAYS)
    assert exits_of(RISE_AND_FALL, np.zeros((5, 2), int), 0.65, rule="always") == [2, 0]
    assert exits_of(RISE_AND_FALL, np.zeros((5, 2), int), 1.0, rule="always") == [4, 4]
    del RULES["always"]


def unlike(evidence: Any, memory: Any) -> Any:
    """A step that returns another memory than it was given."""
    return True, 1.0


def nothing(prediction: Any) -> tuple:
    return ()


NO_RULES: list[tuple[Any, str]] = [
    (nothing, r"must be an ExitRule\(init, step\)"),
    ((nothing, lambda e, m: True), r"a number \(bool\), not a truth value and a memory"),
    ((nothing, lambda e, m: (jnp.ones(3), m)), r"an array of shape \(3,\)"),
    ((nothing, unlike), "another memory than init"),
    ((nothing, lambda e, m: (e.confidence, m)), r"a number \(float32\) .*not a truth value"),
    ((lambda prediction: 1 / 0, unlike), "division by zero"),
]


@pytest.mark.parametrize(("made", "message"), NO_RULES)
def test_rules_without_what_they_need_are_one_line(in_a_row, made, message):
    RULES[in_a_row] = ExitRule(*made) if isinstance(made, tuple) else made
    with pytest.raises(UserError, match=f"exit rule `{in_a_row}`.*{message}"):
        Exits(rule=in_a_row)


NO_CONFIDENCES: list[tuple[Any, str]] = [
    (lambda exits: None, r"must be made of \(exits, tolerance\)"),
    (lambda exits, _: None, r"must make a Confidence\(init, step\), not None"),
    (
        lambda exits, _: memoryless(lambda a: a.logits),
        r"of shape \(3,\) of one example, not a fraction",
    ),
    (
        lambda exits, _: memoryless(lambda a: a.logits.argmax()),
        r"\(int32\) of one example, not",
    ),
    (lambda exits, _: memoryless(lambda a: a.lgits), "no attribute 'lgits'"),  # pyright: ignore
]


@pytest.mark.parametrize(("made", "message"), NO_CONFIDENCES)
def test_confidences_without_what_they_need_are_one_line(made, message):
    CONFIDENCES["own"] = made
    try:
        with pytest.raises(UserError, match=f"confidence `own`.*{message}"):
            Exits(confidence="own")
    finally:
        del CONFIDENCES["own"]


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
        limits, stopping = make_limits(0.5, (1, 2, 3, 4)), Stopping(patience=patience)
        assert first_exit_(limits, sure_EN, number_EN, stopping).tolist() == exits


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
