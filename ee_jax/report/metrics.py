"""How a metric is named, shown and compared, as papers print it.

Shares and correlations are shown times 100, and so are their differences, in points. A
perplexity is shown as it is, and its differences in percent.
"""

from dataclasses import dataclass

from ee_jax.registry import Registry
from ee_jax.report import text


@dataclass(frozen=True)
class Metric:
    """What a reader must know of one metric."""

    name: str  # in a sentence
    short: str  # as short as a table's heading must be
    unit: str = "x 100"  # `%` of shares of the examples; empty of what is shown as it is
    is_ratio: bool = False  # smaller is better, and differences are ratios


# What reports say of a metric; one of a user's own that is a ratio is registered here too.
SHOWN: Registry[Metric] = Registry(
    "shown metric",
    accuracy=Metric("accuracy", "accuracy", "%"),
    f1=Metric("F1 score", "F1"),
    matthews=Metric("Matthews correlation", "Matthews"),
    pearson=Metric("Pearson correlation", "Pearson"),
    spearman=Metric("Spearman correlation", "Spearman"),
    perplexity=Metric("perplexity", "perplexity", "", is_ratio=True),
    agreement=Metric("agreement with the full model", "like full model", "%"),
    bleu=Metric("BLEU", "BLEU"),
    chrf=Metric("chrF", "chrF"),
    rouge_l=Metric("ROUGE-L", "ROUGE-L"),
    exact_match=Metric("exact match", "exact match", "%"),
    token_f1=Metric("F1 score of tokens", "token F1"),
)


def of(metric: str) -> Metric:
    """What is known of a metric; one of a user's own goes by its key."""
    return SHOWN.get(metric, Metric(metric, metric))


def name(metric: str) -> str:
    """What a sentence calls it."""
    return of(metric).name


def short(metric: str) -> str:
    """What a table calls it."""
    return of(metric).short


def heading(metric: str) -> str:
    """Over a column of numbers: `accuracy %`, `Matthews x 100`, `perplexity`."""
    return f"{short(metric)} {of(metric).unit}".rstrip()


def axis(metric: str) -> str:
    """Beside an axis, of values on the test split."""
    unit = of(metric).unit
    return f"{name(metric)} on the test split{', ' + unit if unit else ''}"


def height(metric: str, value: float | None) -> float:
    """Where a value stands on its axis; nan where it is not defined."""
    if value is None:
        return float("nan")
    return value if of(metric).is_ratio else 100 * value


def cell(metric: str, value: float | None) -> str:
    """A value in a column."""
    return text.number(value) if of(metric).is_ratio else text.percent(value)


def value(metric: str, quality: float | None) -> str:
    """A value by itself: `83.0 %`, `52.1`."""
    shown = cell(metric, quality)
    return f"{shown} %" if of(metric).unit == "%" and shown != text.DASH else shown


def said(metric: str, quality: float | None) -> str:
    """A value in a sentence: `83.0 % accuracy`, `Matthews correlation of 52.1`."""
    if of(metric).unit == "%":
        return f"{value(metric, quality)} {name(metric)}"
    return f"{name(metric)} of {value(metric, quality)}"


def difference(metric: str, here: float | None, full: float | None) -> float | None:
    """How far a value is above the full model's: in points, of a ratio in percent."""
    if here is None or full is None:
        return None
    apart = here / full - 1 if of(metric).is_ratio else here - full
    return None if apart != apart else round(100 * apart, 6)


def lost(metric: str, here: float | None, full: float | None) -> float | None:
    """How much worse a value is than the full model's, as a share."""
    apart = difference(metric, here, full)
    if apart is None:
        return None
    return apart / 100 if of(metric).is_ratio else -apart / 100


def apart(metric: str, value: float | None) -> str:
    """A `difference` as a table shows it."""
    shown = text.points(value)
    return f"{shown} %" if of(metric).is_ratio and shown != text.DASH else shown


def best(metric: str, values: list[float]) -> float | None:
    """The best of several values."""
    return (min if of(metric).is_ratio else max)(values, default=None)


def tolerance(metric: str, share: float) -> str:
    """A share that may be lost, in words: `1 point`, of a ratio `5 %`."""
    return text.share(share) if of(metric).is_ratio else text.count_points(share)
