"""Thresholds that change with the tokens drawn, against the formulas by hand."""

import jax.numpy as jnp
import numpy as np
import pytest

from ee_jax.exits.output import ExitOutput
from ee_jax.inference.rules import Exiting

LAYERS = (1, 2)
COUNT_B = jnp.asarray([0, 5, 20])


def stops_at(exiting, threshold, p):
    """Which of three rows, 0, 5 and 20 tokens on, stop where the likeliest token has p."""
    rule = exiting.rule_at(threshold, LAYERS)(COUNT_B)
    logits_BV = jnp.log(jnp.tile(jnp.asarray([[p, 1 - p]]), (3, 1)))
    answer = ExitOutput(logits_BV, jnp.zeros((3, 4)))
    return np.asarray(rule.step(jnp.int32(0), answer, rule.init(answer))[0].stop_B).tolist()


@pytest.mark.parametrize(
    ("decay", "thresholds"),
    [
        # e^{-4 t / 10} is 1, 0.1353 and 0.0003.
        ("calm_paper", [0.9 * 0.8 + 0.1, 0.9 * 0.8 + 0.01353, 0.9 * 0.8 + 0.00003]),
        ("calm_released_code", [0.8, 0.8 * 0.91353, 0.8 * 0.90003]),
        (None, [0.8, 0.8, 0.8]),
    ],
)
def test_thresholds_by_hand(decay, thresholds):
    exiting = Exiting(decay=decay, tau=4.0, length=10)
    for row, threshold in enumerate(thresholds):
        assert not stops_at(exiting, 0.8, threshold - 1e-4)[row]
        assert stops_at(exiting, 0.8, threshold + 1e-4)[row]


@pytest.mark.parametrize("decay", ["calm_paper", "calm_released_code", None])
def test_a_threshold_of_1_never_stops(decay):
    assert stops_at(Exiting(decay=decay, length=10), 1.0, 1.0) == [False] * 3
