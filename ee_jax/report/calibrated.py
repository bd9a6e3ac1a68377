"""The table of what calibration chose: what it promised, and what the test split gave."""

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Table
from ee_jax.report.results import Choice, Results, is_regression, labels
from ee_jax.report.tables import STRATEGY

KEYS = (
    "label", "method", "risk", "level", "delta", "certified_risk", "threshold", "threshold_E",
    "full_model", "calibration_risk", "calibration_mean_depth", "test_risk", "test_mean_depth",
    "examples", "ended",
)  # fmt: skip
RISKS = {
    "consistency": "answers unlike the full model's",
    "gap": "answers worse than the full model's",
    "loss": "mean loss above the full model's",
}
SQUARED = {
    "consistency": "(answer - the full model's)^2 / (range of the labels)^2",
    "gap": "squared error above the full model's / (range of the labels)^2",
}
# Columns of what calibration chose, in the tables of all runs.
CALIBRATION = Column("calibration", lambda r: r["label"], is_text=True)
CERTIFIED = Column("certified risk %", lambda r: text.percent(r["certified_risk"]))
THRESHOLD = Column(
    "threshold", lambda r: "full model" if r["full_model"] else text.thresholds(r), is_text=True
)
RISK = Column("calibration: risk %", lambda r: text.percent(r["calibration_risk"]))
DEPTH = Column("mean depth", lambda r: text.number(r["calibration_mean_depth"]))
TEST_RISK = Column("test: risk %", lambda r: text.percent(r["test_risk"]))
TEST_DEPTH = Column("mean depth", lambda r: text.number(r["test_mean_depth"]))
EDGE = "edge of the grid"
LOWEST = "even the lowest threshold tried was accepted"


def calibration_table(results: Results) -> Table:
    """A row for each strategy and calibration."""
    pairs = [
        (name, choice)
        for name, strategy in results["strategies"].items()
        for choice in strategy["calibrated"]
    ]
    rows = tuple(
        {"strategy": name} | {key: choice.get(key) for key in KEYS} for name, choice in pairs
    )
    title = f"{results['name']}: calibrated thresholds"
    return Table(title, _columns(results), rows, tuple(_notes(results, pairs)))


def _columns(results: Results) -> tuple[Column, ...]:
    return (
        STRATEGY,
        CALIBRATION,
        Column("risk", lambda r: _short(r["risk"], results), is_text=True),
        CERTIFIED,
        Column("delta", lambda r: text.share(r["delta"])),
        THRESHOLD,
        RISK,
        DEPTH,
        TEST_RISK,
        TEST_DEPTH,
    )


def _short(risk: str, results: Results) -> str:
    return f"{metrics.short(results['quality'])} lost" if risk == "quality" else risk


def _long(risk: str, results: Results) -> str:
    if risk == "quality":
        return f"{metrics.name(results['quality'])} lost against the full model's"
    words = RISKS | (SQUARED if is_regression(results) else {})
    return words.get(risk, risk)


def _notes(results: Results, pairs: list[tuple[str, Choice]]) -> list[str]:
    """What was promised, once for each calibration, and what there is to beware of."""
    beware: dict[str, list[str]] = {}
    first = {choice["label"]: choice for _, choice in reversed(pairs)}
    notes = [
        f"{label} promises: {first[label]['promise']}. "
        f"Its risk: {_long(first[label]['risk'], results)}."
        for label in labels(results)
    ]
    for name, choice in pairs:
        for said in _beware(choice):
            beware.setdefault(said, []).append(f"{name}, {choice['label']}")
    return notes + [f"{'; '.join(who)}: {said}." for said, who in beware.items()]


def _beware(choice: Choice) -> list[str]:
    edge = choice["ended"] == EDGE
    return [choice["warning"]] * bool(choice["warning"]) + [LOWEST] * edge
