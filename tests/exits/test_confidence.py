"""Confidences by hand, on wild numbers, and what does not change them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jaxtyping import TypeCheckError

from ee_jax.exits.confidence import (
    CONFIDENCES,
    confidences,
    entropy,
    learned,
    margin,
    max_prob,
    saturation,
)
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import first_exit
from ee_jax.exits.stopping import make_limits
from tests.exits.table_model import LAYERS, all_confidences, make_table

# A softmax of a few classes in fp32.
TOLERANCE = 1e-6
OF_LOGITS = {"max_prob": max_prob, "margin": margin, "entropy": entropy}
LARGEST = float(np.finfo(np.float32).max)
logits_5 = arrays(
    np.float32, 5, elements=st.floats(-LARGEST, LARGEST, width=32) | st.floats(-9, 9, width=32)
)
batched = {kind: jax.jit(jax.vmap(confidence)) for kind, confidence in OF_LOGITS.items()}


def entropy_of(*p):
    return 1 + sum(x * np.log(x) for x in p) / np.log(len(p))


@pytest.mark.parametrize(
    ("p", "wanted"),
    [
        ([0.5, 0.3, 0.2], (0.5, 0.2, entropy_of(0.5, 0.3, 0.2))),
        ([0.25, 0.75], (0.75, 0.5, entropy_of(0.25, 0.75))),
        ([0.25] * 4, (0.25, 0.0, 0.0)),
        ([0.4, 0.4, 0.2], (0.4, 0.0, entropy_of(0.4, 0.4, 0.2))),
    ],
)
def test_of_probabilities_by_hand(p, wanted):
    logits = jnp.log(jnp.array(p))
    got = [confidence(logits) for confidence in OF_LOGITS.values()]
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize(
    ("feature", "previous", "wanted"),
    [
        ([3.0, 4.0], [4.0, 3.0], 0.96),
        ([3.0, 4.0], [30.0, 40.0], 1.0),
        ([1.0, 0.0], [0.0, 2.0], 0.0),
        ([1.0, 1.0], [-1.0, -1.0], 0.0),  # turned round: not saturated at all
        ([3.0, 4.0], [0.0, 0.0], 0.0),  # before the first exit
    ],
)
def test_saturation_by_hand(feature, previous, wanted):
    got = saturation(jnp.array(feature), jnp.array(previous))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=TOLERANCE)


def test_learned_by_hand():
    np.testing.assert_allclose(learned(jnp.log(3.0)), 0.75, rtol=0, atol=TOLERANCE)
    assert learned(jnp.float32(1e30)) == 1.0
    assert learned(jnp.float32(-1e30)) == 0.0


@pytest.mark.parametrize("kind", OF_LOGITS)
@given(logits_C=logits_5)
def test_wild_logits_stay_in_range(kind, logits_C):
    got = batched[kind](logits_C[None])[0]
    assert 0 <= got <= 1


@pytest.mark.parametrize("kind", OF_LOGITS)
def test_an_overwhelming_class_is_1_and_equal_ones_the_least(kind):
    confidence = OF_LOGITS[kind]
    for top in (200.0, 1e30, LARGEST):
        assert confidence(jnp.array([0.0, top, -top])) == 1.0
    least = 1 / 4 if kind == "max_prob" else 0.0
    for equal in (0.0, 1e30, -LARGEST):
        assert confidence(jnp.full(4, equal)) == pytest.approx(least, abs=TOLERANCE)


@given(
    arrays(np.float32, (2, 3), elements=st.floats(-1e8, 1e8, width=32)),
    st.floats(-(2.0**100), 2.0**100, width=32),
)
def test_wild_features_and_scores_stay_in_range(pair_2D, score):
    assert 0 <= saturation_(*pair_2D) <= 1
    assert 0 <= saturation_(pair_2D[0], pair_2D[0]) <= 1
    assert 0 <= learned_(np.float32(score)) <= 1


saturation_, learned_ = jax.jit(saturation), jax.jit(learned)


def test_a_probability_that_underflows_gives_no_nan_and_no_nan_gradient():
    logits = jnp.array([0.0, -1000.0, -1000.0])
    assert entropy(logits) == 1.0
    # A loss may be taken through it.
    for confidence in OF_LOGITS.values():
        assert np.isfinite(jax.grad(confidence)(logits)).all()


@pytest.mark.parametrize("kind", OF_LOGITS)
@settings(max_examples=50)
@given(
    arrays(np.float32, 5, elements=st.floats(-9, 9, width=32)),
    st.floats(-9, 9),
    st.permutations(range(5)),
)
def test_neither_a_shift_nor_an_order_of_the_classes_matters(kind, logits_C, shift, order):
    changed = (logits_C + np.float32(shift))[np.array(order)]
    one, other = batched[kind](np.stack([logits_C, changed]))
    # Adding the shift rounds a logit by 1e-6.
    np.testing.assert_allclose(one, other, rtol=0, atol=5e-6)


def test_saturation_knows_directions_only():
    one, other = np.random.default_rng(0).normal(size=(2, 8)).astype(np.float32)
    wanted = saturation_(one, other)
    assert 0.1 < saturation_(one, one + other) < 0.99
    np.testing.assert_allclose(saturation_(7 * one, other / 3), wanted, atol=TOLERANCE)
    np.testing.assert_allclose(saturation_(other, one), wanted, atol=TOLERANCE)


def test_streaks_and_votes_by_hand():
    """Four exits: two examples, answers 0 0 1 1 and 0 1 0 0."""
    answer_EN = jnp.array([[0, 0], [0, 1], [1, 0], [1, 0]])
    answer = ExitOutput(jax.nn.one_hot(answer_EN, 2))
    found = {k: confidences(k, answer, jnp.ones(4)).T.tolist() for k in ("patience", "voting")}
    assert found["patience"] == [[0, 0.25, 0, 0.25], [0, 0, 0, 0.25]]
    assert found["voting"] == [[0.25, 0.5, 0.25, 0.5], [0.25, 0.25, 0.5, 0.75]]


@pytest.mark.parametrize("kind", CONFIDENCES)
def test_the_surest_there_can_be_does_not_pass_a_threshold_of_1(kind):
    """Probabilities, cosines and scores that round to 1, and every exit of one mind."""
    logits_ENC = jnp.tile(jnp.array([1e4, 0.0, 0.0]), (5, 2, 1))
    answer = ExitOutput(logits_ENC, jnp.ones((5, 2, 8)), jnp.full((5, 2), 1e4))
    confidence_EN = confidences(kind, answer, jnp.ones(5))
    limits = make_limits(1.0, (1, 2, 3, 4, 5))
    exit_N = first_exit(limits, confidence_EN, answer.logits.argmax(-1))
    assert exit_N.tolist() == [4, 4]
    assert np.all(np.asarray(confidence_EN) <= 1)


@pytest.mark.parametrize("kind", CONFIDENCES)
def test_of_a_full_forward_pass(kind):
    """In a trace, a confidence finds the exits before by itself."""
    table = make_table(0)
    got_EN = confidences(kind, ExitOutput(*map(jnp.asarray, table)), jnp.ones(len(LAYERS)))
    np.testing.assert_allclose(got_EN, all_confidences(kind, table), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", CONFIDENCES)
def test_an_exits_temperature_divides_its_logits(kind):
    table, temperature_E = make_table(0), np.array([0.5, 1.0, 2.0, 5.0], np.float32)
    cooled = table._replace(logits_ENC=table.logits_ENC / temperature_E[:, None, None])
    got_EN = confidences(kind, ExitOutput(*map(jnp.asarray, table)), jnp.asarray(temperature_E))
    np.testing.assert_allclose(got_EN, all_confidences(kind, cooled), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("confidence", OF_LOGITS.values())
def test_a_batch_must_be_vmapped(confidence):
    with pytest.raises((AssertionError, TypeCheckError)):
        confidence(jnp.zeros((2, 3)))
