"""What a method does on examples that it was not calibrated on, over many random splits.

The risk of the rest is not the true risk: it has noise of its own, and what the calibration
part has too little of the rest has too much of. So it lies above the level more often than a
method's promise, which is of the true risk, would let it.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Real

from ee_jax.calibration.certify import risk_outcomes
from ee_jax.calibration.choice import GRID, Outcomes, last_accepted
from ee_jax.calibration.conformal import CONFORMAL, bad_exits
from ee_jax.calibration.methods import METHODS, Method, Risks
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.exits.stopping import PLAIN, Stopping

BLOCK = 50  # splits whose outcomes are held in memory at once


class Trials(NamedTuple):
    """S random splits: what was chosen on one part, and the means over the other."""

    threshold_S: Float[np.ndarray, " S *E"]
    risk_S: Float[np.ndarray, " S"]
    depth_S: Float[np.ndarray, " S"]


def split(
    examples: int, trials: int, share: float = 0.5, seed: int = 0
) -> Bool[np.ndarray, "S N"]:
    """Which examples are calibrated on, in each trial; the same number in all.

    Args:
      examples: how many there are.
      trials: how many splits.
      share: of the examples, what is calibrated on.
      seed: of the draw.

    Returns:
      True where an example is calibrated on.
    """
    rng = np.random.default_rng(seed)
    first_N = np.arange(examples) < round(share * examples)
    return rng.permuted(np.tile(first_N, (trials, 1)), axis=1)


def run_trials(
    trace: Trace,
    method: str,
    risk: str,
    level: float,
    delta: float,
    calibrate_SN: Bool[np.ndarray, "S N"],
    stopping: Stopping = PLAIN,
) -> Trials:
    """`certify` on each split's calibration part, and risk and depth of the rest.

    Args:
      trace: what every exit said.
      method: a name in METHODS or CONFORMAL.
      risk: a name in RISKS.
      level: the risk allowed.
      delta: the chance of more than that.
      calibrate_SN: which examples are calibrated on, in each split.
      stopping: exit rule, least depth and patience.

    Returns:
      Thresholds, risks and depths of each split.
    """
    if method not in CONFORMAL:
        candidates = risk_outcomes(trace, risk, GRID, stopping)
        return trials_of_outcomes(candidates, method, level, delta, calibrate_SN)
    bad_NE = bad_exits(RISKS[risk](trace))
    blocks = []
    for start in range(0, len(calibrate_SN), BLOCK):
        part_SN = calibrate_SN[start : start + BLOCK]
        threshold_S = np.array(
            [CONFORMAL[method](trace.confidence_NE[n], bad_NE[n], level) for n in part_SN]
        )
        found = risk_outcomes(trace, risk, threshold_S, stopping)
        rest_SN = ~part_SN
        risk_S, depth_S = (
            np.average(value_SN, axis=1, weights=rest_SN)
            for value_SN in (found.loss_KN, found.depth_KN)
        )
        blocks.append((threshold_S, risk_S, depth_S))
    return Trials(*(np.concatenate(column) for column in zip(*blocks, strict=True)))


def trials_of_outcomes(
    candidates: Outcomes,
    method: str,
    level: float,
    delta: float,
    calibrate_SN: Bool[np.ndarray, "S N"],
) -> Trials:
    """The same of a method of `METHODS` from losses at every candidate."""
    how = METHODS[method]
    choice_S = _choices(how, how.prepare(candidates.loss_KN), level, delta, calibrate_SN)
    rows_S = np.arange(len(choice_S))
    risk_S, depth_S = (
        means(~calibrate_SN, value_KN)[rows_S, choice_S]
        for value_KN in (candidates.loss_KN, candidates.depth_KN)
    )
    return Trials(candidates.threshold_K[choice_S], risk_S, depth_S)


def means(part_SN: Bool[np.ndarray, "S N"], value_KN: Real[np.ndarray, "K N"]) -> np.ndarray:
    """The mean over each part: all splits and candidates in one product of matrices."""
    return part_SN.astype(float) @ value_KN.T.astype(float) / part_SN[0].sum()


def _choices(
    how: Method,
    prepared_KN: Risks,
    level: float,
    delta: float,
    calibrate_SN: Bool[np.ndarray, "S N"],
) -> Int[np.ndarray, " S"]:
    if how.of_means:
        mean_SK = means(calibrate_SN, prepared_KN)
        return last_accepted(how.of_means(mean_SK, int(calibrate_SN[0].sum()), level, delta))
    order_N = np.random.default_rng(0).permutation(prepared_KN.shape[1])  # see `certify`
    prepared_KN, calibrate_SN = prepared_KN[:, order_N], calibrate_SN[:, order_N]
    accepted_SK = [how.accepts(prepared_KN[:, n], level, delta) for n in calibrate_SN]
    return last_accepted(np.array(accepted_SK))
