"""A run whose quality is not accuracy: Matthews correlation, from the data set to the page."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ee_jax.calibration.outcomes import GRID
from ee_jax.calibration.trace import Trace
from ee_jax.config import Calibration, Data, Evaluation, Fit, Joint
from ee_jax.data.registry import DATASETS
from ee_jax.evaluation.metrics import matthews
from ee_jax.report import comparison
from ee_jax.runs.run import run
from tests.runs.tiny_cola import write_files

TOLERANCE = 0.1


@pytest.fixture(scope="module")
def folder(experiment, tmp_path_factory) -> Path:
    """A finished run on files in CoLA's form, trained too little to be always right."""
    root = tmp_path_factory.mktemp("cola")
    fit = Fit(epochs=4.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)
    files = str(write_files(root / "files"))
    cola = replace(
        experiment,
        data=Data("glue/readable_cola", str(root / "data"), files, lengths=(8,)),
        strategies=(Joint(fit=fit),),
        calibration=Calibration((TOLERANCE,), ("ltt",), levels=(0.4,), temperature=False),
        evaluation=Evaluation(thresholds=(0.6, 1.0), batches=(2,), rounds=1),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DATASETS, "glue/readable_cola", "tests.runs.tiny_cola:ReadableCola")
        run(cola, root / "run")
    return root / "run"


@pytest.fixture(scope="module")
def results(folder) -> dict:
    return json.loads((folder / "results.json").read_text())


def matthews_at(trace: Trace, threshold: float) -> float:
    """Of the answers of the first exits whose confidence is above the threshold."""
    assert trace.prediction_NE is not None
    assert trace.label_N is not None
    stops_NE = trace.confidence_NE > np.float32(threshold)
    stops_NE[:, -1] = True
    exit_N = stops_NE.argmax(1)
    return matthews(trace.prediction_NE[np.arange(len(exit_N)), exit_N], trace.label_N)


def test_results_hold_the_metric_everywhere(folder, results):
    assert (results["quality"], results["metrics"]) == ("matthews", ["matthews"])
    strategy = results["strategies"]["joint"]
    trace = Trace.load(folder / "joint" / "traces" / "test.npz")
    full = matthews_at(trace, 1.0)
    assert 0 < full == strategy["full_quality"] == strategy["exits"][-1]["quality"]
    for point in strategy["points"]:
        assert point["quality"] == matthews_at(trace, point["threshold"])
        assert point["metrics"] == {"matthews": point["quality"]}
    for point in strategy["curve"]:
        assert point["quality"] == matthews_at(trace, point["threshold"])
    assert "accuracy" not in json.dumps(results)


def test_a_tolerance_is_of_the_metric_and_a_level_of_the_risk(folder, results):
    """By brute force: the threshold before the first that loses more."""
    traces = {
        split: Trace.load(folder / "joint" / "traces" / f"{split}.npz")
        for split in ("calibration", "test")
    }
    full = matthews_at(traces["calibration"], 1.0)
    expected = 1.0
    for threshold in GRID:
        if full - matthews_at(traces["calibration"], threshold) > TOLERANCE + 1e-9:
            break
        expected = float(threshold)
    empirical, ltt = results["strategies"]["joint"]["calibrated"]
    assert empirical["threshold"] == expected
    assert (empirical["risk"], ltt["risk"]) == ("quality", "consistency")
    for split, key in (("calibration", "calibration_risk"), ("test", "test_risk")):
        lost = matthews_at(traces[split], 1.0) - matthews_at(traces[split], expected)
        assert empirical[key] == pytest.approx(lost, abs=1e-12)


def test_tables_and_page_name_the_metric(folder, results):
    for table in ("table.md", "exits.md"):
        assert "Matthews x 100" in (folder / table).read_text()
    calibration = (folder / "calibration.md").read_text()
    assert "Its risk: Matthews correlation lost against the full model's." in calibration
    assert "Its risk: answers unlike the full model's." in calibration
    page = (folder / "report.html").read_text()
    assert "Matthews correlation, depth and speed" in page
    assert "ccuracy" not in page
    assert comparison([results]).cells()[0][2] == "Matthews x 100"
