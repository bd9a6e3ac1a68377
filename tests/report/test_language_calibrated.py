"""What a language model's report says of calibration, from results made by hand."""

import pytest

from ee_jax.report.language_calibrated import calibration_table, findings


def choice(label, certified_risk, threshold, depth, ended="next candidate failed", **more):
    method, level, _ = label.split()
    return {
        "confidence": "margin",
        "policy": "copy",
        "label": label,
        "method": method,
        "level": float(level) / 100,
        "delta": None if certified_risk is None else 0.05,
        "promise": f"what {method} promises",
        "certified_risk": certified_risk,
        "threshold": threshold,
        "full_model": threshold == 1,
        "ended": ended,
        "warning": "",
        "calibration_risk": 0.01,
        "calibration_mean_depth": depth,
        "examples": 100,
        "test_risk": 0.031,
        "test_mean_depth": depth + 0.25,
        **more,
    }


FEW = {"ended": "too few examples", "warning": "too few: using the full model"}


@pytest.fixture
def results():
    joint = [
        choice("empirical 5 %", None, 0.5, 2.0),
        choice("ltt 2 %", 0.0, 1.0, 8.0, **FEW),
        choice("ltt 5 %", 0.05, 0.9, 4.0),
    ]
    frozen = [
        choice("ltt 2 %", 0.0, 1.0, 8.0, **FEW),
        choice("ltt 5 %", 0.05, 0.8, 3.0, policy="propagate", ended="edge of the grid"),
    ]
    strategies = {"joint": {"calibrated": joint}, "frozen": {"calibrated": frozen}}
    return {"name": "tiny", "model": {"blocks": 8}, "strategies": strategies}


def test_a_row_for_each_calibration_says_why_the_search_ended(results):
    _, full, certified, *_ = calibration_table(results).cells()
    assert full[3:7] == ["ltt 2 %", "0.0", "full model", "too few examples"]
    assert certified == [
        "joint", "margin", "copy", "ltt 5 %", "5.0", "0.90", "next candidate failed",
        "1.0", "4.00", "3.1", "4.25",
    ]  # fmt: skip


def test_promises_and_warnings_are_told_once(results):
    meaning, *notes = calibration_table(results).notes
    assert "on the row's own text" in meaning
    assert notes == [
        "empirical 5 % promises: what empirical promises.",
        "ltt 2 % promises: what ltt promises.",
        "ltt 5 % promises: what ltt promises.",
        "too few: using the full model.",
    ]


def test_findings_are_of_what_promises_and_picked_on_the_calibration_split(results):
    assert findings(results) == [
        "ltt 2 %: no early exit could be certified, so the full model answers.",
        "ltt 5 %: frozen ran 3.25 of 8 blocks a token and predicted 3.1 % of the tokens unlike "
        "the full model (margin above 0.80, propagate).",
    ]
    results["strategies"]["frozen"]["calibrated"][1]["test_mean_depth"] = 7.0
    assert findings(results)[1].startswith("ltt 5 %: frozen ran 7.00 of 8")
