"""Models without exits in a run: what they are, what is measured, how commands take them."""

import json
from dataclasses import replace
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import ee_jax
from ee_jax.calibration.trace import Trace
from ee_jax.cli import main
from ee_jax.compilation import data_mesh
from ee_jax.config import (
    Data,
    Evaluation,
    Exits,
    Experiment,
    Joint,
    OptimizerConfig,
    Truncated,
    baselines,
)
from ee_jax.data.registry import DATASETS
from ee_jax.display import SILENT
from ee_jax.errors import UserError
from ee_jax.results import read_results
from ee_jax.run_folder import RunFolder
from ee_jax.runs import train
from ee_jax.runs.compile import compile_all, plan
from ee_jax.runs.run import check, run
from ee_jax.tasks.task import find_task
from tests.runs.test_command import refused
from tests.runs.test_resume import Clock, Stopping

FIT = OptimizerConfig(epochs=2.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)


@pytest.fixture(scope="module")
def beside(deeper) -> Experiment:
    """Exits after three blocks, and all the models without."""
    return replace(
        deeper,
        strategies=(Joint(fit=FIT), *baselines(3, FIT)),
        evaluation=Evaluation(thresholds=(0.4, 0.5, 0.7, 1.0), batches=(4,), rounds=1),
    )


@pytest.fixture(scope="module")
def folder(beside, tmp_path_factory) -> Path:
    """Of the finished run."""
    folder = tmp_path_factory.mktemp("static") / "run"
    run(beside, folder)
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return read_results(folder)


def test_each_has_one_answer_and_the_full_one_is_the_measure(found):
    depths = {name: s.static_blocks for name, s in found.strategies.items()}
    assert depths == {"joint": None, "single": 3, "truncated_1": 1, "truncated_2": 2}
    for strategy in [*found.strategies.values()][1:]:
        (point,) = strategy.points
        blocks = strategy.static_blocks
        assert (point.mean_depth, point.ideal_speedup) == (blocks, 3 / blocks)
        assert (point.exit_counts, point.unlike_trace) == ((35,), 0)
        assert point.quality == strategy.full_quality
        assert strategy.calibrated == strategy.curve == ()
    single, first, second = [s.points[0] for s in [*found.strategies.values()][1:]]
    assert single.measured_speedup == {4: 1.0}
    assert single.flops_speedup == 1.0
    assert 1 < second.flops_speedup < first.flops_speedup < 3  # the head is not saved


def test_a_truncated_model_is_one_of_so_many_blocks(folder):
    """The exported folder describes two blocks and holds two; its answers are the trace's."""
    model = ee_jax.load(folder / "truncated_2")
    assert model.exits == (2,)
    config = json.loads((folder / "truncated_2" / "model" / "config.json").read_text())
    assert config["num_hidden_layers"] == 2
    blocks = {path.split(".")[2] for path in model.parameters if ".blocks." in path}
    assert blocks == {"0", "1"}
    trace = Trace.load(folder / "truncated_2" / "traces" / "test.npz")
    assert trace.depth_E.tolist() == [2]
    assert trace.header["model"] == "truncated_2"


def test_it_starts_from_the_backbone_and_the_last_head(beside, folder):
    """Not trained at all, it is the full model's first blocks under its last exit's head."""
    task = find_task("classification")(beside, RunFolder(folder, beside), data_mesh(), SILENT)
    task.check()
    own = task.of(Truncated(blocks=2))
    assert own is task.of(Truncated("again", blocks=2))
    assert own.layout.layers == (2,)
    np.testing.assert_array_equal(
        own.values["exits.heads.0.out.kernel"], task.values["exits.heads.2.out.kernel"]
    )
    block = "backbone.blocks.1.mlp.up.kernel"
    assert own.values[block] is task.values[block]
    assert not any("blocks.2." in path for path in own.values)


def test_the_timed_program_runs_no_other_block(beside):
    """As XLA counts: each block more costs the same FLOPs, and two blocks are no three."""
    programs = [p for p in plan(beside, data_mesh()) if p.name.startswith("static 4 x 8")]
    names = [p.name for p in programs]
    assert names == [
        "static 4 x 8",
        "static 4 x 8, 3 of 3 blocks",
        "static 4 x 8, 1 of 3 blocks",
        "static 4 x 8, 2 of 3 blocks",
    ]
    full, single, one, two = [row.flops for row in compile_all(programs, data_mesh())]
    assert full == single
    assert two - one == pytest.approx(full - two, rel=1e-6)
    assert 0 < one < two < full


