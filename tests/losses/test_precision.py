"""Losses against float64, over twelve orders of magnitude."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import given, settings
from hypothesis import strategies as st

from ee_jax.losses import learned_confidence as scores
from ee_jax.losses.exit_losses import (
    confidence_weighted,
    distillation_kl,
    kl_to_last,
    negative_log_likelihood,
    soft_cross_entropy,
)
from ee_jax.losses.next_token import mean_over_tokens

CLASSES = (2, 50, 4096)
SCALES = st.floats(-6, 6).map(lambda power: 10.0**power)
TEMPERATURES = st.sampled_from([0.5, 1.0, 8.0])
SEEDS = st.integers(0, 99)
# An exponential and a logarithm, each a unit of 6e-8 or two, and the sum over the classes.
UNITS = 2e-6


def log_softmax(logits_C):
    return scipy.special.log_softmax(logits_C.astype(np.float64))


def nll(logits_C, last_C, target):
    return -log_softmax(logits_C)[target]


def weighted(logits_C, last_C, target):
    return np.exp(log_softmax(logits_C).max()) * nll(logits_C, last_C, target)


def kl(first_C, second_C, t):
    """KL of distributions at a temperature, times its square."""
    first_C, second_C = (
        log_softmax(part.astype(np.float64) / t) for part in (first_C, second_C)
    )
    return t**2 * np.sum(np.exp(first_C) * (first_C - second_C))


def soft(logits_C, last_C, t):
    """BERxiT's cross-entropy as distillation is written."""
    teacher_C, student_C = (np.float64(part) / t for part in (last_C, logits_C))
    return -(t**2) * np.sum(np.exp(log_softmax(teacher_C)) * log_softmax(student_C))


def at(t, of):
    """A loss of two distributions, jitted for its temperature."""
    return jax.jit(lambda logits_C, last_C, target: of(t)(logits_C, last_C, target))


PAIRS = {
    "nll": (lambda t: negative_log_likelihood, lambda z, last, y, t: nll(z, last, y)),
    "weighted": (lambda t: confidence_weighted, lambda z, last, y, t: weighted(z, last, y)),
    "kl, code": (lambda t: kl_to_last(t, "code").of, lambda z, last, y, t: kl(last, z, t)),
    "kl, paper": (lambda t: kl_to_last(t, "paper").of, lambda z, last, y, t: kl(z, last, t)),
    "soft": (
        lambda t: soft_cross_entropy(t, "paper").of,
        lambda z, last, y, t: soft(z, last, t),
    ),
}
compiled = {(name, t): at(t, of) for name, (of, _) in PAIRS.items() for t in (0.5, 1.0, 8.0)}


@pytest.mark.parametrize("name", PAIRS)
@settings(max_examples=60)
@given(
    st.sampled_from(CLASSES), SEEDS, SCALES, TEMPERATURES,
    st.sampled_from(["drawn", "equal", "the same"]),
)  # fmt: skip
def test_losses_of_an_exit(name, classes, seed, scale, t, kind):
    random = np.random.default_rng(seed)
    logits_C, last_C = (scale * random.normal(size=(2, classes))).astype(np.float32)
    if kind == "equal":
        logits_C = np.full(classes, np.float32(scale))
    if kind == "the same":
        last_C = logits_C
    target = int(random.integers(classes))
    got = float(compiled[name, t](logits_C, last_C, target))
    wanted = PAIRS[name][1](logits_C, last_C, target, t)
    # A logit is rounded by a unit of the largest, and is multiplied by t^2 / t.
    atol = UNITS * (t**2 + t * float(np.abs([logits_C, last_C]).max()))
    assert np.isfinite(got)
    assert got == pytest.approx(wanted, rel=UNITS, abs=atol)


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e3, 1e6])
def test_an_exit_that_agrees_with_the_last_has_nothing_to_learn(scale):
    last_C = jnp.asarray(scale * np.random.default_rng(0).normal(size=50), jnp.float32)
    loss, gradient = jax.value_and_grad(lambda z: distillation_kl(last_C, z, 2.0))(last_C)
    assert loss == 0.0
    # t softmax(z / t) less itself, rounded.
    np.testing.assert_allclose(gradient, 0.0, rtol=0, atol=1e-6)


SCORES = {
    "cross_entropy": lambda s, r: np.logaddexp(0, s) - r * s,
    "squared": lambda s, r: (scipy.special.expit(s) - r) ** 2,
}
over_examples = {
    name: jax.jit(lambda s, r, of=of: of(s, r, lambda x: x.mean(1)))
    for name, of in (scores.LOSSES | {"geometric": scores.geometric}).items()
}


def balanced(score_EN, right_EN):
    share_E1 = right_EN.mean(1, keepdims=True)
    weight_EN = np.where(right_EN > 0.5, 1 - share_E1, share_E1)
    return weight_EN * SCORES["cross_entropy"](score_EN, right_EN)


def geometric(score_EN, right_EN):
    """-log of the product over the exits before the first that is right, by loops."""
    total = 0.0
    for score_E, right_E in zip(score_EN.T, right_EN.T, strict=True):
        first = next((e for e, right in enumerate(right_E[:-1]) if right), len(right_E) - 1)
        total += np.logaddexp(0, score_E[:first]).sum()
        total += np.logaddexp(0, -score_E[first]) if first < len(right_E) - 1 else 0.0
    return total / score_EN.shape[1]


@settings(max_examples=60)
@given(SEEDS, SCALES, st.sampled_from(["drawn", "none", "all"]))
def test_losses_of_scores(seed, scale, kind):
    random = np.random.default_rng(seed)
    score_EN = (scale * random.normal(size=(3, 16))).astype(np.float32)
    right_EN = (random.random((3, 16)) < {"drawn": 0.5, "none": 0.0, "all": 1.0}[kind]) * 1.0
    exact = score_EN.astype(np.float64)
    wanted = {name: of(exact, right_EN).mean(1) for name, of in SCORES.items()}
    wanted |= {"balanced": balanced(exact, right_EN).mean(1)}
    wanted |= {"geometric": geometric(exact, right_EN)}
    for name, of in over_examples.items():
        got = of(score_EN, right_EN.astype(np.float32))
        # Sums of 16 to 48 numbers of one sign: relative, and of the scores' own rounding.
        np.testing.assert_allclose(got, wanted[name], rtol=UNITS, atol=UNITS)


@given(st.integers(0, 6), SEEDS, SCALES)
def test_a_mean_over_tokens(count, seed, scale):
    value_EBT = (scale * np.random.default_rng(seed).normal(size=(2, 2, 3))).astype(np.float32)
    mask_BT = (np.arange(6) < count).reshape(2, 3)
    spoilt = np.where(mask_BT, value_EBT, np.nan).astype(np.float32)
    wanted = value_EBT[:, mask_BT].astype(np.float64).sum(1) / max(count, 1)
    got = mean_over_tokens(jnp.asarray(spoilt), jnp.asarray(mask_BT))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=UNITS * np.abs(value_EBT).max())
