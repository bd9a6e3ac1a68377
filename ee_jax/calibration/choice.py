"""What thresholds would have done on a trace, and what every method hands back.

Decisions are `ee_jax.exits.rules.first_exit`'s, so they are the compiled loop's.
"""

from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import chex
import jax
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Real

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
    low: float = 0.0  # the least that a loss can be; the largest is 1


def exits_taken(
    trace: Trace, threshold_K: Float[np.ndarray, " K *E"], stopping: Stopping = PLAIN
) -> Int[np.ndarray, "K N"]:
    """The number of the exit that answers each example; a threshold for all exits, or for each.

    Args:
      trace: what every exit said.
      threshold_K: of all exits, or [K, E] of each.
      stopping: exit rule, least depth and patience.

    Returns:
      Numbers of exits; 0 is the first.

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
    """Each example's value at the exit that answers it.

    Args:
      value_NE: of every example at every exit.
      exit_KN: where it stops, at each candidate.

    Returns:
      The values there.
    """
    chex.assert_equal(value_NE.shape[0], exit_KN.shape[1])
    return value_NE[np.arange(len(value_NE)), exit_KN]


def predictions(
    trace: Trace,
    threshold_K: Float[np.ndarray, " K *E"] = GRID,
    stopping: Stopping = PLAIN,
) -> Real[np.ndarray, "K N"]:
    """The answer to every example at every threshold, of a trace that has `prediction_NE`.

    Args:
      trace: with `prediction_NE`.
      threshold_K: of all exits, or [K, E] of each.
      stopping: exit rule, least depth and patience.

    Returns:
      The answers.
    """
    assert trace.prediction_NE is not None
    exit_KN = exits_taken(trace, threshold_K, stopping)
    return at_exits(trace.prediction_NE, exit_KN)


def outcomes(
    trace: Trace,
    threshold_K: Float[np.ndarray, " K *E"] = GRID,
    stopping: Stopping = PLAIN,
) -> Outcomes:
    """Depth and loss of every example at every threshold.

    Args:
      trace: what every exit said.
      threshold_K: of all exits, or [K, E] of each.
      stopping: exit rule, least depth and patience.

    Returns:
      Depths in blocks, and losses.
    """
    exit_KN = exits_taken(trace, threshold_K, stopping)
    return Outcomes(threshold_K, trace.depth_E[exit_KN], at_exits(trace.loss_NE, exit_KN))


# Why the search ended: the next candidate failed, there was no next one, on so few examples
# none could have passed, or the threshold was found without going on until one fails.
Ended = Literal["next candidate failed", "edge of the grid", "too few examples", "found"]


@dataclass(frozen=True, kw_only=True)
class Choice:
    """Thresholds, how they were found, and the means over the examples they were found on."""

    method: str
    level: float  # the risk that was allowed; of a budget, the depth
    delta: float | None = None  # the chance of more than that, where the method gives one
    threshold: float | tuple[float, ...]  # of all exits, or of each
    risk: float
    depth: float
    examples: int
    ended: Ended  # at the edge, a threshold beyond the grid might have done as well
    falling: int = 0  # examples whose loss falls somewhere, to a method that needs none of them
    warning: str = ""

    @property
    def is_full_model(self) -> bool:
        """True where nothing stops early, since no candidate but that was accepted."""
        return bool(np.all(np.equal(self.threshold, 1)))


def last_accepted(ok_K: Bool[np.ndarray, "*S K"]) -> Int[np.ndarray, "*S"]:
    """The last candidate before the first that fails; the first, the full model, cannot.

    Args:
      ok_K: which candidates pass, from the full model down.

    Returns:
      The number of the candidate.
    """
    failed_K = ~np.asarray(ok_K)
    failed_K[..., 0] = False
    stop_K = np.concatenate([failed_K, np.ones_like(failed_K[..., :1])], axis=-1)
    return np.asarray(stop_K.argmax(-1) - 1)


def lowest_accepted(ok_K: Bool[np.ndarray, "*S K"]) -> Int[np.ndarray, "*S"]:
    """The last candidate that passes, whatever fails before it; the first where none does.

    Args:
      ok_K: which candidates pass, from the full model down.

    Returns:
      The number of the candidate.
    """
    ok_K = np.asarray(ok_K)
    last_K = ok_K.shape[-1] - 1 - ok_K[..., ::-1].argmax(-1)
    return np.where(ok_K.any(-1), last_K, 0)


def choose(
    method: str, level: float, candidates: Outcomes, ok_K: Bool[np.ndarray, " K"]
) -> Choice:
    """The choice by which of the candidates, from the full model down, a method accepts."""
    return pick(method, level, candidates, int(last_accepted(ok_K)))


def pick(
    method: str, level: float, candidates: Outcomes, k: int, ended: Ended | None = None
) -> Choice:
    """Candidate number k, the end of a walk if not said otherwise."""
    threshold = candidates.threshold_K[k]
    at_edge = k == len(candidates.threshold_K) - 1
    return Choice(
        method=method,
        level=level,
        threshold=tuple(threshold.tolist()) if np.ndim(threshold) else float(threshold),
        risk=float(candidates.loss_KN[k].mean()),
        depth=float(candidates.depth_KN[k].mean()),
        examples=candidates.loss_KN.shape[1],
        ended=ended or ("edge of the grid" if at_edge else "next candidate failed"),
    )


def check_candidates(threshold_K: Float[np.ndarray, " K"]) -> None:
    """Raises the UserError of candidates that no walk can begin or follow."""
    if threshold_K[0] != 1 or not np.all(np.diff(threshold_K) < 0):
        raise UserError("candidate thresholds must fall from 1, e.g. (1.0, 0.9, 0.8)")
