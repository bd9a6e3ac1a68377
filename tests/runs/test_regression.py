"""A regression whose exits learn how far off they are (BERxiT), from config to report."""

from dataclasses import replace

import numpy as np
import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.config import Evaluation, Exits, Learned, OptimizerConfig, TwoStage
from ee_jax.data.registry import DATASETS
from ee_jax.runs.run import run
from tests.runs.golden_numbers import check_as_before
from tests.runs.stops import some_stop_early

FIT = OptimizerConfig(epochs=4.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)
LTE = Learned("correct", "squared", shared=True)


def test_uncertainty_of_numbers_is_learned(deeper, tmp_path, monkeypatch):
    monkeypatch.setitem(DATASETS, "lengths", "tests.runs.tiny_sentences:Lengths")
    strategy = TwoStage(first=FIT, fit=FIT)
    changed = replace(
        deeper,
        data=replace(deeper.data, name="lengths", folder=str(tmp_path / "data")),
        exits=Exits(confidence="learned", learned=LTE),
        strategies=(strategy,),
        evaluation=Evaluation(thresholds=(0.5, 1.0), batches=(2,), rounds=1),
    )
    whole = run(changed, tmp_path / "run")
    check_as_before("regression", tmp_path / "run", whole)
    results = whole.strategies[strategy.name]
    points = results.points
    assert [point.unlike_trace for point in points] == [0] * len(points)
    assert some_stop_early(points)
    full = points[1]
    assert full.mean_depth == 3.0
    # A correlation of two programs' answers, in fp32.
    assert full.quality == pytest.approx(results.full_quality, abs=1e-5)
    trace = Trace.load(tmp_path / "run" / strategy.name / "traces" / "test.npz")
    assert trace.label_range == (0.0, 3.0)
    assert np.all((trace.confidence_NE > 0) & (trace.confidence_NE < 1))
