"""Numbers as a reader sees them, the same in the tables, figures and page."""

import math
from collections.abc import Iterable, Mapping
from typing import TypeGuard

from ee_jax.results import Calibrated, Point, StrategyResults

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
NO_GAIN = "no gain"


def is_known(value: float | None) -> TypeGuard[float]:
    """False for what could not be computed: null in JSON, NaN in Python."""
    return value is not None and not math.isnan(value)


def number(value: float | None, decimals: int = 2) -> str:
    """The number, or a dash for one that could not be computed."""
    if value is None or not is_known(value):
        return DASH
    rounded = round(value, decimals) + 0.0  # no minus before a zero
    return f"{rounded:.{decimals}f}".replace("-", MINUS)


def percent(value: float | None) -> str:
    """A share as percent without the sign: 0.8312 is 83.1."""
    return number(None if value is None else 100 * value, 1)


def points(value: float | None) -> str:
    """A difference in points, signed unless it rounds to nothing."""
    if value is None or not is_known(value):
        return DASH
    sign = "" if round(value, 1) == 0 else "+" if value > 0 else MINUS
    return f"{sign}{abs(value):.1f}"


def interval(low: float | None, high: float | None) -> str:
    """An interval of a difference of shares, in points: +0.4 to +3.8."""
    if not (is_known(low) and is_known(high)):
        return DASH
    return f"{points(100 * low)} to {points(100 * high)}"


def p_value(value: float | None) -> str:
    """Three decimals, or that it is smaller."""
    return "under 0.001" if value is not None and value < 0.001 else number(value, 3)


def share(value: float | None) -> str:
    """A share as the configuration means it: 0.025 is 2.5 %."""
    return DASH if value is None else f"{100 * value:g} %"


def count_points(value: float) -> str:
    """A tolerance in words: 0.01 is 1 point, 0.005 is 0.5 points."""
    return f"{100 * value:g} point{'' if round(100 * value, 6) == 1 else 's'}"


def threshold(value: float | None) -> str:
    """Two decimals, or as many as show that the threshold is below 1."""
    if value is None or not 0.995 <= value < 1:
        return number(value)
    return next((t for d in (3, 4, 5, 6) if (t := f"{value:.{d}f}") < "1"), f"{value!r}")


def thresholds(lowest_of: float, each: Iterable[float] | None) -> str:
    """The threshold, or from which to which where each early exit has its own."""
    lowest = threshold(lowest_of)
    each = tuple(each or ())
    highest = threshold(max(each[:-1])) if each else lowest
    return lowest if highest == lowest else f"{lowest} to {highest}"


def setting(point: Point, strategy: StrategyResults) -> str:
    """The threshold and what sets it apart: 0.62 (empirical 1 %, ltt 2 %)."""
    apart, shown = set_apart(point, strategy), thresholds(point.threshold, point.threshold_E)
    return f"{shown} ({apart})" if apart else shown


def set_apart(point: Point, strategy: StrategyResults) -> str:
    """What is special about a threshold: that nothing stops early, or who chose it."""
    whole = "full depth" if strategy.static_blocks is None else "no exits"
    full = [whole] if point.threshold >= 1 else []
    return ", ".join([*full, *calibrations(point, strategy)])


def calibrations(point: Point, strategy: StrategyResults) -> list[str]:
    """Who chose it, a method said once: `ltt 2 %`, `ltt 5 %` are `ltt 2 and 5 %`."""
    known: dict[str, Calibrated] = {choice.label: choice for choice in strategy.calibrated}
    amounts: dict[tuple[str, str], list[str]] = {}
    for label in point.calibrated_for:
        choice = known[label]
        amounts.setdefault((choice.kind, choice.unit), []).append(choice.amount)
    return [f"{kind} {' and '.join(all)} {unit}" for (kind, unit), all in amounts.items()]


def join(clauses: list[str]) -> str:
    """`one`, `one and two`, `one, two and three`."""
    return " and ".join(filter(None, [", ".join(clauses[:-1]), *clauses[-1:]]))


def drafts(accepted: float | None) -> str:
    """What came of the drafts: the share accepted, where any was made."""
    return "no drafts" if accepted is None else f"{percent(accepted)} % of the drafts accepted"


def checksums(of_splits: Mapping[str, str]) -> str:
    """The beginning of each split's."""
    return ", ".join(
        f"{split} {checksum[:12]}" for split, checksum in sorted(of_splits.items())
    )
