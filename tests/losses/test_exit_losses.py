"""Losses against NumPy in float64, weights by hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax.test_util import check_grads
from scipy.special import log_softmax, rel_entr, softmax

from ee_jax.errors import UserError
from ee_jax.exits.output import ExitOutput
from ee_jax.losses.exit_losses import (
    LOSSES,
    NLL,
    exit_losses,
    kl_to_last,
    label_smoothed,
    soft_cross_entropy,
)
from ee_jax.losses.next_token import exit_token_losses
from ee_jax.training.strategies.strategy import exit_weights

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


def test_strided_weights_by_hand():
    np.testing.assert_allclose(exit_weights("strided", 3, 2), [1 / 9, 3 / 9, 5 / 9], rtol=1e-15)
    np.testing.assert_array_equal(exit_weights("strided", 5, 1), exit_weights("linear", 5))
    np.testing.assert_array_equal(exit_weights("strided", 5, 0), exit_weights("uniform", 5))


@given(st.sampled_from(["uniform", "linear", "geometric", "strided"]), st.integers(1, 24))
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


def nll(logits_EBC: jax.Array, target_B: jax.Array) -> jax.Array:
    return exit_losses([NLL], logits_EBC, target_B)[0]


def random_answer(classes: int = 3) -> tuple[ExitOutput, jax.Array]:
    draw = np.random.default_rng(0)
    logits_EBC = jnp.asarray(draw.normal(size=(2, 5, classes)), jnp.float32)
    if classes == 1:
        return ExitOutput(logits_EBC), jnp.asarray(draw.normal(size=5), jnp.float32)
    return ExitOutput(logits_EBC), jnp.asarray(draw.integers(classes, size=5))


def numpy_losses(logits_EBC: jax.Array, label_B: jax.Array) -> np.ndarray:
    log_p_EBC = log_softmax(np.asarray(logits_EBC, np.float64), axis=-1)
    return -np.array([log_p_BC[np.arange(5), label_B].mean() for log_p_BC in log_p_EBC])


def test_exit_losses_are_mean_cross_entropies():
    answer, label_B = random_answer()
    expected_E = numpy_losses(answer.logits, label_B)
    np.testing.assert_allclose(nll(answer.logits, label_B), expected_E, rtol=RTOL)


def test_exit_losses_of_a_regression_are_mean_squared_errors():
    answer, label_B = random_answer(classes=1)
    expected_E = ((np.asarray(answer.logits)[..., 0] - np.asarray(label_B)) ** 2).mean(1)
    np.testing.assert_allclose(nll(answer.logits, label_B), expected_E, rtol=RTOL)
    by_hand = nll(jnp.array([[[1.0], [4.0]]]), jnp.array([3.0, 3.5]))
    assert by_hand.tolist() == [(4 + 0.25) / 2]


def test_a_loss_that_is_weighted_by_confidence():
    """The largest probability scales the loss, and takes no part in its gradient."""
    answer, label_B = random_answer()
    weighted = LOSSES["confidence_weighted"]
    p_EBC = softmax(np.asarray(answer.logits, np.float64), -1)
    picked_EB = np.take_along_axis(p_EBC, np.asarray(label_B)[None, :, None], -1)[..., 0]
    expected_E = (p_EBC.max(-1) * -np.log(picked_EB)).mean(1)
    (found_E,) = exit_losses([weighted], answer.logits, label_B)
    np.testing.assert_allclose(found_E, expected_E, rtol=RTOL)
    logits_C, label = answer.logits[0, 0], label_B[0]
    gradient, plain = (
        jax.grad(lambda x, of=loss.of: of(x, x, label))(logits_C) for loss in (weighted, NLL)
    )
    np.testing.assert_allclose(gradient, p_EBC[0, 0].max() * plain, rtol=1e-5)


def distillation(logits_EBC: jax.Array, temperature: float, direction: Any) -> jax.Array:
    none_B = jnp.zeros(logits_EBC.shape[1], int)  # no label has a part in it
    return exit_losses([kl_to_last(temperature, direction)], logits_EBC, none_B)[0]


# Teacher (the last exit) 3/4 and 1/4, student 1/2 and 1/2.
PAIR = jnp.log(jnp.array([[[0.5, 0.5]], [[0.75, 0.25]]]))


@pytest.mark.parametrize(
    ("direction", "by_hand"),
    [
        # KL(student || teacher) = 1/2 log (1/2 : 3/4) + 1/2 log (1/2 : 1/4)
        ("paper", 0.5 * np.log(2 / 3) + 0.5 * np.log(2)),
        # KL(teacher || student) = 3/4 log (3/4 : 1/2) + 1/4 log (1/4 : 1/2)
        ("code", 0.75 * np.log(1.5) + 0.25 * np.log(0.5)),
    ],
)
def test_distillation_by_hand_in_both_directions(direction, by_hand):
    lower, last = distillation(PAIR, 1.0, direction)
    np.testing.assert_allclose(lower, by_hand, rtol=RTOL)
    assert last == 0


@pytest.mark.parametrize("direction", ["paper", "code"])
def test_distillation_at_a_temperature_against_scipy(direction):
    answer, _ = random_answer()
    student_BC, teacher_BC = softmax(np.asarray(answer.logits, np.float64) / 4.0, axis=-1)
    pair = (student_BC, teacher_BC) if direction == "paper" else (teacher_BC, student_BC)
    expected = 16 * rel_entr(*pair).sum(-1).mean()
    lower, _ = distillation(answer.logits, 4.0, direction)
    np.testing.assert_allclose(lower, expected, rtol=1e-5)  # a difference of near numbers


@pytest.mark.parametrize("direction", ["paper", "code"])
def test_the_teacher_learns_nothing_from_distillation(direction):
    answer, _ = random_answer()
    gradient = jax.grad(lambda x: distillation(x, 1.0, direction).sum())(answer.logits)
    assert np.all(gradient[-1] == 0)
    assert np.all(gradient[0] != 0)


@pytest.mark.parametrize("direction", ["paper", "code"])
def test_a_probability_that_underflows_does_not_break_distillation(direction):
    logits_EBC = jnp.array([[[0.0, -1000.0]], [[0.0, -2000.0]]])
    value, gradient = jax.value_and_grad(
        lambda logits: distillation(logits, 1.0, direction).sum()
    )(logits_EBC)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


def self_distillation(answer: ExitOutput, label_B: jax.Array, t: float, variant: Any):
    """The sum of all exits' losses, hard and soft."""
    losses = [NLL, soft_cross_entropy(t, variant)]
    return sum(loss_E.sum() for loss_E in exit_losses(losses, answer.logits, label_B))


