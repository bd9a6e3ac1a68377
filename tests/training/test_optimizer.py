"""The learning rate over the steps, and which parameter it, decay and clipping act on."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.config import OptimizerConfig
from ee_jax.training.optimizer import make_optimizer, schedule

KERNEL, BIAS = "backbone.blocks.0.mlp.up.kernel", "backbone.blocks.0.mlp.up.bias"
HEAD, HEAD_BIAS = "exits.heads.0.out.kernel", "exits.heads.0.out.bias"
VALUES = {
    KERNEL: jnp.full((2, 2), 2.0),
    BIAS: jnp.full(2, 2.0),
    HEAD: jnp.full((2, 3), 2.0),
    HEAD_BIAS: jnp.full(3, 2.0),
}
GRADIENT = {path: jnp.where(jnp.arange(v.size) % 2, 0.1, -0.2).reshape(v.shape)
            for path, v in VALUES.items()}  # fmt: skip


def first_step(gradient, **fit) -> tuple[Any, Any]:
    """What the first step adds at full rate, and the optimizer's state after it."""
    optimizer = make_optimizer(OptimizerConfig(warmup=0.0, **fit), steps=10)
    return jax.jit(optimizer.update)(gradient, optimizer.init(VALUES), VALUES)


@pytest.mark.parametrize(
    ("warmup", "rates"),
    [
        (4, {0: 0.5, 1: 1.0, 3: 2.0, 4: 2.0, 8: 1.0, 11: 0.25, 12: 0.0}),
        (0, {0: 2.0, 6: 1.0, 12: 0.0}),
        (12, {0: 2.0 / 12, 11: 2.0}),
    ],
)
def test_schedule_by_hand(warmup, rates):
    rate = schedule(2.0, warmup, 12)
    # Thirds and twelfths are rounded.
    assert {step: float(jnp.asarray(rate(step))) for step in rates} == pytest.approx(
        rates, rel=1e-6
    )


def test_the_first_step_of_a_warm_up_learns():
    optimizer = make_optimizer(OptimizerConfig(warmup=0.1, weight_decay=0.0), steps=100)
    update, _ = jax.jit(optimizer.update)(GRADIENT, optimizer.init(VALUES), VALUES)
    # Adam's first step is the rate times the gradient's sign, here a tenth of the peak's.
    np.testing.assert_allclose(update[KERNEL], -5e-6 * np.sign(GRADIENT[KERNEL]), rtol=1e-5)


def test_each_rate_acts_on_its_own_group():
    """Adam's first step is the rate times the gradient's sign."""
    rates = {"learning_rate": 0.5, "head_learning_rate": 3.0}
    update, _ = first_step(GRADIENT, **rates, weight_decay=0.0)
    for path, rate in {KERNEL: 0.5, BIAS: 0.5, HEAD: 3.0, HEAD_BIAS: 3.0}.items():
        # Adam divides by 1 - 0.999, which fp32 knows to five digits.
        np.testing.assert_allclose(update[path], -rate * np.sign(GRADIENT[path]), rtol=1e-5)


def test_matrices_decay_and_vectors_do_not():
    still = {path: jnp.zeros_like(value) for path, value in VALUES.items()}
    rates = {"learning_rate": 0.5, "head_learning_rate": 3.0}
    update, _ = first_step(still, **rates, weight_decay=0.25)
    # -rate x decay x 2.0
    expected = {KERNEL: -0.25, BIAS: 0.0, HEAD: -1.5, HEAD_BIAS: 0.0}
    for path, value in expected.items():
        np.testing.assert_array_equal(update[path], np.full(VALUES[path].shape, value))


def test_the_gradient_is_clipped_over_both_groups_together():
    """Adam's second moment shows what reached it: (1 - 0.999) x gradient^2."""
    _, state = first_step(GRADIENT, clip=0.01)
    norm = np.sqrt(sum(float((g**2).sum()) for g in GRADIENT.values()))
    for group, path in {"backbone": BIAS, "exits": HEAD_BIAS}.items():
        second = state[1].inner_states[group].inner_state[0].nu[path]
        expected = 0.001 * (GRADIENT[path] * 0.01 / norm) ** 2
        np.testing.assert_allclose(second, expected, rtol=1e-5)
