"""Losses against NumPy in float64, weights by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, log_softmax

from ee_jax.errors import UserError
from ee_jax.models.heads import Answer
from ee_jax.training.losses import exit_losses, exit_weights, multi_exit_loss

# fp32 keeps 24 bits; the sums here are over a few numbers of size 1.
RTOL = 1e-6


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("uniform", [1 / 3, 1 / 3, 1 / 3]),
        ("linear", [1 / 6, 2 / 6, 3 / 6]),
        ("geometric", [1 / 7, 2 / 7, 4 / 7]),
        ((1.0, 0.0, 3.0), [0.25, 0.0, 0.75]),
    ],
)
def test_weights_by_hand(scheme, expected):
    np.testing.assert_allclose(exit_weights(scheme, 3), expected, rtol=1e-15)


@given(st.sampled_from(["uniform", "linear", "geometric"]), st.integers(1, 24))
def test_weights_sum_to_one_and_never_fall(scheme, exits):
    weight_E = exit_weights(scheme, exits)
    assert weight_E.shape == (exits,)
    assert weight_E.sum() == pytest.approx(1, rel=1e-14)
    assert np.all(np.diff(weight_E) >= 0)


@pytest.mark.parametrize(
    "weights",
    [(1.0, 1.0), (1.0, 1.0, 1.0, 1.0), (), (1.0, -1.0, 1.0), (0.0, 0.0, 0.0),
     (1.0, float("nan"), 1.0), (1.0, float("inf"), 1.0)],
)  # fmt: skip
def test_weights_that_are_no_weights_are_refused(weights):
    with pytest.raises(UserError, match=r"`strategies.weights` must hold 3 numbers") as error:
        exit_weights(weights, 3)
    assert "\n" not in str(error.value)


def random_answer(score: bool) -> tuple[Answer, jax.Array]:
    draw = np.random.default_rng(0)
    logits_EBC = jnp.asarray(draw.normal(size=(2, 5, 3)), jnp.float32)
    score_EB = jnp.asarray(draw.normal(size=(2, 5)), jnp.float32) if score else None
    return Answer(logits_EBC, None, score_EB), jnp.asarray(draw.integers(3, size=5))


def numpy_losses(logits_EBC: jax.Array, label_B: jax.Array) -> np.ndarray:
    log_p_EBC = log_softmax(np.asarray(logits_EBC, np.float64), axis=-1)
    return -np.array([log_p_BC[np.arange(5), label_B].mean() for log_p_BC in log_p_EBC])


def test_exit_losses_are_mean_cross_entropies():
    answer, label_B = random_answer(score=False)
    expected_E = numpy_losses(answer.logits, label_B)
    np.testing.assert_allclose(exit_losses(answer.logits, label_B), expected_E, rtol=RTOL)


def test_the_multi_exit_loss_is_their_weighted_sum():
    answer, label_B = random_answer(score=False)
    expected_E = numpy_losses(answer.logits, label_B)
    loss, loss_E = multi_exit_loss(answer, label_B, jnp.array([0.25, 0.75]))
    np.testing.assert_allclose(loss, expected_E @ [0.25, 0.75], rtol=RTOL)
    np.testing.assert_allclose(loss_E, expected_E, rtol=RTOL)


def test_a_learned_confidence_adds_its_own_loss():
    answer, label_B = random_answer(score=True)
    right_EB = np.asarray(answer.logits).argmax(-1) == np.asarray(label_B)
    p_EB = expit(np.asarray(answer.score, np.float64))
    own_E = -np.where(right_EB, np.log(p_EB), np.log(1 - p_EB)).mean(1)
    expected = numpy_losses(answer.logits, label_B) @ [0.25, 0.75] + own_E.mean()
    loss, _ = multi_exit_loss(answer, label_B, jnp.array([0.25, 0.75]))
    np.testing.assert_allclose(loss, expected, rtol=RTOL)


def test_a_learned_confidence_does_not_shape_the_answers():
    answer, label_B = random_answer(score=True)

    def loss(answer: Answer) -> jax.Array:
        return multi_exit_loss(answer, label_B, jnp.array([0.25, 0.75]))[0]

    scored, plain = (jax.grad(loss)(a) for a in (answer, answer._replace(score=None)))
    np.testing.assert_array_equal(scored.logits, plain.logits)
    assert np.all(scored.score != 0)
