"""The threshold that keeps to a tolerance on the examples at hand."""

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.choice import Choice, check_candidates, choose
from ee_jax.calibration.outcomes import GRID, outcomes
from ee_jax.calibration.trace import Trace

# 0.4 - 0.1 is more than 0.3 in floating point; no two means of 10,000 losses are that close.
SLACK = 1e-9


def choose_threshold(
    trace: Trace,
    tolerance: float,
    threshold_K: Float[np.ndarray, " K"] = GRID,
    min_depth: int = 1,
    patience: int = 0,
) -> Choice:
    """The threshold before the first, from 1 down, that loses more than `tolerance`.

    A candidate passes where the mean loss on the trace is at most the full model's plus
    `tolerance`. The curve need not be monotone, and a lower candidate that passes again is
    left alone: among many candidates one passes by luck, and its neighbours have just shown
    that they do not. The certified methods walk the same way.

    Examples that an early exit wins make up for others that it loses, as they do not in the
    risks that are certified.

    There is no guarantee. The threshold is fitted to these examples, and on others the loss
    is above the tolerance about as often as below it.
    """
    check_candidates(threshold_K)
    candidates = outcomes(trace, threshold_K, min_depth, patience)
    lost = candidates._replace(loss_KN=candidates.loss_KN - trace.full_loss_N)
    return choose("empirical", tolerance, lost, lost.loss_KN.mean(1) <= tolerance + SLACK)
