"""Numbers as a reader sees them, the same in the tables, figures and page."""

from ee_jax.report.results import Point, gains, is_known, measured

DASH = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
NO_GAIN = "no gain"


def number(value: float | None, decimals: int = 2) -> str:
    """The number, or a dash for one that could not be computed."""
    return f"{value:.{decimals}f}" if value is not None and is_known(value) else DASH


def percent(value: float | None) -> str:
    """A share as percent without the sign: 0.8312 is 83.1."""
    return number(None if value is None else 100 * value, 1)


def points(value: float | None) -> str:
    """A difference in points, signed unless it rounds to nothing."""
    if value is None or not is_known(value):
        return DASH
    sign = "" if round(value, 1) == 0 else "+" if value > 0 else MINUS
    return f"{sign}{abs(value):.1f}"


def tolerance(value: float) -> str:
    """A tolerance as the configuration means it: 0.01 is 1 %."""
    return f"{100 * value:g} %"


def count_points(value: float) -> str:
    """A tolerance in words: 0.01 is 1 point, 0.005 is 0.5 points."""
    return f"{100 * value:g} point{'' if round(100 * value, 6) == 1 else 's'}"


def threshold(value: float | None) -> str:
    """Two decimals, or as many as show that the threshold is below 1."""
    if value is None or not 0.995 <= value < 1:
        return number(value)
    return next((t for d in (3, 4, 5, 6) if (t := f"{value:.{d}f}") < "1"), f"{value!r}")


def setting(threshold_value: float, calibrated_for: float | None) -> str:
    """The threshold and what sets it apart: 0.62 (calibrated, 1 %)."""
    text = threshold(threshold_value)
    if calibrated_for is not None:
        return f"{text} (calibrated, {tolerance(calibrated_for)})"
    return f"{text} (full depth)" if threshold_value >= 1 else text


def speedup(point: Point, batch: int) -> str:
    """A measured speed-up, marked where it is none."""
    value = point.get(measured(batch))
    if value is None or not is_known(value):
        return DASH
    return number(value) if gains(point, batch) else f"{number(value)}, {NO_GAIN}"
