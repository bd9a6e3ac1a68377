"""A choice in words, as records and reports hold it."""

import numpy as np

from ee_jax.calibration.choice import Choice
from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.empirical import BUDGET
from ee_jax.calibration.methods import IN_THE_MEAN, METHODS, NOTHING
from ee_jax.results import Calibrated


def percent(share: float) -> str:
    """0.025 is 2.5 %."""
    return f"{100 * share:g} %"


def promise(method: str, level: float, delta: float, falling: int = 0) -> str:
    """What the method promises of examples to come.

    Args:
      method: a name in METHODS or CONFORMAL, or BUDGET.
      level: the risk allowed.
      delta: the chance of more than that, of the methods that have one.
      falling: examples whose loss falls with the threshold, where the method needs none.
    """
    most = percent(level)
    if falling:
        needs = f"{method} needs losses that rise as the threshold falls"
        return f"nothing: {needs}, and those of {falling:,} examples do not; crc needs it not"
    if method in CONFORMAL:
        bad = "of examples with a bad exit stop there"
        return f"at most {most} {bad}, in the mean over calibration sets"
    if method == BUDGET or METHODS[method].promise == NOTHING:
        return "nothing, the threshold fits the examples it was chosen on"
    if METHODS[method].promise == IN_THE_MEAN:
        return f"risk at most {most} in the mean over calibration sets"
    return f"risk at most {most} for at least {percent(1 - delta)} of calibration sets"


def source(method: str) -> str:
    """Where the method's rule is from."""
    if method in CONFORMAL:
        return "Schuster et al. 2021, CATs: quantiles of confidences at bad exits"
    return "" if method == BUDGET else METHODS[method].source


def _label(choice: Choice) -> tuple[str, str, str]:
    """Kind, amount and unit, e.g. `ltt`, `2`, `%`; a search for each exit says so."""
    if choice.method == BUDGET:
        return BUDGET, f"{choice.level:g}", "blocks"
    searched = isinstance(choice.threshold, tuple) and choice.method not in CONFORMAL
    kind = f"{choice.method} per exit" if searched else choice.method
    return kind, f"{100 * choice.level:g}", "%"


def certified_risk(choice: Choice) -> float | None:
    """The level; 0 of the full model; None where nothing is promised."""
    if choice.method == BUDGET:
        return None
    promises = choice.method not in METHODS or METHODS[choice.method].promise != NOTHING
    if not promises or choice.falling:
        return None
    return 0.0 if choice.is_full_model else choice.level


def describe(
    choice: Choice, risk: str, confidence: str | None = None, policy: str | None = None
) -> Calibrated:
    """The choice in words.

    Args:
      choice: thresholds that a method found.
      risk: what it counts: a name in RISKS, `loss` or `quality`.
      confidence: what the thresholds are of, and
      policy: what later tokens see of skipped ones, where there are several of both.
    """
    threshold_E = tuple(np.atleast_1d(choice.threshold).tolist())
    kind, amount, unit = _label(choice)
    return Calibrated(
        label=f"{kind} {amount} {unit}",
        kind=kind,
        amount=amount,
        unit=unit,
        method=choice.method,
        risk=risk,
        level=choice.level,
        delta=choice.delta,
        promise=promise(choice.method, choice.level, choice.delta or 0.0, choice.falling),
        threshold=min(threshold_E),
        threshold_E=threshold_E if len(set(threshold_E)) > 1 else None,
        full_model=choice.is_full_model,
        certified_risk=certified_risk(choice),
        calibration_risk=choice.risk,
        calibration_mean_depth=choice.depth,
        examples=choice.examples,
        ended=choice.ended,
        warning=choice.warning,
        confidence=confidence,
        policy=policy,
    )
