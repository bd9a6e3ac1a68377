"""What calibration chose in a language model's run: promises, and what the test split gave."""

from collections.abc import Iterator

from ee_jax.report import text
from ee_jax.report.calibrated import (
    CALIBRATION,
    CERTIFIED,
    DEPTH,
    RISK,
    TEST_DEPTH,
    TEST_RISK,
    THRESHOLD,
)
from ee_jax.report.render import Column, Table
from ee_jax.report.results import Choice, Results, labels
from ee_jax.report.tables import STRATEGY

KEYS = (
    "confidence", "policy", "label", "method", "level", "delta", "certified_risk", "threshold",
    "full_model", "ended", "calibration_risk", "calibration_mean_depth", "examples",
    "test_risk", "test_mean_depth",
)  # fmt: skip
MEANING = (
    "Risk: the share of a row's tokens that are predicted unlike the full model, on the row's "
    "own text, not on what the model would write itself; its mean over rows. A promise is of "
    "rows like those of the calibration split, drawn independently of each other, and of its "
    "line alone: the best of several lines may break it more often."
)


def calibration_table(results: Results) -> Table:
    """A row for each strategy, confidence, policy and calibration."""
    chosen = list(_chosen(results))
    rows = tuple(
        {"strategy": name} | {key: choice[key] for key in KEYS} for name, choice in chosen
    )
    columns = (
        STRATEGY,
        Column("confidence", lambda r: r["confidence"], is_text=True),
        Column("policy", lambda r: r["policy"], is_text=True),
        CALIBRATION,
        CERTIFIED,
        THRESHOLD,
        Column("search ended", lambda r: r["ended"], is_text=True),
        RISK,
        DEPTH,
        TEST_RISK,
        TEST_DEPTH,
    )
    title = f"{results['name']}: calibrated thresholds"
    return Table(title, columns, rows, tuple(_notes(results, chosen)))


def _chosen(results: Results) -> Iterator[tuple[str, Choice]]:
    for name, strategy in results["strategies"].items():
        for choice in strategy["calibrated"]:
            yield name, choice


def _notes(results: Results, chosen: list[tuple[str, Choice]]) -> list[str]:
    promises = {choice["label"]: choice["promise"] for _, choice in chosen}
    warnings = dict.fromkeys(choice["warning"] for _, choice in chosen if choice["warning"])
    return [
        MEANING,
        *(f"{label} promises: {promise}." for label, promise in promises.items()),
        *(f"{warning}." for warning in warnings),
    ]


def findings(results: Results) -> list[str]:
    """For each promise, the setting that keeps it at the least depth, on the test split.

    The calibration split picks it.
    """
    return [_finding(results, label) for label in labels(results) if _certified(results, label)]


def _certified(results: Results, label: str) -> list[tuple[str, Choice]]:
    return [
        (name, choice) for name, choice in _chosen(results)
        if choice["label"] == label and choice["certified_risk"] is not None
    ]  # fmt: skip


def _finding(results: Results, label: str) -> str:
    settings = _certified(results, label)
    name, choice = min(settings, key=lambda each: each[1]["calibration_mean_depth"])
    if choice["full_model"]:
        return f"{label}: no early exit could be certified, so the full model answers."
    depth, blocks = text.number(choice["test_mean_depth"]), results["model"]["blocks"]
    return (
        f"{label}: {name} ran {depth} of {blocks} blocks a token and predicted "
        f"{text.percent(choice['test_risk'])} % of the tokens unlike the full model "
        f"({setting(choice)})."
    )


def setting(found: Choice) -> str:
    """Confidence, threshold and policy of a point or of a calibration."""
    above = text.threshold(found["threshold"])
    return f"{found['confidence']} above {above}, {found['policy']}"
