"""Losses in chunks, against all logits at once; and the memory that chunks save."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from ee_jax.losses.exit_losses import NLL, distillation_kl, kl_to_last
from ee_jax.losses.next_token import exit_token_losses, mean_over_tokens

E, B, T, D, V = 3, 2, 7, 5, 11
FEATURE_EBTD = jax.random.normal(jax.random.key(0), (E, B, T, D))
WEIGHT_DV = jax.random.normal(jax.random.key(1), (D, V))
NEXT_BT = jax.random.randint(jax.random.key(2), (B, T), 0, V)
MASK_BT = jnp.asarray(np.arange(T) < np.array([[7], [4]]))
WEIGHT_E = jnp.array([0.2, 0.3, 0.5])
TEMPERATURE = 2.0


def brute_force(feature_EBTD, weight_DV):
    """The weighted loss, its two parts summed, with all logits at once."""
    logits_EBTV = feature_EBTD @ weight_DV
    next_EBT = jnp.broadcast_to(NEXT_BT, logits_EBTV.shape[:3])
    loss_EBT = optax.losses.softmax_cross_entropy_with_integer_labels(logits_EBTV, next_EBT)
    teacher = jax.nn.softmax(jax.lax.stop_gradient(logits_EBTV[-1:]) / TEMPERATURE)
    student = jax.nn.softmax(logits_EBTV / TEMPERATURE)
    distillation_kl_EBT = TEMPERATURE**2 * (teacher * jnp.log(teacher / student)).sum(-1)
    token_EBT = (loss_EBT + distillation_kl_EBT) * MASK_BT[None]
    return jnp.vdot(WEIGHT_E, token_EBT.sum((1, 2)) / 11)


def in_chunks(feature_EBTD, weight_DV, chunk):
    losses = (NLL, kl_to_last(TEMPERATURE, "code"))
    found = exit_token_losses(lambda x: x @ weight_DV, feature_EBTD, NEXT_BT, losses, chunk)
    return jnp.vdot(WEIGHT_E, mean_over_tokens(jnp.stack(found.losses_EBT).sum(0), MASK_BT))


@pytest.mark.parametrize("positions", [1, 3, 7, 100])
def test_loss_and_gradient_are_those_of_all_logits_at_once(positions):
    expected, gradient = jax.value_and_grad(brute_force, (0, 1))(FEATURE_EBTD, WEIGHT_DV)
    found = jax.jit(jax.value_and_grad(in_chunks, (0, 1)), static_argnums=2)
    loss, found_gradient = found(FEATURE_EBTD, WEIGHT_DV, positions * E * B * V)
    # fp32 sums of 22 terms of size 1 in another order.
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    for ours, theirs in zip(found_gradient, gradient, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6)
    assert not np.asarray(found_gradient[0])[:, 1, 4:].any()  # padding


def test_predictions_are_the_likeliest_tokens():
    found = exit_token_losses(
        lambda x: x @ WEIGHT_DV, FEATURE_EBTD, NEXT_BT, chunk=2 * E * B * V
    )
    logits_EBTV = FEATURE_EBTD @ WEIGHT_DV
    np.testing.assert_array_equal(found.prediction_EBT, logits_EBTV.argmax(-1))
    assert len(found.losses_EBT) == 1


def test_the_gap_is_0_between_equals_and_the_teacher_learns_nothing():
    teacher, student = jnp.array([1.0, 2.0, 0.0]), jnp.array([0.0, 1.0, -1.0])
    np.testing.assert_allclose(
        distillation_kl(teacher, student, 1.0), 0, atol=1e-6
    )  # shift only
    # KL((1/2, 1/2) || (1/4, 3/4)) = log(2 / sqrt 3).
    quarter = jnp.log(jnp.array([1.0, 3.0]))
    gap = distillation_kl(jnp.zeros(2), quarter, 1.0)
    np.testing.assert_allclose(gap, np.log(2 / np.sqrt(3)), rtol=1e-5)
    assert not jax.grad(distillation_kl)(jnp.zeros(2), quarter, 1.0).any()


def test_no_program_holds_the_logits_of_all_exits():
    exits, batch, time, width, vocabulary = 6, 4, 64, 16, 4096
    feature = jax.ShapeDtypeStruct((exits, batch, time, width), jnp.float32)
    weight = jax.ShapeDtypeStruct((width, vocabulary), jnp.float32)
    next_BT = jnp.zeros((batch, time), jnp.int32)

    def loss(feature, weight):
        both = (NLL, kl_to_last(1.0, "code"))
        found = exit_token_losses(lambda x: x @ weight, feature, next_BT, both, chunk=2**15)
        return jnp.stack(found.losses_EBT).sum(0).mean()

    compiled = jax.jit(jax.grad(loss, (0, 1))).lower(feature, weight).compile()
    analysis = compiled.memory_analysis()
    assert analysis is not None
    held = analysis.temp_size_in_bytes
    assert held < 4 * exits * batch * time * vocabulary / 10
