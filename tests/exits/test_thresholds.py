"""The papers' parameters as thresholds: the same decisions as the papers' own tests."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.exits.confidence import confidences
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import first_exit
from ee_jax.exits.stopping import make_limits
from ee_jax.exits.thresholds import (
    entropy_threshold,
    patience_threshold,
    speed_threshold,
    uncertainty_threshold,
)

E, N, C = 5, 300, 3
LAYERS = (1, 2, 4, 7, 8)
# Confidences in fp32 against the papers' tests in double precision.
NEAR = 1e-5


def table() -> ExitOutput:
    draw = np.random.default_rng(0)
    logits_ENC = draw.normal(size=(E, N, C), scale=2).astype(np.float32)
    score_EN = draw.normal(size=(E, N), scale=2).astype(np.float32)
    return ExitOutput(jnp.asarray(logits_ENC), None, jnp.asarray(score_EN))


@jax.jit
def at(threshold, confidence_EN, prediction_EN):
    return first_exit(make_limits(threshold, LAYERS), confidence_EN, prediction_EN)


def ours(kind, threshold, answer=None, tolerance=0.1) -> np.ndarray:
    """Where the examples of the table stop."""
    answer = answer or table()
    confidence_EN = confidences(kind, answer, jnp.ones(E), tolerance)
    return np.asarray(at(threshold, confidence_EN, answer.logits.argmax(-1)))


def first(stop_EN) -> np.ndarray:
    """Where a paper stops, given where its test holds; the last exit always answers."""
    stop_EN = np.array(stop_EN)
    stop_EN[-1] = True
    return stop_EN.argmax(0)


def log_probabilities() -> np.ndarray:
    return np.asarray(jax.nn.log_softmax(np.asarray(table().logits, np.float64)), np.float64)


def nats() -> np.ndarray:
    log_p = log_probabilities()
    return -(np.exp(log_p) * log_p).sum(-1)


def clear(value_EN, limit):
    """No value so near the limit that rounding decides."""
    assert np.abs(value_EN - limit).min() > NEAR


@pytest.mark.parametrize("entropy", [0.0, 0.05, 0.15, 0.4, 0.7, 1.0])
def test_deebert_stops_where_the_entropy_is_below(entropy):
    clear(nats(), entropy)
    expected_N = first(nats() < entropy)
    np.testing.assert_array_equal(ours("entropy", entropy_threshold(entropy, C)), expected_N)


@pytest.mark.parametrize("speed", [0.0, 0.1, 0.5, 0.8, 1.0])
def test_fastbert_stops_where_the_share_of_the_largest_entropy_is_below(speed):
    share_EN = nats() / np.log(C)
    clear(share_EN, speed)
    np.testing.assert_array_equal(
        ours("entropy", speed_threshold(speed)), first(share_EN < speed)
    )


@pytest.mark.parametrize("uncertainty", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
def test_berxit_stops_where_the_uncertainty_is_below(uncertainty):
    u_EN = 1 / (1 + np.exp(np.asarray(table().score, np.float64)))
    clear(u_EN, uncertainty)
    found_N = ours("learned", uncertainty_threshold(uncertainty))
    np.testing.assert_array_equal(found_N, first(u_EN < uncertainty))


def pabee(answer_E, same, patience) -> int:
    """The counter of PABEE, on one example."""
    counter = 0
    for exit in range(E):
        agrees = exit > 0 and same(answer_E[exit], answer_E[exit - 1])
        counter = counter + 1 if agrees else 0
        if counter == patience:
            return exit
    return E - 1


@pytest.mark.parametrize("patience", [1, 2, 3, 4, 5, 9])
def test_pabee_stops_when_the_counter_reaches_its_patience(patience):
    answer_EN = np.asarray(table().logits).argmax(-1)
    expected_N = [pabee(answer_E, lambda a, b: a == b, patience) for answer_E in answer_EN.T]
    found_N = ours("patience", patience_threshold(patience, E))
    np.testing.assert_array_equal(found_N, expected_N)


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_pabee_of_a_regression_stops_when_numbers_stay_near(patience):
    draw = np.random.default_rng(0)
    answer_EN = draw.integers(0, 8, size=(E, N)) / 8  # exact, so that ties are common
    answer = ExitOutput(jnp.asarray(answer_EN[..., None], jnp.float32))
    expected_N = [
        pabee(answer_E, lambda a, b: abs(a - b) < 0.25, patience) for answer_E in answer_EN.T
    ]
    found_N = ours("patience", patience_threshold(patience, E), answer, tolerance=0.25)
    np.testing.assert_array_equal(found_N, expected_N)
    assert len(set(expected_N)) > 1


def test_thresholds_lie_where_thresholds_lie():
    found = [
        entropy_threshold(2.0, C), speed_threshold(1.2), patience_threshold(99, E),
        uncertainty_threshold(0.25),
    ]  # fmt: skip
    assert all(0 <= threshold <= 1 for threshold in found)
