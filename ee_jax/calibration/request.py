"""One request for thresholds, of any method and any kind of trace: `answer` and `trial`."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.certify import certify_outcomes, check_request, risk_outcomes
from ee_jax.calibration.choice import GRID, Choice, Outcomes, outcomes
from ee_jax.calibration.conformal import CONFORMAL, choose_conformal, conformal_trials
from ee_jax.calibration.empirical import BUDGET, choose_of_outcomes
from ee_jax.calibration.per_exit import certify_per_exit, per_exit_trials
from ee_jax.calibration.sequences import SequenceTrace
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import Splits, Trials, trials_of_budgets, trials_of_outcomes
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping

AnyTrace = Trace | SequenceTrace
Grid = Float[np.ndarray, " K"]


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
        if isinstance(trace, SequenceTrace):
            self._check_sequences(trace)
        else:
            self._check_stopping(trace)

    def _check_stopping(self, trace: Trace) -> None:
        exits, deepest = len(trace.depth_E), int(trace.depth_E[-1])
        for name, value, least, most in (
            ("min_depth", self.stopping.min_depth, 1, deepest),
            ("patience", self.stopping.patience, 0, exits),
        ):
            if not least <= value <= most:
                said = f"{name} is {value}, of {exits} exits and {deepest} blocks"
                raise UserError(f"{said}: choose from {least} to {most}")

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


def candidates(trace: AnyTrace, request: Request, threshold_K: Grid = GRID) -> Outcomes:
    """What one threshold for all exits would have done; losses are the request's risk."""
    if isinstance(trace, SequenceTrace):
        return trace.outcomes(request.risk)
    rule = (threshold_K, request.stopping)
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
    trace: AnyTrace,
    request: Request,
    levels: Sequence[float],
    splits: Splits,
    threshold_K: Grid = GRID,
) -> list[Trials]:
    """At each level, over the same splits: thresholds of one part, means over the other.

    Args:
      trace: of exits, or of whole sequences.
      request: what the thresholds must keep to, but for the level.
      levels: risks allowed, or mean depths.
      splits: which examples are calibrated on.
      threshold_K: candidates for all exits, falling from 1.

    Returns:
      Thresholds, risks and depths of each split, at each level.
    """
    request.check(trace)
    asked = (request.method, request.risk, levels)
    if isinstance(trace, Trace) and request.search:
        how = (request.delta, splits, request.search, request.stopping)
        return per_exit_trials(trace, *asked, *how)
    if isinstance(trace, Trace) and request.method in CONFORMAL:
        return conformal_trials(trace, *asked, splits, request.stopping)
    found = candidates(trace, request, threshold_K)
    if request.method == BUDGET:
        return trials_of_budgets(found, levels, splits)
    return trials_of_outcomes(found, request.method, levels, request.delta, splits)
