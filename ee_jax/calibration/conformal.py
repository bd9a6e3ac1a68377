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
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from ee_jax.calibration.bitsets import Counter, may_stop, pack
from ee_jax.calibration.choice import Choice, Outcomes, at_exits, exits_taken, pick
from ee_jax.calibration.descent import Means
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import Splits, Trials, in_threads, of_levels
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

Part = Bool[np.ndarray, " N"]
Finder = Callable[..., Float[np.ndarray, " L *E"]]  # of levels, and maybe a part

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
    return _ranked(np.sort(score_N), level)


def _ranked(rising_N: Float[np.ndarray, " N"], level: float) -> float:
    rank = math.ceil((1 - level) * (len(rising_N) + 1) - ROUNDING)
    if rank > len(rising_N):
        return 1.0
    return float(rising_N[rank - 1]) if rank > 0 else 0.0


class Scores:
    """Scores of some of the examples, sorted once for the quantiles of any part of them."""

    def __init__(self, score_N: Float[np.ndarray, " N"], has_N: Part):
        """Sorts.

        Args:
          score_N: of every example.
          has_N: whose score counts.
        """
        example_M = np.flatnonzero(has_N)
        self._example_M = example_M[np.argsort(score_N[example_M], kind="stable")]
        self._score_M = score_N[self._example_M]

    def quantiles(
        self, levels: Sequence[float], part_N: Part | None = None
    ) -> Float[np.ndarray, " L"]:
        """`upper_quantile` at each level among the part's examples, or all."""
        score_M = self._score_M
        if part_N is not None:
            score_M = score_M[part_N[self._example_M]]
        return np.array([_ranked(score_M, level) for level in levels])


def shared_threshold(
    confidence_NE: Float[np.ndarray, "N E"], bad_NE: Bool[np.ndarray, "N E"]
) -> Finder:
    """One threshold: the quantile of each example's largest confidence at a bad exit.

    Args:
      confidence_NE: every exit's confidence in every example.
      bad_NE: at which exits an example should not stop.

    Returns:
      From shares of examples that may stop at one, and the part that is calibrated on, to a
      threshold in [0, 1] for each.
    """
    worst_N = np.where(bad_NE, confidence_NE, -np.inf).max(1)
    worst = Scores(worst_N, np.isfinite(worst_N))
    return worst.quantiles


def exit_thresholds(
    confidence_NE: Float[np.ndarray, "N E"], bad_NE: Bool[np.ndarray, "N E"]
) -> Finder:
    """A threshold an exit, with the level shared out evenly (Bonferroni).

    The last exit is never bad, and takes no share.

    Args:
      confidence_NE: every exit's confidence in every example.
      bad_NE: at which exits an example should not stop.

    Returns:
      From shares of examples that may stop at one, and the part that is calibrated on, to
      thresholds in [0, 1] for each.
    """
    early = [Scores(*column) for column in zip(confidence_NE.T, bad_NE.T, strict=True)][:-1]

    def find(levels: Sequence[float], part_N: Part | None = None) -> Float[np.ndarray, "L E"]:
        share_L = [level / max(1, len(early)) for level in levels]
        early_EL = [scores.quantiles(share_L, part_N) for scores in early]
        return np.stack([*early_EL, np.ones(len(levels))], axis=1)

    return find


# What finds the threshold, or one for each exit, by the names that the command line knows.
CONFORMAL: dict[str, Callable[..., Finder]] = {
    "conformal": shared_threshold,
    "conformal_per_exit": exit_thresholds,
}


def bad_exits(trace: Trace, risk: str) -> Bool[np.ndarray, "N E"]:
    """Where the risk is 1; a UserError if it can be other than 0 or 1."""
    risk_NE = RISKS[risk](trace)
    if RISKS[risk].low or not np.isin(risk_NE, (0, 1)).all():
        raise UserError("conformal needs a risk of 0 or 1: use crc for any other")
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
    bad_NE = bad_exits(trace, risk)
    threshold_K = CONFORMAL[method](trace.confidence_NE, bad_NE)([level])
    exit_KN = exits_taken(trace, threshold_K, stopping)
    found = Outcomes(
        threshold_K, trace.depth_E[exit_KN], at_exits(bad_NE.astype(float), exit_KN)
    )
    choice = pick(method, level, found, 0, "found")
    return _explain(choice, bad_NE) if choice.is_full_model else choice


