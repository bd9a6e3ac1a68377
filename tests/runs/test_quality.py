"""Runs whose quality is not accuracy: Matthews correlation, and correlations of numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from ee_jax.calibration.outcomes import GRID
from ee_jax.calibration.trace import Trace
from ee_jax.config import Calibration, Data, Evaluation, Exits, Joint, OptimizerConfig
from ee_jax.data.registry import DATASETS
from ee_jax.display import SILENT
from ee_jax.evaluation.forward_pass import ForwardPass
from ee_jax.evaluation.metrics import matthews
from ee_jax.report.compare import comparison
from ee_jax.results import Results, read_results, to_json
from ee_jax.run_folder import RunFolder
from ee_jax.runs.run import run
from ee_jax.sharding import data_mesh
from ee_jax.tasks.classification.evaluate import Evaluator
from ee_jax.tasks.classification.inputs import check, load_corpus, make_model
from ee_jax.tasks.classification.measure import Measurer
from tests.runs.stops import some_stop_early
from tests.runs.tiny_cola import write_files

TOLERANCE = 0.1


@pytest.fixture(scope="module")
def folder(experiment, tmp_path_factory) -> Path:
    """A finished run on files in CoLA's form, trained too little to be always right."""
    root = tmp_path_factory.mktemp("cola")
    fit = OptimizerConfig(epochs=4.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)
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
def results(folder) -> Results:
    return read_results(folder)


def matthews_at(trace: Trace, threshold: float) -> float:
    """Of the answers of the first exits whose confidence is above the threshold."""
    assert trace.prediction_NE is not None
    assert trace.label_N is not None
    stops_NE = trace.confidence_NE > np.float32(threshold)
    stops_NE[:, -1] = True
    exit_N = stops_NE.argmax(1)
    return matthews(trace.prediction_NE[np.arange(len(exit_N)), exit_N], trace.label_N)


def test_results_hold_the_metric_everywhere(folder, results):
    assert results.metrics == ("matthews",)
    strategy = results.strategies["joint"]
    trace = Trace.load(folder / "joint" / "traces" / "test.npz")
    full = matthews_at(trace, 1.0)
    assert 0 < full == strategy.full_quality == strategy.exits[-1].metrics[results.quality]
    for point in strategy.points:
        assert point.quality == matthews_at(trace, point.threshold)
        assert point.metrics == {"matthews": point.quality}
    for point in strategy.curve:
        assert point.quality == matthews_at(trace, point.threshold)
    assert "accuracy" not in json.dumps(to_json(results))


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
    empirical, ltt = results.strategies["joint"].calibrated
    assert empirical.threshold == expected
    assert (empirical.risk, ltt.risk) == ("quality", "consistency")
    for split, key in (("calibration", "calibration_risk"), ("test", "test_risk")):
        lost = matthews_at(traces[split], 1.0) - matthews_at(traces[split], expected)
        assert getattr(empirical, key) == pytest.approx(lost, abs=1e-12)


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


def test_a_regression_is_judged_by_correlations(deeper, tmp_path):
    """An untrained model; the label of a sentence is its number of tokens, from 4 to 8."""
    of_numbers = replace(
        deeper,
        exits=Exits(confidence="saturation"),
        calibration=Calibration((0.1,), ("ltt",), risk="gap", levels=(0.5,)),
        evaluation=Evaluation(thresholds=(0.9, 1.0), batches=(2,), rounds=1),
    )
    corpus = load_corpus(of_numbers, 16)
    splits = {
        name: replace(split, label_N=np.array([len(row) for row in split.rows], np.float32))
        for name, split in corpus.splits.items()
    }
    metrics = ("pearson", "spearman")
    corpus = replace(corpus, splits=splits, classes=(), metrics=metrics, label_range=(0, 8))
    model, values = make_model(of_numbers, check(of_numbers), 1)
    mesh, folder = data_mesh(1), RunFolder(tmp_path, of_numbers)
    measurer = Measurer(of_numbers, model, splits["test"], metrics, mesh, SILENT)
    forward = ForwardPass(model, mesh)
    evaluate = Evaluator(of_numbers, model, corpus, forward, measurer, folder, SILENT)
    found = evaluate.evaluate("joint", values)

    trace = Trace.load(tmp_path / "joint" / "traces" / "test.npz")
    assert trace.label_range == (0, 8)
    assert trace.prediction_NE is not None
    assert trace.label_N is not None
    full_N, label_N = np.float64(trace.prediction_NE[:, -1]), np.float64(trace.label_N)

    def close(value):
        """The loop's answers are those of the full pass but for the order of float32's sums."""
        return pytest.approx(value, rel=1e-4, abs=1e-6)

    assert found.full_quality == close(pearsonr(full_N, label_N)[0])
    assert [point.unlike_trace for point in found.points] == [0] * len(found.points)
    assert some_stop_early(found.points)
    last = found.points[1]
    assert (last.threshold, last.mean_depth) == (1, 3)
    assert last.metrics["pearson"] == last.quality
    assert last.quality == close(found.full_quality)
    assert last.metrics["spearman"] == close(spearmanr(full_N, label_N)[0])
    assert last.inconsistency == pytest.approx(0, abs=1e-9)
    assert [(entry.ece, entry.auroc) for entry in found.exits] == [(None, None)] * 3
    empirical, ltt = found.calibrated
    assert (empirical.risk, ltt.risk) == ("quality", "gap")
    assert 0 <= (ltt.calibration_risk or 0) <= 1
