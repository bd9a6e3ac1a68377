"""What every method hands back: thresholds, why they are those, and what they do."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int

from ee_jax.calibration.outcomes import Outcomes
from ee_jax.errors import UserError

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
    warning: str = ""

    @property
    def is_full_model(self) -> bool:
        """True where nothing stops early, since no candidate but that was accepted."""
        return bool(np.all(np.equal(self.threshold, 1)))


def last_accepted(ok_K: Bool[np.ndarray, "*S K"]) -> Int[np.ndarray, "*S"]:
    """The last candidate before the first that fails; the first, the full model, cannot."""
    failed_K = ~np.asarray(ok_K)
    failed_K[..., 0] = False
    stop_K = np.concatenate([failed_K, np.ones_like(failed_K[..., :1])], axis=-1)
    return stop_K.argmax(-1) - 1


def choose(
    method: str, level: float, candidates: Outcomes, ok_K: Bool[np.ndarray, " K"]
) -> Choice:
    """The choice by which of the candidates, from the full model down, a method accepts."""
    k = int(last_accepted(ok_K))
    ended: Ended = "edge of the grid" if k == len(ok_K) - 1 else "next candidate failed"
    return pick(method, level, candidates, k, ended)


def pick(method: str, level: float, candidates: Outcomes, k: int, ended: Ended) -> Choice:
    """Candidate number k."""
    threshold = candidates.threshold_K[k]
    return Choice(
        method=method,
        level=level,
        threshold=tuple(threshold.tolist()) if np.ndim(threshold) else float(threshold),
        risk=float(candidates.loss_KN[k].mean()),
        depth=float(candidates.depth_KN[k].mean()),
        examples=candidates.loss_KN.shape[1],
        ended=ended,
    )


def check_candidates(threshold_K: Float[np.ndarray, " K"]) -> None:
    """Raises the UserError of candidates that no walk can begin or follow."""
    if threshold_K[0] != 1 or not np.all(np.diff(threshold_K) < 0):
        raise UserError("candidate thresholds must fall from 1, e.g. (1.0, 0.9, 0.8)")
