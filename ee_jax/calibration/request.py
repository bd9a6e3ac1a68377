"""One request for thresholds, of any method and any kind of trace: `answer` and `trial`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from ee_jax.calibration.certify import certify_outcomes, check_request, risk_outcomes
from ee_jax.calibration.choice import GRID, Choice, Outcomes, outcomes
from ee_jax.calibration.conformal import CONFORMAL, choose_conformal
from ee_jax.calibration.empirical import BUDGET, choose_of_outcomes, within
from ee_jax.calibration.per_exit import certify_per_exit, path_outcomes
from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import Trials, means, run_trials, trials_of_outcomes
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

AnyTrace = Trace | SequenceTrace
Parts = Bool[np.ndarray, "S N"]


@dataclass(frozen=True, kw_only=True)
class Request:
    """What thresholds must keep to, and how they are found."""

    method: str = "ltt"  # of METHODS or CONFORMAL, or BUDGET
    risk: str = "consistency"  # of RISKS
    level: float = 0.05  # the risk allowed; of a budget, the mean depth
    delta: float = 0.05  # the chance of more than that
    search: str | None = None  # of PATHS: a threshold for each exit; None: one for all
    stopping: Stopping = PLAIN

    def check(self, trace: AnyTrace) -> None:
        """Raises the UserError of a request that no such trace can answer."""
        if self.method != BUDGET:
            check_request(self.method, self.risk, self.level, self.delta)
        elif self.search:
            raise UserError("a budget is kept by one threshold for all exits: leave out search")
        elif not 0 < self.level < np.inf:
            raise UserError(f"the budget is {self.level} blocks: allow at least one")
        if self.stopping.min_depth < 1 or self.stopping.patience < 0:
            raise UserError("min_depth must be at least 1 and patience at least 0")
        if isinstance(trace, SequenceTrace):
            self._check_sequences(trace)

    def _check_sequences(self, trace: SequenceTrace) -> None:
        by_exit = self.search or self.method in CONFORMAL
        if by_exit or self.stopping != PLAIN:
            what = f"{self.method} for each exit" if self.search else self.method
            what = what if by_exit else "a rule, min_depth or patience"
            raise UserError(f"a trace of whole sequences has no exits for {what}: try ltt")
        if self.risk == "consistency" and self.method != BUDGET and trace.loss_NK[:, 0].any():
            raise UserError(
                "consistency is measured from the full model, whose `loss_NK` is not 0: "
                "use the risk `gap`"
            )


def candidates(trace: AnyTrace, request: Request) -> Outcomes:
    """What one threshold for all exits would have done; losses are the request's risk."""
    if isinstance(trace, SequenceTrace):
        return trace.outcomes()
    rule = (GRID, request.stopping)
    if request.method == BUDGET:
        found = outcomes(trace, *rule)
        return found._replace(loss_KN=found.loss_KN - trace.full_loss_N)
    return risk_outcomes(trace, request.risk, *rule)


def answer(trace: AnyTrace, request: Request) -> Choice:
    """The thresholds that all of the trace's examples give.

    Args:
      trace: of exits, or of whole sequences.
      request: what the thresholds must keep to.

    Returns:
      The thresholds, and what they do on the trace.
    """
    request.check(trace)
    asked = (request.method, request.risk, request.level)
    if isinstance(trace, Trace) and request.search:
        return certify_per_exit(trace, *asked, request.delta, request.search, request.stopping)
    if isinstance(trace, Trace) and request.method in CONFORMAL:
        return choose_conformal(trace, *asked, request.stopping)
    found = candidates(trace, request)
    if request.method == BUDGET:
        return choose_of_outcomes(found, request.level)
    return certify_outcomes(found, request.method, request.level, request.delta)


def trial(
    trace: AnyTrace, request: Request, levels: Sequence[float], calibrate_SN: Parts
) -> list[Trials]:
    """At each level, over the same splits: thresholds of one part, means over the other.

    Args:
      trace: of exits, or of whole sequences.
      request: what the thresholds must keep to, but for the level.
      levels: risks allowed, or mean depths.
      calibrate_SN: which examples are calibrated on, in each split.

    Returns:
      Thresholds, risks and depths of each split, at each level.
    """
    request.check(trace)
    if isinstance(trace, Trace) and request.search:
        return _search(trace, request, levels, calibrate_SN)
    if isinstance(trace, Trace) and request.method in CONFORMAL:
        rest = (request.delta, calibrate_SN, request.stopping)
        asked = (request.method, request.risk)
        return [run_trials(trace, *asked, level, *rest) for level in levels]
    found = candidates(trace, request)
    if request.method == BUDGET:
        return [_budget(found, level, calibrate_SN) for level in levels]
    return [
        trials_of_outcomes(found, request.method, level, request.delta, calibrate_SN)
        for level in levels
    ]


def _budget(found: Outcomes, depth: float, calibrate_SN: Parts) -> Trials:
    choice_S = within(means(calibrate_SN, found.depth_KN), depth)
    rows_S = np.arange(len(choice_S))
    risk_S, depth_S = (
        means(~calibrate_SN, value_KN)[rows_S, choice_S]
        for value_KN in (found.loss_KN, found.depth_KN)
    )
    return Trials(found.threshold_K[choice_S], risk_S, depth_S)


def _search(
    trace: Trace, request: Request, levels: Sequence[float], calibrate_SN: Parts
) -> list[Trials]:
    """A path for each split serves all levels."""
    found: list[list[tuple]] = [[] for _ in levels]
    for part_N in calibrate_SN:
        path = path_outcomes(
            trace.take(part_N.nonzero()[0]),
            request.risk,
            request.search or "",
            request.stopping,
        )
        choices = [certify_outcomes(path, request.method, q, request.delta) for q in levels]
        threshold_KE = np.array([choice.threshold for choice in choices])
        rest = trace.take((~part_N).nonzero()[0])
        done = risk_outcomes(rest, request.risk, threshold_KE, request.stopping)
        for k, row in enumerate(found):
            row.append((threshold_KE[k], done.loss_KN[k].mean(), done.depth_KN[k].mean()))
    return [Trials(*map(np.array, zip(*row, strict=True))) for row in found]
