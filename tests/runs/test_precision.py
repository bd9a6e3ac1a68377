"""Runs that compute in bfloat16: what is kept, what is measured, and what answers later."""

from dataclasses import replace

import jax
import numpy as np
import pytest
from safetensors.numpy import load_file

import ee_jax
from ee_jax.calibration.trace import Trace
from ee_jax.cli import main
from ee_jax.compilation import data_mesh
from ee_jax.data.prepared import open_split
from ee_jax.models.transformer import parameters
from ee_jax.results import read_results
from ee_jax.runs.compile import plan
from ee_jax.runs.run import run

# bfloat16 keeps 8 bits: a probability after a few blocks of them is known to about 1 %.
CLOSE = 0.02


@pytest.fixture(scope="module")
def half(experiment, tmp_path_factory):
    folder = tmp_path_factory.mktemp("precision") / "half"
    run(replace(experiment, name="half", precision="bfloat16"), folder)
    return folder


def test_results_and_page_name_both_precisions(half, finished):
    results = read_results(half)
    assert (results.precision, results.matmul_precision) == ("bfloat16", "float32")
    assert read_results(finished).precision == "float32"
    assert "bfloat16, products of float32 in float32" in (half / "report.html").read_text()


@pytest.mark.parametrize("strategy", ["joint", "frozen"])
def test_what_learned_is_kept_in_float32_and_learned_nearly_the_same(half, finished, strategy):
    kept = load_file(half / strategy / "model" / "model.safetensors")
    assert {value.dtype for value in kept.values()} == {np.dtype("float32")}
    here, there = (read_results(f).strategies[strategy].full_quality for f in (half, finished))
    assert here == pytest.approx(there, abs=0.1)  # of 35 examples


def test_thresholds_are_chosen_and_measured_in_it(half):
    """The compiled exits stop where the trace says, but for a near-tie."""
    for strategy in read_results(half).strategies.values():
        for point in strategy.points:
            assert point.unlike_trace <= 1


def test_it_answers_in_what_its_run_computed_in(half, data):
    texts = open_split("sentences", "test", data).texts
    trace = Trace.load(half / "joint" / "traces" / "test.npz")
    model, exact = ee_jax.load(half / "joint"), ee_jax.load(half / "joint", "float32")
    assert (model.precision, exact.precision) == ("bfloat16", "float32")
    kinds = {str(value.dtype) for value in parameters(model._model).values()}
    assert kinds == {"bfloat16", "float32"}
    sure, sure_exact = ([a.confidence for a in m(texts)] for m in (model, exact))
    np.testing.assert_allclose(sure, trace.confidence_NE[:, -1], atol=CLOSE)
    np.testing.assert_allclose(sure, sure_exact, atol=CLOSE)
    assert sure != sure_exact


def test_a_precision_that_is_not_there_is_one_line(experiment, write_config, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["run", str(write_config(experiment)), "--precision", "float8"])
    assert ended.value.code == 2
    said = capsys.readouterr().err.strip()
    assert "config field `precision` names no precision 'float8'" in said
    assert "\n" not in said


def test_what_would_be_compiled_computes_in_it(experiment):
    """Evaluation takes bfloat16; a training step float32, its master weights."""
    for planned in plan(replace(experiment, precision="bfloat16"), data_mesh()):
        kinds = {str(leaf.dtype) for leaf in jax.tree.leaves(planned.arguments)}
        assert ("bfloat16" in kinds) is ("training" not in planned.name), planned.name
