"""What a threshold would have done on a trace: each example's exit, depth and loss.

Decisions are `ee_jax.exits.rules.first_exit`'s, so they are the compiled loop's.
"""

from functools import partial
from typing import NamedTuple

import chex
import jax
import numpy as np
from jaxtyping import Array, Float, Int, Real

from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.rules import first_exit
from ee_jax.exits.stopping import PLAIN, Stopping, make_limits

# Candidates from the full model down, as every search walks.
GRID = np.arange(100, -1, -1) / 100


class Outcomes(NamedTuple):
    """K thresholds on N examples."""

    threshold_K: Float[np.ndarray, " K"]
    depth_KN: Int[np.ndarray, "K N"]
    loss_KN: Float[np.ndarray, "K N"]


def exits_taken(
    trace: Trace, threshold_K: Float[np.ndarray, " K *E"], stopping: Stopping = PLAIN
) -> Int[np.ndarray, "K N"]:
    """The number of the exit that answers each example; a threshold for all exits, or for each.

    Raises:
        UserError: patience counts equal answers, and the trace has no `prediction_NE`, or is of
            a regression.
    """
    compares = stopping.reads_predictions
    if compares and trace.prediction_NE is None:
        raise UserError("the trace has no `prediction_NE`: write it, or set patience to 0")
    if stopping.patience and trace.label_range is not None:
        raise UserError(
            "a trace does not say when answers of a regression are the same: set patience to 0"
        )
    threshold_K = np.asarray(threshold_K, np.float32).reshape(len(threshold_K), -1)
    threshold_KE = np.broadcast_to(threshold_K, (len(threshold_K), trace.depth_E.size))
    prediction_NE = np.zeros_like(trace.confidence_NE, np.int32)
    if compares and trace.prediction_NE is not None:
        prediction_NE = trace.prediction_NE
    columns_EN = trace.confidence_NE.T, prediction_NE.T
    exit_layers = tuple(trace.depth_E.tolist())
    return np.asarray(_exits(threshold_KE, exit_layers, *columns_EN, stopping))


@partial(jax.jit, static_argnames=("exit_layers", "stopping"))
def _exits(
    threshold_KE: Float[Array, "K E"],
    exit_layers: tuple[int, ...],
    confidence_EN: Float[Array, "E N"],
    prediction_EN: Int[Array, "E N"],
    stopping: Stopping,
) -> Int[Array, "K N"]:
    def at(threshold_E: Array) -> Array:
        limits = make_limits(threshold_E, exit_layers)
        return first_exit(limits, confidence_EN, prediction_EN, stopping)

    return jax.vmap(at)(threshold_KE)


def at_exits(
    value_NE: Real[np.ndarray, "N E"], exit_KN: Int[np.ndarray, "K N"]
) -> Real[np.ndarray, "K N"]:
    """Each example's value at the exit that answers it."""
    chex.assert_equal(value_NE.shape[0], exit_KN.shape[1])
    return value_NE[np.arange(len(value_NE)), exit_KN]


def predictions(
    trace: Trace,
    threshold_K: Float[np.ndarray, " K *E"] = GRID,
    stopping: Stopping = PLAIN,
) -> Real[np.ndarray, "K N"]:
    """The answer to every example at every threshold, of a trace that has `prediction_NE`."""
    assert trace.prediction_NE is not None
    exit_KN = exits_taken(trace, threshold_K, stopping)
    return at_exits(trace.prediction_NE, exit_KN)


def outcomes(
    trace: Trace,
    threshold_K: Float[np.ndarray, " K *E"] = GRID,
    stopping: Stopping = PLAIN,
) -> Outcomes:
    """Depth and loss of every example at every threshold."""
    exit_KN = exits_taken(trace, threshold_K, stopping)
    return Outcomes(threshold_K, trace.depth_E[exit_KN], at_exits(trace.loss_NE, exit_KN))
