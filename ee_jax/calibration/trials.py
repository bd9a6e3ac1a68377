"""What a method does on examples that it was not calibrated on, over many random splits."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from ee_jax.calibration.choice import last_accepted
from ee_jax.calibration.methods import METHODS, Method, Risks
from ee_jax.calibration.outcomes import Outcomes


class Trials(NamedTuple):
    """S random splits: what was chosen on one part, and the means over the other."""

    threshold_S: Float[np.ndarray, " S"]
    risk_S: Float[np.ndarray, " S"]
    depth_S: Float[np.ndarray, " S"]


def split(
    examples: int, trials: int, share: float = 0.5, seed: int = 0
) -> Bool[np.ndarray, "S N"]:
    """Which examples are calibrated on, in each trial; the same number in all."""
    rng = np.random.default_rng(seed)
    first_N = np.arange(examples) < round(share * examples)
    return rng.permuted(np.tile(first_N, (trials, 1)), axis=1)


def run_trials(
    candidates: Outcomes,
    method: str,
    level: float,
    delta: float,
    calibrate_SN: Bool[np.ndarray, "S N"],
) -> Trials:
    """Chooses on each split's calibration part and reads risk and depth off the rest."""
    how = METHODS[method]
    choice_S = _choices(how, how.prepare(candidates.loss_KN), level, delta, calibrate_SN)
    rows_S = np.arange(len(choice_S))
    rest_SN = ~calibrate_SN
    risk_S, depth_S = (
        means(rest_SN, value_KN)[rows_S, choice_S]
        for value_KN in (candidates.loss_KN, candidates.depth_KN)
    )
    return Trials(candidates.threshold_K[choice_S], risk_S, depth_S)


def means(part_SN: Bool[np.ndarray, "S N"], value_KN: Float[np.ndarray, "K N"]) -> np.ndarray:
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
    accepted_SK = [how.accepts(prepared_KN[:, part_N], level, delta) for part_N in calibrate_SN]
    return last_accepted(np.array(accepted_SK))
