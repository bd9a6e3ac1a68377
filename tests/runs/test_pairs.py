"""Runs on pairs of sentences, from the files to the results."""

from dataclasses import replace

import numpy as np
import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.config import (
    Calibration,
    Data,
    Evaluation,
    Exits,
    Experiment,
    Frozen,
    Joint,
    OptimizerConfig,
)
from ee_jax.data.registry import DATASETS
from ee_jax.runs.run import run
from ee_jax.tasks.classification.inputs import load_corpus
from tests.runs.stops import some_stop_early
from tests.runs.tiny_pairs import ROWS, write_files

FIT = OptimizerConfig(epochs=2.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)


@pytest.fixture
def paired(deeper, tmp_path, monkeypatch) -> Experiment:
    """An experiment on pairs like MRPC's."""
    files = write_files(tmp_path / "files")
    for task in ("Mrpc", "Stsb"):
        path = f"tests.runs.tiny_pairs:Readable{task}"
        monkeypatch.setitem(DATASETS, f"glue/readable_{task.lower()}", path)
    return replace(
        deeper,
        data=Data("glue/readable_mrpc", str(tmp_path / "data"), str(files), lengths=(16,)),
        strategies=(Frozen(fit=FIT),),
        calibration=Calibration(tolerances=(0.1,)),
        evaluation=Evaluation(thresholds=(0.5, 0.502, 1.0), batches=(2,), rounds=1),
    )


def test_pairs_with_classes(paired, tmp_path):
    results = run(paired, tmp_path / "run")
    assert results.metrics == ("f1", "accuracy")
    assert results.data["rows"]["test"] == ROWS["dev"]
    strategy = results.strategies["frozen"]
    points = strategy.points
    assert [point.unlike_trace for point in points] == [0] * len(points)
    assert (points[0].mean_depth, points[2].mean_depth) == (1.0, 3.0)
    assert points[2].quality == strategy.full_quality
    assert some_stop_early(points)


def test_pairs_with_scores(paired, tmp_path):
    """A regression, with the rule that its paper gives for one (PABEE)."""
    scored = replace(
        paired,
        data=replace(paired.data, name="glue/readable_stsb"),
        strategies=(Joint(fit=FIT),),
        exits=Exits(confidence="patience", tolerance=0.06),
        evaluation=Evaluation(thresholds=(0.3, 1.0), batches=(2,), rounds=1),
    )
    results = run(scored, tmp_path / "run")
    assert results.metrics == ("pearson", "spearman")
    points = results.strategies["joint"].points
    assert [point.unlike_trace for point in points] == [0] * len(points)
    assert some_stop_early(points)
    trace = Trace.load(tmp_path / "run" / "joint" / "traces" / "test.npz")
    assert trace.label_range == (0.0, 5.0)
    assert trace.label_N is not None
    assert trace.prediction_NE is not None
    assert trace.label_N.dtype == np.float32
    # It has learned how large scores are; before training its answers are near 0.
    assert trace.prediction_NE[:, -1].mean() == pytest.approx(trace.label_N.mean(), abs=1.0)


def test_every_batch_of_pairs_has_types(paired):
    """One signature for the whole data set, so that each length is compiled once."""
    splits = load_corpus(paired, 16).splits
    for split in splits.values():
        for batch in split.batches(8):
            ids_BT, types_BT = batch.tokens.ids_BT, batch.tokens.types_BT
            first_B = (ids_BT == 3).argmax(1)  # the first [SEP]
            after_BT = np.arange(ids_BT.shape[1]) > first_B[:, None]
            np.testing.assert_array_equal(types_BT, after_BT & (ids_BT > 0))
