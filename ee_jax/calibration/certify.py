"""A threshold with a guarantee, from a trace; the full model where nothing can be certified."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.choice import (
    GRID,
    Choice,
    Outcomes,
    at_exits,
    check_candidates,
    exits_taken,
    pick,
)
from ee_jax.calibration.conformal import CONFORMAL, choose_conformal
from ee_jax.calibration.methods import METHODS, MOST, Method, to_unit
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError
from ee_jax.exits.stopping import PLAIN, Stopping


def certify(
    trace: Trace,
    method: str,
    risk: str,
    level: float,
    delta: float = 0.05,
    threshold_K: Float[np.ndarray, " K"] = GRID,
    stopping: Stopping = PLAIN,
) -> Choice:
    """One threshold for all exits (for each, if the method is `conformal_per_exit`).

    Args:
        trace: of examples like those to come, which neither trained the model nor its
            temperatures; each example independent of the others.
        method: of `METHODS`, where its promise is, or of `CONFORMAL`.
        risk: of `RISKS`: "gap", "signed_gap" or "consistency".
        level: the risk allowed.
        delta: the chance of more than that which is allowed; only `ltt`,
            its variants and `ucb` have one.
        threshold_K: candidates, falling from 1, chosen without a look at the trace.
        stopping: exit rule, least depth and patience.
    """
    check_request(method, risk, level, delta)
    if method in CONFORMAL:
        return choose_conformal(trace, method, risk, level, stopping)
    check_candidates(threshold_K)
    candidates = risk_outcomes(trace, risk, threshold_K, stopping)
    return certify_outcomes(candidates, method, level, delta)


def risk_outcomes(
    trace: Trace,
    risk: str,
    threshold_K: Float[np.ndarray, " K *E"],
    stopping: Stopping = PLAIN,
) -> Outcomes:
    """`outcomes` with a risk of `RISKS` for losses.

    Args:
      trace: what every exit said.
      risk: a name in RISKS.
      threshold_K: of all exits, or [K, E] of each.
      stopping: exit rule, least depth and patience.

    Returns:
      Depths and risks of every example at every threshold.
    """
    exit_KN = exits_taken(trace, threshold_K, stopping)
    risk_KN = at_exits(RISKS[risk](trace), exit_KN)
    return Outcomes(threshold_K, trace.depth_E[exit_KN], risk_KN, RISKS[risk].low)


def certify_outcomes(
    candidates: Outcomes, method: str, level: float, delta: float, seed: int = 0
) -> Choice:
    """The same from losses at every candidate, of whole sequences for example.

    Losses are risks: in [`low`, 1] and 0 for the full model. `ucb` bets on examples in turn;
    they are shuffled by `seed`, since a trace may be sorted by what its losses depend on.

    Args:
      candidates: from the full model down.
      method: a name in METHODS.
      level: the risk allowed.
      delta: the chance of more than that.
      seed: of the order in which examples are taken.

    Returns:
      The candidate that the method takes: of most, the one before the first that fails.
    """
    how, unit = METHODS[method], float(to_unit(level, candidates.low))
    order_N = np.random.default_rng(seed).permutation(candidates.loss_KN.shape[1])
    prepared_KN = how.prepare(candidates.loss_KN, candidates.low)
    k = int(how.walk(prepared_KN, delta)(order_N, [unit])[0])
    choice = replace(
        pick(method, level, candidates, k),
        delta=delta if how.has_delta else None,
        falling=falling(candidates.loss_KN) if how.monotone else 0,
    )
    if not choice.is_full_model:
        return choice
    return _explain(choice, how, unit, delta, float(to_unit(0.0, candidates.low)))


def falling(loss_KN: Float[np.ndarray, "K N"]) -> int:
    """How many examples have a loss that falls from some candidate to the next.

    Args:
      loss_KN: of each example at candidates from the full model down.

    Returns:
      The number of examples.
    """
    falls_N = np.zeros(loss_KN.shape[1], bool)
    for before_N, after_N in pairwise(loss_KN):
        falls_N |= after_N < before_N
    return int(falls_N.sum())


def _explain(choice: Choice, how: Method, unit: float, delta: float, loss: float) -> Choice:
    """Warns where not even a candidate without any loss could have passed."""
    if how.suffice(choice.examples, unit, delta, loss):
        return choice
    needed = how.fewest_examples(unit, delta, loss)
    would = f"even {MOST:,} would not do" if needed is None else f"{needed:,} would do"
    given = f"level {choice.level}" + ("" if choice.delta is None else f", delta {delta}")
    n = choice.examples
    given += f" on {n:,} example{'s' * (n > 1)}"
    warning = f"{choice.method} cannot certify {given}, {would}"
    return replace(choice, ended="too few examples", warning=f"{warning}: using the full model")


def check_request(method: str, risk: str, level: float, delta: float) -> None:
    """Raises the UserError of a request that no trace can answer."""
    methods = [*METHODS, *CONFORMAL]
    for name, value, known in (("method", method, methods), ("risk", risk, RISKS)):
        if value not in known:
            raise UserError(f"no {name} `{value}`: choose from {', '.join(known)}")
    if not 0 <= level <= 1:
        raise UserError(f"level is {level}: choose a risk in [0, 1], e.g. 0.05")
    if not 0 < delta < 1:
        raise UserError(f"delta is {delta}: choose a chance between 0 and 1, e.g. 0.05")
