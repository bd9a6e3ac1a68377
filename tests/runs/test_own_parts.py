"""A user's own confidence and exit head: the example's, through a whole run of a tiny model."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.config import Evaluation, Exits, Frozen, OptimizerConfig
from ee_jax.config.load import load
from ee_jax.errors import UserError
from ee_jax.exits import CONFIDENCES
from ee_jax.models.heads import HEADS
from ee_jax.runs.run import run

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_confidence.py"


@pytest.fixture(scope="module", autouse=True)
def unregistered():
    """Other tests meet the package's own parts alone."""
    yield
    CONFIDENCES.pop("unlikely_rest", None)
    HEADS.pop("bottleneck", None)


@pytest.fixture(scope="module")
def own(experiment):
    """The example's exits on the tests' data and weights."""
    exits = replace(load(EXAMPLE).exits, layers=(1, 2))
    fit = OptimizerConfig(2.0, batch=8, head_learning_rate=1e-2)
    evaluation = Evaluation(thresholds=(0.9, 1.0), batches=(1,), rounds=1)
    return replace(
        experiment, exits=exits, strategies=(Frozen(fit=fit),), evaluation=evaluation
    )


def test_the_example_runs_from_training_to_report(own, tmp_path):
    results = run(own, tmp_path / "run")
    points = results["strategies"]["frozen"]["points"]
    assert [point["unlike_trace"] for point in points] == [0] * len(points)
    trace = Trace.load(tmp_path / "run" / "frozen" / "traces" / "test.npz")
    assert trace.header["confidence"] == "unlikely_rest"
    # The two likeliest of three classes hold more than two thirds.
    assert np.all((trace.confidence_NE > 2 / 3) & (trace.confidence_NE <= 1))


def test_a_config_that_is_loaded_again_registers_its_parts_again():
    assert load(EXAMPLE) == load(EXAMPLE)


@pytest.mark.parametrize(
    ("exits", "message"),
    [
        ({"head": "bottlneck"},
         "config field `exits.head` names no exit head 'bottlneck': did you mean `bottleneck`? "
         "there are linear, pooler, mlp, shared, bottleneck"),
    ],
)  # fmt: skip
def test_a_wrong_name_says_the_nearest_before_any_work(own, tmp_path, exits, message):
    with pytest.raises(UserError) as error:
        run(replace(own, exits=replace(own.exits, **exits)), tmp_path / "run")
    assert str(error.value) == message
    assert not (tmp_path / "run").exists()


def test_a_wrong_confidence_is_found_by_the_config():
    with pytest.raises(UserError) as error:
        Exits(confidence="max_prop")
    assert str(error.value).startswith(
        "config field `exits.confidence` names no confidence 'max_prop': did you mean "
        "`max_prob`? there are max_prob, margin"
    )
