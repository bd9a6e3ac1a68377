"""Thresholds that fit the examples at hand: a tolerance of a quality, or a mean depth.

What is lost against the full model is counted in a quality of one's own, such as an F1 score
or a correlation, which need be no mean over examples. In a risk of `RISKS`, which is one, the
method `empirical` of `certify` keeps the same rule.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int, Real

from ee_jax.calibration.choice import (
    GRID,
    Choice,
    Outcomes,
    check_candidates,
    choose,
    outcomes,
    pick,
    predictions,
)
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

# Of predictions and labels, the larger the better.
Quality = Callable[[Real[np.ndarray, " N"], Real[np.ndarray, " N"]], float]

# 0.4 - 0.1 is more than 0.3 in floating point; no two means of 10,000 losses are that close.
SLACK = 1e-9


def choose_for_quality(
    trace: Trace,
    quality: Quality,
    tolerance: float,
    threshold_K: Float[np.ndarray, " K"] = GRID,
    stopping: Stopping = PLAIN,
) -> Choice:
    """The threshold before the first, from 1 down, that loses more than `tolerance`.

    Of a trace with predictions and labels. A candidate passes where its quality is at least
    the full model's less `tolerance`. The curve need not be monotone, and a lower candidate
    that passes again is left alone: among many candidates one passes by luck, and its
    neighbours have just shown that they do not. The certified methods walk the same way.

    Examples that an early exit wins make up for others that it loses, as they do not in the
    risks that are certified.

    There is no guarantee. The threshold is fitted to these examples, and on others more than
    the tolerance is lost about as often as less.

    The `risk` of the choice is the quality lost against the full model. A candidate whose
    quality is not defined (nan) fails, as all do where the full model's is not.

    Args:
      trace: with predictions and labels.
      quality: of predictions and labels, the larger the better.
      tolerance: quality given up.
      threshold_K: candidates that fall from 1.
      stopping: exit rule, least depth and patience.

    Returns:
      The threshold, and what it does on the trace.
    """
    check_candidates(threshold_K)
    rule = (threshold_K, stopping)
    lost_K = quality_lost(trace, quality, *rule)
    found = outcomes(trace, *rule)
    # Each example is charged with what all of them lose together.
    loss_KN = np.broadcast_to(lost_K[:, None], found.loss_KN.shape)
    lost = Outcomes(threshold_K, found.depth_KN, loss_KN)
    return choose("empirical", tolerance, lost, lost_K <= tolerance + SLACK)


def quality_lost(
    trace: Trace,
    quality: Quality,
    threshold_K: Float[np.ndarray, " K *E"],
    stopping: Stopping = PLAIN,
) -> Float[np.ndarray, " K"]:
    """The full model's quality less that of each threshold; 0 at a threshold of 1.

    Args:
      trace: with predictions and labels.
      quality: of predictions and labels, the larger the better.
      threshold_K: of all exits, or [K, E] of each.
      stopping: exit rule, least depth and patience.

    Returns:
      What each threshold loses; below 0 where it gains.
    """
    assert trace.prediction_NE is not None
    assert trace.label_N is not None
    label_N = trace.label_N
    prediction_KN = predictions(trace, threshold_K, stopping)
    full = quality(trace.prediction_NE[:, -1], label_N)
    lost_K = full - np.array([quality(said_N, label_N) for said_N in prediction_KN])
    return np.where(np.reshape(threshold_K, (len(lost_K), -1)).min(1) == 1, 0.0, lost_K)


BUDGET = "budget"  # its name as a method


def choose_for_depth(
    trace: Trace,
    depth: float,
    threshold_K: Float[np.ndarray, " K"] = GRID,
    stopping: Stopping = PLAIN,
) -> Choice:
    """The largest threshold whose mean depth on the trace is at most `depth`.

    There is no guarantee for other examples, neither of depth nor of risk. The `risk` of the
    choice is the mean loss above the full model's.

    Args:
      trace: what every exit said.
      depth: blocks, the most in the mean.
      threshold_K: candidates that fall from 1.
      stopping: exit rule, least depth and patience.

    Returns:
      The threshold, and what it does on the trace.

    Raises:
      UserError: not even the smallest candidate stops early enough.
    """
    check_candidates(threshold_K)
    candidates = outcomes(trace, threshold_K, stopping)
    lost = candidates._replace(loss_KN=candidates.loss_KN - trace.full_loss_N)
    return choose_of_outcomes(lost, depth)


def choose_of_outcomes(candidates: Outcomes, depth: float) -> Choice:
    """The same from depths at every candidate, of whole sequences for example."""
    depth_K = candidates.depth_KN.mean(1)
    k = int(within(depth_K, depth))
    if depth_K[k] > depth:
        lowest = candidates.threshold_K[-1]
        least = f"the smallest threshold, {lowest:g}, runs {depth_K[-1]:.2f} blocks"
        raise UserError(f"no mean depth of {depth:g}: {least}: allow as many, or add exits")
    return pick(BUDGET, depth, candidates, k, "found")


def within(depth_K: Float[np.ndarray, "*S K"], depth: float) -> Int[np.ndarray, "*S"]:
    """The first candidate within the budget; the last where there is none."""
    ok_K = depth_K <= depth
    ok_K[..., -1] = True
    return np.asarray(ok_K.argmax(-1))
