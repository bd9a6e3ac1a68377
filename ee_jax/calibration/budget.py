"""The threshold that keeps to a mean depth."""

import numpy as np
from jaxtyping import Float, Int

from ee_jax.calibration.choice import Choice, check_candidates, pick
from ee_jax.calibration.outcomes import GRID, Outcomes, outcomes
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

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
    return ok_K.argmax(-1)
