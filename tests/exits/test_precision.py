"""Confidences against float64, over twelve orders of magnitude and all lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ee_jax.exits.confidence import (
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

CLASSES = (2, 3, 50, 32_000)
# A softmax of fp32 is a few units of 6e-8 beside 1, and the sum over a vocabulary of 32,000
# some more; measured: 1e-6.
TOLERANCE = 3e-6
SCALES = st.floats(-6, 6).map(lambda power: 10.0**power)
KINDS = st.sampled_from(["normal", "equal", "one hot", "two hot", "whole"])


def softmax(logits_C):
    return scipy.special.softmax(logits_C.astype(np.float64))


def top_two(p_C):
    return np.sort(p_C)[:-3:-1]


EXACT = {
    max_prob: lambda logits_C: softmax(logits_C).max(),
    margin: lambda logits_C: -np.diff(top_two(softmax(logits_C)))[0],
    entropy: lambda logits_C: (
        1 - scipy.special.entr(softmax(logits_C)).sum() / np.log(len(logits_C))
    ),
}
compiled = {measure: jax.jit(measure) for measure in [*EXACT, saturation, learned]}


def logits_of(kind, classes, seed, scale):
    """Logits that are drawn, all equal, or of one or two classes alone."""
    random = np.random.default_rng(seed)
    logits_C = {
        "normal": random.normal(size=classes),
        "equal": np.ones(classes),
        "one hot": np.arange(classes) == seed % classes,
        "two hot": np.isin(np.arange(classes), [0, classes - 1]),
        "whole": random.integers(-3, 4, size=classes),
    }[kind]
    return (scale * logits_C).astype(np.float32)


@pytest.mark.parametrize("measure", EXACT)
@settings(max_examples=60)
@example("two hot", 32_000, 0, 1e6)
@example("one hot", 32_000, 0, 20.0)
@given(KINDS, st.sampled_from(CLASSES), st.integers(0, 99), SCALES)
def test_confidences_of_logits(measure, kind, classes, seed, scale):
    logits_C = logits_of(kind, classes, seed, scale)
    got = float(compiled[measure](logits_C))
    assert 0 <= got <= 1
    assert got == pytest.approx(EXACT[measure](logits_C), rel=0, abs=TOLERANCE)


@settings(max_examples=60)
@given(st.sampled_from([1, 2, 384]), st.integers(0, 99), SCALES, SCALES, st.floats(-1, 1))
def test_saturation(width, seed, scale, other, mix):
    random = np.random.default_rng(seed)
    one, two = random.normal(size=(2, width))
    one, two = (scale * one).astype(np.float32), (other * (mix * one + two)).astype(np.float32)
    a, b = one.astype(np.float64), two.astype(np.float64)
    wanted = np.clip(a @ b / np.sqrt(a @ a * (b @ b)), 0, 1)
    assert float(compiled[saturation](one, two)) == pytest.approx(wanted, rel=0, abs=TOLERANCE)


@given(st.floats(-1e6, 1e6, width=32))
def test_learned(score):
    wanted = scipy.special.expit(np.float64(score))
    assert float(compiled[learned](np.float32(score))) == pytest.approx(
        wanted, rel=1e-6, abs=1e-37
    )


@pytest.mark.parametrize("kind", ["max_prob", "margin", "entropy", "saturation", "learned"])
def test_logits_that_are_no_numbers_stop_nobody_early(kind):
    """A model that broke answers from its last exit; `patience` and `voting` count answers."""
    exits, batch = 3, 2
    nan = jnp.full((exits, batch, 4), jnp.nan)
    answer = ExitOutput(nan, nan, nan[..., 0])
    confidence_EN = confidences(kind, answer, jnp.ones(exits))
    prediction_EN = jnp.arange(exits)[:, None].repeat(batch, 1)
    stops_N = first_exit(make_limits(0.9, (1, 2, 3)), confidence_EN, prediction_EN)
    assert (np.asarray(stops_N) == exits - 1).all()
