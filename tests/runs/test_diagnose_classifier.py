"""`ee-jax diagnose` of a classifier: its own exits, or what its one head says everywhere."""

import json
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

import ee_jax
from ee_jax.calibration.trace import Trace
from ee_jax.cli import main
from ee_jax.config import Evaluation, Exits
from ee_jax.data.prepared import open_split
from ee_jax.data.registry import DATASETS
from ee_jax.errors import UserError
from ee_jax.evaluation.diagnosis import agreements, oracle_exit
from ee_jax.runs.diagnose import diagnose
from ee_jax.runs.run import run
from ee_jax.runs.scanned import Request
from ee_jax.tokens import Tokens


@pytest.fixture(scope="module")
def texts(data, tmp_path_factory):
    """The run's test split, a text a line."""
    path = tmp_path_factory.mktemp("texts") / "texts.txt"
    path.write_text("\n".join(map(str, open_split("sentences", "test", data).texts)))
    return path


@pytest.fixture(scope="module")
def without_exits(experiment, tmp_path_factory):
    """A run whose one head is trained after the last block."""
    folder = tmp_path_factory.mktemp("without") / "run"
    evaluation = Evaluation(thresholds=(1.0,), batches=(2,), rounds=1)
    changed = replace(experiment, exits=Exits(layers=(2,)), evaluation=evaluation)
    run(changed, folder)
    return next(folder.glob("*/model")).parent


def test_a_runs_exits_agree_as_its_trace_says(finished, texts, capsys):
    main(["diagnose", str(finished / "joint"), "--text", str(texts), "--json"])
    record = json.loads(capsys.readouterr().out)
    trace = Trace.load(finished / "joint" / "traces" / "test.npz")
    assert trace.prediction_NE is not None
    agrees_NE = agreements(np.asarray(trace.prediction_NE).T)
    shares = [row["agreement"] for row in record["exits"]]
    np.testing.assert_allclose(shares, agrees_NE.mean(0))
    depth_N = np.array([1, 2])[oracle_exit(agrees_NE)]
    assert record["oracle_mean_depth"] == pytest.approx(depth_N.mean())
    assert record["texts"] == len(agrees_NE)
    assert record["trained"]
    assert {row["confidence"] for row in record["reach"]} >= {"max_prob", "saturation"}
    assert all("perplexity" not in row for row in record["exits"])


def test_without_exits_the_last_head_answers_everywhere(without_exits, texts):
    record = diagnose(Request(str(without_exits), str(texts)))
    assert not record["trained"]
    assert [row["depth"] for row in record["exits"]] == [1, 2]
    model, said = ee_jax.load(without_exits), []
    for text in texts.read_text().splitlines():
        ids_1T = jnp.asarray([model.tokenizer.encode(text).ids])
        backbone = model.module.backbone
        state = backbone.embed(Tokens(ids_1T, jnp.ones(ids_1T.shape, bool)))
        answers = []
        for block in range(2):
            state = backbone.segment(state, block, block + 1)
            feature_1D = model.module.feature(state)
            answers.append(int(model.module.exits(0, feature_1D).logits.argmax()))
        said.append(answers)
    agrees_NE = agreements(np.array(said).T)
    assert record["exits"][0]["agreement"] == pytest.approx(agrees_NE[:, 0].mean())


def test_timed_and_drawn(finished, texts, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    page, where = tmp_path / "page.html", str(finished / "joint")
    main(["diagnose", where, "--text", str(texts), "--clock", "1", "--page", str(page)])
    out = capsys.readouterr().out
    assert "perplexity" not in out
    assert "share of texts" in out
    assert max(map(len, out.splitlines())) <= 80
    assert page.read_text().startswith("<!doctype html>")
    record = diagnose(Request(where, str(texts), clock=1))
    assert all(0.05 < row["timed_speedup"] < 20 for row in record["reach"])


def test_a_regression_has_no_classes_to_agree_on(experiment, tmp_path, texts, monkeypatch):
    monkeypatch.setitem(DATASETS, "lengths", "tests.runs.tiny_sentences:Lengths")
    data = replace(experiment.data, name="lengths", folder=str(tmp_path / "data"))
    evaluation = Evaluation(thresholds=(1.0,), batches=(2,), rounds=1)
    exits = Exits(confidence="saturation")
    changed = replace(experiment, data=data, exits=exits, evaluation=evaluation)
    run(changed, tmp_path / "run")
    with pytest.raises(UserError, match="is a regression"):
        diagnose(Request(str(tmp_path / "run" / "joint"), str(texts)))


def test_a_texts_file_that_is_not_there(finished, tmp_path, capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["diagnose", str(finished / "joint"), "--text", str(tmp_path / "nowhere")])
    err = capsys.readouterr().err
    assert "nowhere" in err
    assert err.count("\n") == 1
