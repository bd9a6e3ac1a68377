"""The threshold that keeps to a mean depth."""

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.choice import Choice, check_candidates, pick
from ee_jax.calibration.outcomes import GRID, outcomes
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError


def choose_for_depth(
    trace: Trace,
    depth: float,
    threshold_K: Float[np.ndarray, " K"] = GRID,
    min_depth: int = 1,
    patience: int = 0,
) -> Choice:
    """The largest threshold whose mean depth on the trace is at most `depth`.

    There is no guarantee for other examples, neither of depth nor of risk. The `risk` of the
    choice is the mean loss above the full model's.

    Raises:
        UserError: not even the smallest candidate stops early enough.
    """
    check_candidates(threshold_K)
    candidates = outcomes(trace, threshold_K, min_depth, patience)
    depth_K = candidates.depth_KN.mean(1)
    k = int((depth_K <= depth).argmax())
    if depth_K[k] > depth:
        least = f"the smallest threshold, {threshold_K[-1]:g}, runs {depth_K[-1]:.2f} blocks"
        raise UserError(f"no mean depth of {depth:g}: {least}: allow as many, or add exits")
    lost = candidates._replace(loss_KN=candidates.loss_KN - trace.full_loss_N)
    return pick("budget", depth, lost, k, "found")