class ThresholdEvaluator:
    """Mean risk and depth of any thresholds on some of a trace's examples."""

    def __init__(
        self, trace: Trace, risk_NE: Float[np.ndarray, "N E"], stopping: Stopping = PLAIN
    ):
        """Judges by this risk.

        Args:
          trace: what every exit said.
          risk_NE: what an answer costs.
          stopping: exit rule, least depth and patience.
        """
        self._trace, self._stopping, self._risk_NE = trace, stopping, risk_NE
        self._may_EN = may_stop(trace, stopping)
        self._confidence_EN = np.ascontiguousarray(trace.confidence_NE.T)
        self._counter = Counter.of(np.ascontiguousarray(risk_NE.T), trace.depth_E)

    def __call__(
        self, threshold_J: Float[np.ndarray, " J *E"], among_N: Bool[np.ndarray, " N"]
    ) -> Means:
        """Two means for each of the thresholds.

        Args:
          threshold_J: of all exits, or [J, E] of each.
          among_N: the examples that count.
        """
        if self._may_EN is None:
            return self._by_rule(threshold_J, among_N)
        exits = len(self._confidence_EN)
        threshold_JE = np.asarray(threshold_J, np.float32).reshape(len(threshold_J), -1)
        threshold_JE = np.broadcast_to(threshold_JE, (len(threshold_J), exits)).copy()
        threshold_JE[:, -1] = -1  # the last exit has everybody
        sure_EJW = [
            pack((confidence_N > threshold_J[:, None]) & may_N)
            for confidence_N, threshold_J, may_N in zip(
                self._confidence_EN, threshold_JE.T, self._may_EN, strict=True
            )
        ]
        place_JE = np.repeat(np.arange(len(threshold_JE))[:, None], exits, axis=1)
        return self._counter.means(np.stack(sure_EJW), place_JE, pack(among_N))

    def _by_rule(self, threshold_J: np.ndarray, among_N: Bool[np.ndarray, " N"]) -> Means:
        exit_JN = exits_taken(self._trace, threshold_J, self._stopping)[:, among_N]
        risk_JN = at_exits(self._risk_NE[among_N], exit_JN)
        return risk_JN.mean(1), self._trace.depth_E[exit_JN].mean(1)


def conformal_trials(
    trace: Trace,
    method: str,
    risk: str,
    levels: Sequence[float],
    splits: Splits,
    stopping: Stopping = PLAIN,
) -> list[Trials]:
    """The same on each split's one part, and risk and depth of the other.

    Args:
      trace: what every exit said.
      method: a name in CONFORMAL.
      risk: a name in RISKS, of 0 and 1.
      levels: shares of examples that may stop at a bad exit.
      splits: which examples are calibrated on.
      stopping: exit rule, least depth and patience.

    Returns:
      Thresholds, risks and depths of each split, at each level.
    """
    bad_NE = bad_exits(trace, risk)
    find = CONFORMAL[method](trace.confidence_NE, bad_NE)
    evaluate = ThresholdEvaluator(trace, bad_NE.astype(float), stopping)

    def one(part_N: Part) -> tuple[np.ndarray, ...]:
        threshold_L = find(levels, part_N)
        return threshold_L, *evaluate(threshold_L, ~part_N)

    return of_levels(in_threads(one, splits))


def _explain(choice: Choice, bad_NE: Bool[np.ndarray, "N E"]) -> Choice:
    """Warns how many bad exits it takes for a quantile below 1."""
    each = choice.method == "conformal_per_exit"
    have = bad_NE.sum(0).max() if each else bad_NE.any(1).sum()
    share = choice.level / max(1, bad_NE.shape[1] - 1) if each else choice.level
    would = f"{math.ceil(1 / share - 1 - ROUNDING):,} would do" if share else "none would do"
    warning = f"only {have:,} examples have a bad exit, {would}: using the full model"
    return replace(choice, ended="too few examples", warning=warning)
