"""Qualities that are not accuracy, in tables, figures, page and words."""

import pytest

from ee_jax.report import metrics, text
from ee_jax.report.calibrated import calibration_table
from ee_jax.report.compare import comparison
from ee_jax.report.findings import findings, headline
from ee_jax.report.quality_depth import quality_depth
from ee_jax.report.record import record_table
from ee_jax.report.render import to_csv
from ee_jax.report.report import make_report, write
from ee_jax.report.tables import exit_table, speed_table
from ee_jax.tasks.classification.thresholds import risks_in_words
from tests.report.conftest import made
from tests.report.test_record import RECORD


@pytest.fixture
def of_matthews(results):
    """The same numbers, had they been correlations, with an F1 of 0.5 beside each."""
    results |= {"metrics": ["matthews", "f1"], "risks": risks_in_words("matthews", False)}
    for strategy in results["strategies"].values():
        for point in strategy["points"]:
            point["metrics"] = {"matthews": point["quality"], "f1": 0.5}
        for entry in strategy["exits"]:
            entry["metrics"] = {"matthews": entry["metrics"]["accuracy"]}
    return results


@pytest.fixture
def unknown(of_matthews):
    """Frozen's qualities are not defined, as a correlation of the same answer for all."""
    frozen = of_matthews["strategies"]["frozen"]
    frozen["full_quality"] = None
    for entry in [*frozen["points"], *frozen["curve"]]:
        entry["quality"] = None
    for entry in [*frozen["points"], *frozen["exits"]]:
        entry["metrics"]["matthews"] = None
    return of_matthews


@pytest.mark.parametrize(
    ("metric", "shown"),
    [
        ("accuracy", ("accuracy %", "52.1 %", "52.1 % accuracy")),
        ("matthews", ("Matthews x 100", "52.1", "Matthews correlation of 52.1")),
        ("perplexity", ("perplexity", "0.52", "perplexity of 0.52")),
        ("my_own", ("my_own x 100", "52.1", "my_own of 52.1")),
    ],
)
def test_how_a_metric_is_shown(metric, shown):
    found = metrics.heading(metric), metrics.value(metric, 0.521), metrics.said(metric, 0.521)
    assert found == shown


def test_a_table_has_all_metrics(of_matthews):
    table = speed_table(made(of_matthews))
    assert table.title == "quickstart: Matthews correlation, depth and speed on the test split"
    assert [c.heading for c in table.columns][3:6] == [
        "Matthews x 100", "F1 x 100", "against full model"
    ]  # fmt: skip
    assert table.cells()[0][3:6] == ["70.0", "50.0", f"{text.MINUS}13.0"]
    assert to_csv(table).startswith(
        "strategy,threshold,threshold_E,calibrated_for,chosen_by,matthews,f1,inconsistency"
    )
    assert "points of Matthews correlation" in table.notes[0]


def test_words_and_axis_name_the_metric(of_matthews):
    assert headline(made(of_matthews)).startswith(
        "Within 1 point of the best full model's Matthews correlation of 83.0, joint ran"
    )
    assert "(threshold 0.62): Matthews correlation of 82.0 on" in findings(made(of_matthews))[0]
    figure = quality_depth(made(of_matthews))
    assert figure.axes[0].get_ylabel() == "Matthews correlation on the test split, x 100"
    assert figure.axes[0].texts[0].get_text() == "joint\n83.0"
    table = calibration_table(made(of_matthews))
    assert table.cells()[0][2] == "Matthews lost"
    assert "Its risk: Matthews correlation lost against the full model's." in table.notes[0]


def test_what_is_not_defined_is_a_dash_and_never_the_best(unknown):
    cells = speed_table(made(unknown)).cells()[4]
    assert cells[3:6] == [text.DASH, "50.0", text.DASH]
    assert exit_table(made(unknown)).cells()[6][2] == text.DASH
    assert comparison([made(unknown)]).cells()[1][3:6] == [text.DASH, "no gain", text.DASH]
    only = unknown | {"strategies": {"joint": unknown["strategies"]["joint"]}}
    assert headline(made(unknown)) == headline(made(only))
    assert quality_depth(made(unknown)).axes[0].texts[1].get_text() == f"frozen\n{text.DASH}"


def test_no_full_model_has_the_quality(unknown, tmp_path):
    only = unknown | {"strategies": {"frozen": unknown["strategies"]["frozen"]}}
    assert headline(made(only)) == "The Matthews correlation of no full model is defined."
    assert len(write(make_report(made(only)), tmp_path)) == 9


def test_runs_of_other_metrics_are_told_apart(results):
    other = results | {"metrics": ["pearson"]}
    cells = comparison([made(results), made(other)]).cells()
    assert [row[2] for row in cells[::2]] == ["accuracy %", "Pearson x 100"]


def test_risks_of_a_regression(results, tmp_path):
    results["data"]["classes"] = []
    results["risks"] = risks_in_words("pearson", regression=True)
    notes = calibration_table(made(results)).notes
    assert notes[1].endswith(
        "Its risk: (answer - the full model's)^2 / (range of the labels)^2."
    )
    assert "inconsistent by 25.0 %" in findings(made(results))[0]
    assert "a regression" in make_report(made(results)).page
    record = RECORD | {"header": {"label_range": [0, 5]}}
    assert record_table(record).cells()[2] == [
        "risk", "consistency: (answer - the full model's)^2 / (range of the labels)^2"
    ]  # fmt: skip
