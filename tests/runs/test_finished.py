"""What a finished run has written, and that its parts agree with each other."""

import csv
import json
from pathlib import Path

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

from ee_jax.calibration.trace import Trace
from ee_jax.config import config_hash, identity, to_dict
from ee_jax.data.batches import evaluation_batches
from ee_jax.data.prepared import open_split
from ee_jax.data.text import encode, load_tokenizer
from ee_jax.models.export import import_model, read_exits
from ee_jax.results import Results, read_results

STRATEGIES = ("joint", "frozen")
# On the test split.
POINT = ("threshold", "quality", "mean_depth", "ideal_speedup")


@pytest.fixture(scope="module")
def results(finished) -> Results:
    return read_results(finished)


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_config_with_its_hash_and_the_versions(finished, experiment, results):
    written = json.loads((finished / "config.json").read_text())
    assert written["hash"] == config_hash(experiment) == results.config_hash
    assert written["config"] == to_dict(experiment)
    assert results.config == identity(experiment)
    assert written["versions"] == results.versions
    assert {"python", "ee_jax", "jax", "flax", "optax"} <= written["versions"].keys()


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_its_files(finished, experiment, name):
    folder = finished / name
    steps = [line["step"] for line in lines_of(folder / "metrics.jsonl")]
    assert steps == [10, 20, 30, 36]  # 6 epochs of 96 rows in batches of 16
    assert [path.name for path in (folder / "checkpoints").iterdir()] == ["36"]
    exits = read_exits(folder / "model")
    assert (exits["strategy"], exits["config_hash"]) == (name, config_hash(experiment))
    assert (folder / "model" / "tokenizer.json").is_file()
    choices = json.loads((folder / "calibration.json").read_text())
    assert len(choices["temperature_E"]) == 2
    assert choices["choices"]
    for split, rows in {"calibration": 33, "test": 35}.items():
        trace = Trace.load(folder / "traces" / f"{split}.npz")
        assert trace.confidence_NE.shape == (rows, 2)
        assert trace.header["config_hash"] == config_hash(experiment)


def test_a_frozen_backbone_is_exported_bit_for_bit(finished, weights):
    given = load_file(weights / "model.safetensors")
    backbone = {name for name in given if not name.startswith("exits.")}
    assert any(np.signbit(given[name][given[name] == 0]).any() for name in backbone)
    for strategy, same in {"frozen": backbone, "joint": set()}.items():
        found = load_file(finished / strategy / "model" / "model.safetensors")
        assert same == {n for n in backbone if found[n].tobytes() == given[n].tobytes()}


def test_the_report_has_its_files(finished, results):
    for name in ("table.csv", "exits.csv"):
        with (finished / name).open() as file:
            assert len(list(csv.reader(file))) > len(STRATEGIES)
    for name in ("table.md", "exits.md"):
        text = (finished / name).read_text()
        assert all(strategy in text for strategy in STRATEGIES)
    for name in ("quality_depth.png", "exit_depths.png"):
        assert (finished / name).read_bytes().startswith(b"\x89PNG")
    page = (finished / "report.html").read_text()
    assert results.config_hash in page
    assert not any(f'{link}="http' in page for link in ("src", "href"))


def test_results_have_what_a_report_needs(results):
    assert set(results.strategies) == set(STRATEGIES)
    for strategy in results.strategies.values():
        assert 0 <= strategy.full_quality <= 1
        assert [point.threshold for point in strategy.points[:3]] == [0.4, 0.6, 1.0]
        for point in strategy.points:
            values = [getattr(point, key) for key in POINT]
            values += [point.measured_speedup[batch] for batch in (1, 32)]
            assert all(isinstance(value, float) and value >= 0 for value in values)
            assert point.metrics == {"accuracy": point.quality}


@pytest.mark.parametrize("name", STRATEGIES)
def test_threshold_one_is_the_full_model(results, name):
    strategy = results.strategies[name]
    point = strategy.points[2]
    assert point.quality == strategy.full_quality == strategy.exits[-1].metrics[results.quality]
    assert (point.mean_depth, point.ideal_speedup) == (2.0, 1.0)


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_programs_answers_are_those_of_the_trace(finished, results, name):
    """By brute force: the first exit whose confidence is above the threshold, or the last."""
    trace = Trace.load(finished / name / "traces" / "test.npz")
    assert trace.label_N is not None
    assert trace.prediction_NE is not None
    for point in results.strategies[name].points:
        stops_NE = trace.confidence_NE > np.float32(point.threshold)
        stops_NE[:, -1] = True
        exit_N = stops_NE.argmax(1)
        right_N = trace.prediction_NE[np.arange(35), exit_N] == trace.label_N
        assert point.exit_counts == tuple(np.bincount(exit_N, minlength=2).tolist())
        assert point.mean_depth == pytest.approx((exit_N + 1).mean(), rel=1e-15)
        assert point.quality == right_N.mean()
        assert point.unlike_trace == 0
    early = {tuple(point.exit_counts) for point in results.strategies["joint"].points}
    assert any(0 not in counts for counts in early)  # else this shows little


@pytest.mark.parametrize("name", STRATEGIES)
def test_the_exported_model_says_what_the_trace_says(finished, experiment, name):
    """Read back by itself, with its tokenizer, on the texts of the test split."""
    folder = finished / name / "model"
    texts = open_split("sentences", "test", experiment.data.folder)
    rows = encode(load_tokenizer(folder), texts.texts, 8)
    (batch,) = evaluation_batches(rows, texts.label_N, lengths=(8,), batch=35)
    model = import_model(folder)
    answers = jax.jit(lambda tokens: model.answers(model.features(tokens)))(batch.tokens)
    trace = Trace.load(finished / name / "traces" / "test.npz")
    np.testing.assert_array_equal(np.asarray(answers.logits).argmax(-1).T, trace.prediction_NE)
    np.testing.assert_array_equal(texts.label_N, trace.label_N)
    assert read_exits(folder)["classes"] == list(texts.classes)
