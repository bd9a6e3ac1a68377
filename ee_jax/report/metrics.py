"""How a metric of quality is named and its values are shown, as papers print them.

Values are shares or correlations, shown times 100; so are differences, in points.
"""

from ee_jax.report import text

# In a sentence, and as short as a table's heading must be.
NAMES = {
    "accuracy": ("accuracy", "accuracy"),
    "f1": ("F1 score", "F1"),
    "matthews": ("Matthews correlation", "Matthews"),
    "pearson": ("Pearson correlation", "Pearson"),
    "spearman": ("Spearman correlation", "Spearman"),
}
PERCENT = {"accuracy"}  # shares of the examples


def name(metric: str) -> str:
    """What a sentence calls it: a metric of one's own goes by its key."""
    return NAMES.get(metric, (metric, metric))[0]


def short(metric: str) -> str:
    """What a table calls it."""
    return NAMES.get(metric, (metric, metric))[1]


def heading(metric: str) -> str:
    """Over a column of numbers: `accuracy %`, `Matthews x 100`."""
    return f"{short(metric)} {_unit(metric)}"


def axis(metric: str) -> str:
    """Beside an axis, of values on the test split."""
    return f"{name(metric)} on the test split, {_unit(metric)}"


def value(metric: str, quality: float | None) -> str:
    """A value by itself: `83.0 %`, `52.1`."""
    shown = text.percent(quality)
    return f"{shown} %" if metric in PERCENT and shown != text.DASH else shown


def said(metric: str, quality: float | None) -> str:
    """A value in a sentence: `83.0 % accuracy`, `Matthews correlation of 52.1`."""
    if metric in PERCENT:
        return f"{value(metric, quality)} {name(metric)}"
    return f"{name(metric)} of {value(metric, quality)}"


def _unit(metric: str) -> str:
    return "%" if metric in PERCENT else "x 100"