def test_self_distillation_adds_the_cross_entropy_against_the_last_exit():
    answer, label_B = random_answer()
    logits_EBC = np.asarray(answer.logits, np.float64)
    hard = numpy_losses(answer.logits, label_B).sum()
    soft = -(softmax(logits_EBC[1] / 2, -1) * log_softmax(logits_EBC[0] / 2, -1)).sum(-1)
    loss = self_distillation(answer, label_B, 2.0, "paper")
    np.testing.assert_allclose(loss, hard + 4 * soft.mean(), rtol=RTOL)


def test_self_distillation_as_released_divides_probabilities_and_sums_over_the_batch():
    answer, label_B = random_answer()
    teacher_BC, student_BC = (softmax(np.asarray(answer.logits[e], float), -1) for e in (1, 0))
    soft = -4 * np.sum(teacher_BC / 2 * np.log(student_BC / 2))
    loss = self_distillation(answer, label_B, 2.0, "code")
    hard = numpy_losses(answer.logits, label_B).sum()
    np.testing.assert_allclose(loss, hard + soft, rtol=RTOL)


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_the_last_exit_learns_from_the_labels_alone(variant):
    answer, label_B = random_answer()
    with_teacher = jax.grad(lambda a: self_distillation(a, label_B, 3.0, variant))(answer)
    without = jax.grad(lambda a: nll(a.logits, label_B).sum())(answer)
    np.testing.assert_allclose(with_teacher.logits[-1], without.logits[-1], rtol=RTOL)
    assert np.any(with_teacher.logits[0] != without.logits[0])


def test_label_smoothing_by_hand():
    # p = 1/2, 1/4, 1/4 and s = 0.3: 0.7 ln 2 + 0.3 (ln 2 + 2 ln 4) / 3 = 1.2 ln 2.
    logits_C = jnp.log(jnp.array([2.0, 1.0, 1.0]))
    found = label_smoothed(0.3).of(logits_C, logits_C, jnp.array(0))
    assert float(found) == pytest.approx(1.2 * np.log(2), rel=RTOL)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.9])
def test_label_smoothing_is_the_cross_entropy_of_smoothed_labels(smoothing):
    """Of next tokens, through the chunks in which their losses are computed."""
    rng = np.random.default_rng(0)
    weight_DV = rng.normal(size=(4, 7)).astype(np.float32)
    feature_EBTD = rng.normal(size=(2, 3, 5, 4)).astype(np.float32)
    next_BT = rng.integers(7, size=(3, 5))
    found = exit_token_losses(
        lambda x: x @ jnp.asarray(weight_DV), jnp.asarray(feature_EBTD), jnp.asarray(next_BT),
        [label_smoothed(smoothing), NLL], chunk=2 * 3 * 7 * 2,
    )  # fmt: skip
    label_BTV = (1 - smoothing) * np.eye(7)[next_BT] + smoothing / 7
    log_p_EBTV = log_softmax(feature_EBTD @ weight_DV, -1)
    expected_EBT = -(label_BTV * log_p_EBTV).sum(-1)
    np.testing.assert_allclose(found.losses_EBT[0], expected_EBT, rtol=1e-5)
    if not smoothing:
        np.testing.assert_allclose(*found.losses_EBT, rtol=1e-5)


def test_the_gradient_of_label_smoothing():
    """Against finite differences, and p - label, which is 0 at the smoothed labels."""
    loss, target = label_smoothed(0.1), jnp.array(2)
    logits_C = jnp.asarray(np.random.default_rng(0).normal(size=5), jnp.float32)

    def of(logits_C):
        logits_C = jnp.asarray(logits_C)
        return loss.of(logits_C, logits_C, target)

    check_grads(of, (logits_C,), order=1, modes=["rev"])
    label_C = 0.9 * np.eye(5)[2] + 0.1 / 5
    gradient_C = jax.grad(of)(logits_C)
    np.testing.assert_allclose(gradient_C, softmax(logits_C) - label_C, atol=1e-6)
    np.testing.assert_allclose(jax.grad(of)(jnp.log(label_C)), np.zeros(5), atol=1e-6)
