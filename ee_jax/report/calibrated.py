"""The table of what calibration chose: what it promised, and what the test split gave."""

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.report.select import has_policies, labels
from ee_jax.report.tables import CONFIDENCE, POLICY, STRATEGY
from ee_jax.results import Calibrated, Results

KEYS = (
    "label", "method", "risk", "level", "delta", "certified_risk", "threshold", "threshold_E",
    "full_model", "calibration_risk", "calibration_mean_depth", "test_risk", "test_mean_depth",
    "examples", "ended",
)  # fmt: skip
EDGE = "edge of the grid"
LOWEST = "even the lowest threshold tried was accepted"


def calibration_table(results: Results) -> Table:
    """A row for each strategy, confidence, policy and calibration."""
    pairs = [
        (name, choice)
        for name, strategy in results.strategies.items()
        for choice in strategy.calibrated
    ]
    keys = (*(("confidence", "policy") if has_policies(results) else ()), *KEYS)
    rows = tuple(
        {"strategy": name} | {key: getattr(choice, key) for key in keys}
        for name, choice in pairs
    )
    title = f"{results.name}: calibrated thresholds"
    return Table(title, _columns(results), rows, tuple(_notes(results, pairs)))


def _columns(results: Results) -> tuple[Column, ...]:
    lost = f"{metrics.short(results.quality)} lost"
    return (
        STRATEGY,
        *((CONFIDENCE, POLICY) if has_policies(results) else ()),
        Column("calibration", lambda r: r["label"], is_text=True),
        Column("risk", lambda r: lost if r["risk"] == "quality" else r["risk"], is_text=True),
        Column("certified risk %", lambda r: text.percent(r["certified_risk"]), spare=1),
        Column("delta", lambda r: text.share(r["delta"]), spare=2),
        Column("threshold", _threshold, is_text=True),
        Column("calibration: risk %", lambda r: text.percent(r["calibration_risk"]), spare=3),
        Column("mean depth", lambda r: text.number(r["calibration_mean_depth"]), spare=3),
        Column("test: risk %", lambda r: text.percent(r["test_risk"])),
        Column("mean depth", lambda r: text.number(r["test_mean_depth"])),
    )


def _threshold(row: Row) -> str:
    if row["full_model"]:
        return "full model"
    return text.thresholds(row["threshold"], row["threshold_E"])


def _notes(results: Results, pairs: list[tuple[str, Calibrated]]) -> list[str]:
    """What was promised, once for each calibration, and what there is to beware of."""
    beware: dict[str, list[str]] = {}
    first = {choice.label: choice for _, choice in reversed(pairs)}
    notes = [_promise(results, first[label]) for label in labels(results)]
    if len(pairs) > len({(name, choice.label) for name, choice in pairs}):
        notes.append(
            "A promise is of its line alone: the best of several lines may break it more often."
        )
    for name, choice in pairs:
        for said in _beware(choice):
            beware.setdefault(said, []).append(f"{_who(name, choice)}, {choice.label}")
    return notes + [f"{'; '.join(who)}: {said}." for said, who in beware.items()]


def _promise(results: Results, choice: Calibrated) -> str:
    risk = results.risks.get(choice.risk, choice.risk)
    return f"{choice.label} promises: {choice.promise}. Its risk: {risk}."


def _who(strategy: str, choice: Calibrated) -> str:
    return ", ".join(
        filter(None, (strategy, choice.policy and choice.confidence, choice.policy))
    )


def _beware(choice: Calibrated) -> list[str]:
    edge = choice.ended == EDGE
    return [choice.warning] * bool(choice.warning) + [LOWEST] * edge