def test_the_comparison_is_in_the_results_the_tables_and_the_page(found, folder):
    for against in found.against_static:
        assert (against.strategy, against.batch) == ("joint", 4)
        assert all(low <= high for low, high in zip(against.low, against.high, strict=True))
    page = (folder / "report.html").read_text()
    assert "Against models without exits" in page
    sentence = (folder / "static.md").read_text()
    assert "early exit" in sentence or "can be put beside them" in sentence
    assert (folder / "quality_time.png").is_file()
    table = (folder / "table.md").read_text()
    assert "against single" in table
    assert "no exits" in table


@pytest.mark.slow
def test_a_run_that_was_stopped_ends_with_the_same_bits(beside, folder, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(train, "time", clock)
    beside = replace(beside, checkpoint_seconds=0.0)
    for label, step in (("truncated_1: truncated", 3), ("truncated_2: trace of test", 1)):
        with pytest.raises(KeyboardInterrupt):
            run(beside, tmp_path / "stopped", Stopping(clock, label, step))
    run(beside, tmp_path / "stopped", Stopping(clock))
    for name in ("truncated_1", "truncated_2", "single"):
        for file in ("metrics.jsonl", "model/model.safetensors"):
            left, right = (each / name / file for each in (folder, tmp_path / "stopped"))
            assert left.read_bytes() == right.read_bytes()


def test_predict_and_calibrate_take_it_as_a_model_of_its_own_depth(folder, tmp_path, capsys):
    (tmp_path / "texts.txt").write_text("read the file\n")
    line = [str(folder / "truncated_2"), str(tmp_path / "texts.txt")]
    for more in ([], ["--threshold", "0.1"]):
        main(["predict", *line, "--json", *more])
        assert json.loads(capsys.readouterr().out)["depth"] == 2
    refusal = refused(capsys, "predict", *line, "--calibrated", "ltt 2 %")
    assert refusal.startswith("ee-jax: no calibration `ltt 2 %` in this run: there is none")
    trace = folder / "truncated_2" / "traces" / "test.npz"
    main(["calibrate", str(trace), "--output", str(tmp_path), "--json"])
    assert json.loads(capsys.readouterr().out)["choice"]["full_model"]


@pytest.mark.slow
def test_exits_that_read_others_or_scores_leave_it_alone(beside, tmp_path):
    """Its model has neither; the strategy beside it has."""
    for exits in (Exits(confidence="learned"), Exits((2, 3), head="shared", patience=1)):
        changed = replace(
            beside, exits=exits, strategies=(Joint(fit=FIT), Truncated(fit=FIT, blocks=1))
        )
        results = run(changed, tmp_path / exits.head)
        assert results.strategies["truncated"].points[0].confidence == "max_prob"
        model = ee_jax.load(tmp_path / exits.head / "truncated")
        assert not any("scores" in path for path in model.parameters)


def test_a_deeper_one_than_the_backbone_is_refused_before_anything(beside, tmp_path):
    wrong = replace(beside, strategies=(Truncated(fit=FIT, blocks=3),))
    with pytest.raises(UserError, match="fewer than the backbone's 3 blocks, not 3"):
        check(wrong, tmp_path / "none")


def test_bfloat16_too(beside, tmp_path):
    half = replace(beside, precision="bfloat16", strategies=(Truncated(fit=FIT, blocks=2),))
    results = run(half, tmp_path)
    assert results.against_static == ()
    (point,) = results.strategies["truncated"].points
    assert point.unlike_trace <= 1
    assert ee_jax.load(tmp_path).parameters["backbone.blocks.0.mlp.up.kernel"].dtype == (
        jnp.bfloat16
    )


def test_a_regression_too(beside, tmp_path, monkeypatch):
    """Of numbers no class is surest: the one answer is asked for nothing."""
    monkeypatch.setitem(DATASETS, "lengths", "tests.runs.tiny_sentences:Lengths")
    numbers = replace(
        beside,
        data=Data("lengths", str(tmp_path / "data"), lengths=(8,)),
        exits=Exits(confidence="patience"),
        strategies=(Joint(fit=FIT), Truncated(fit=FIT, blocks=1)),
    )
    found = run(numbers, tmp_path / "run").strategies["truncated"]
    assert found.points[0].unlike_trace == 0
    assert found.points[0].quality == pytest.approx(found.full_quality, abs=1e-5)
    assert set(found.points[0].metrics) == {"pearson", "spearman"}
