"""Conformal thresholds for consistency (CATs, Schuster et al. 2021).

An exit is bad for an example where its answer is not the full model's, or whatever else its
risk of 1 says. Thresholds are quantiles of confidences at bad exits, so that

    P(the next example stops at a bad exit) <= level,

even among only those examples that have a bad exit, over calibration sets and the next example
together, all exchangeable. It promises nothing of any one calibration set. Minimum depth and
patience do not harm it: to stop at a bad exit, its confidence must be above the threshold.
Where bad exits are rare there are few to learn from, and `crc` gives more.
"""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from ee_jax.calibration.choice import Choice, Outcomes, at_exits, exits_taken, pick
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

# 0.95 20 is 19 or a little more in floating point; no rank is that close to the next.
ROUNDING = 1e-9


def upper_quantile(score_N: Float[np.ndarray, " N"], level: float) -> float:
    """The ceil((1 - level) (n + 1))-th smallest score; 1, which nothing exceeds, beyond n.

    The chance that one more score is above it is at most `level`, ties or not.

    Args:
      score_N: of exchangeable examples.
      level: the share that may be above it.

    Returns:
      The quantile.
    """
    rank = math.ceil((1 - level) * (len(score_N) + 1) - ROUNDING)
    if rank > len(score_N):
        return 1.0
    return float(np.sort(score_N)[rank - 1]) if rank > 0 else 0.0


def shared_threshold(
    confidence_NE: Float[np.ndarray, "N E"], bad_NE: Bool[np.ndarray, "N E"], level: float
) -> float:
    """One threshold: the quantile of each example's largest confidence at a bad exit.

    Args:
      confidence_NE: every exit's confidence in every example.
      bad_NE: at which exits an example should not stop.
      level: the share of examples that may stop at one.

    Returns:
      A threshold in [0, 1].
    """
    worst_N = np.where(bad_NE, confidence_NE, -np.inf).max(1)
    return upper_quantile(worst_N[bad_NE.any(1)], level)


def exit_thresholds(
    confidence_NE: Float[np.ndarray, "N E"], bad_NE: Bool[np.ndarray, "N E"], level: float
) -> Float[np.ndarray, " E"]:
    """A threshold an exit, with the level shared out evenly (Bonferroni).

    The last exit is never bad, and takes no share.

    Args:
      confidence_NE: every exit's confidence in every example.
      bad_NE: at which exits an example should not stop.
      level: the share of examples that may stop at one.

    Returns:
      Thresholds in [0, 1].
    """
    share = level / max(1, bad_NE.shape[1] - 1)
    early = zip(confidence_NE.T[:-1], bad_NE.T[:-1], strict=True)
    return np.array([upper_quantile(c_N[bad_N], share) for c_N, bad_N in early] + [1.0])


# What finds the threshold, or one for each exit, by the names that the command line knows.
CONFORMAL: dict[str, Callable[..., float | Float[np.ndarray, " E"]]] = {
    "conformal": shared_threshold,
    "conformal_per_exit": exit_thresholds,
}


def bad_exits(risk_NE: Float[np.ndarray, "N E"]) -> Bool[np.ndarray, "N E"]:
    """Where the risk is 1; a UserError if it is ever between 0 and 1."""
    if not np.isin(risk_NE, (0, 1)).all():
        raise UserError("conformal needs a risk of 0 or 1: use crc for one between")
    return risk_NE == 1


def choose_conformal(
    trace: Trace, method: str, risk: str, level: float, stopping: Stopping = PLAIN
) -> Choice:
    """The thresholds that `method` of `CONFORMAL` finds; the full model on too few examples.

    Args:
      trace: of examples like those to come.
      method: a name in CONFORMAL.
      risk: a name in RISKS, of 0 and 1.
      level: the share of examples that may stop at a bad exit.
      stopping: exit rule, least depth and patience.

    Returns:
      The thresholds, and what they do on the trace.
    """
    risk_NE = RISKS[risk](trace)
    bad_NE = bad_exits(risk_NE)
    threshold_K = np.array([CONFORMAL[method](trace.confidence_NE, bad_NE, level)])
    exit_KN = exits_taken(trace, threshold_K, stopping)
    found = Outcomes(threshold_K, trace.depth_E[exit_KN], at_exits(risk_NE, exit_KN))
    choice = pick(method, level, found, 0, "found")
    return _explain(choice, bad_NE) if choice.is_full_model else choice


def _explain(choice: Choice, bad_NE: Bool[np.ndarray, "N E"]) -> Choice:
    """Warns how many bad exits it takes for a quantile below 1."""
    each = choice.method == "conformal_per_exit"
    have = bad_NE.sum(0).max() if each else bad_NE.any(1).sum()
    share = choice.level / max(1, bad_NE.shape[1] - 1) if each else choice.level
    would = f"{math.ceil(1 / share - 1 - ROUNDING):,} would do" if share else "none would do"
    warning = f"only {have:,} examples have a bad exit, {would}: using the full model"
    return replace(choice, ended="too few examples", warning=warning)
