"""A user's own confidence and exit head: the example's, through a whole run of a tiny model."""

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from ee_jax.calibration.methods import METHODS, Method
from ee_jax.calibration.risks import RISKS
from ee_jax.calibration.trace import Trace
from ee_jax.config import Evaluation, Exits, Frozen, Model, OptimizerConfig, Scratch, Strategy
from ee_jax.config.load import load, override
from ee_jax.errors import UserError
from ee_jax.evaluation.metrics import METRICS
from ee_jax.exits import CONFIDENCES, RULES
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.losses.exit_losses import LOSSES
from ee_jax.models.families import FAMILIES
from ee_jax.models.heads import HEADS
from ee_jax.models.huggingface import load_backbone, read_architecture, to_tensors
from ee_jax.models.transformer import parameters
from ee_jax.report.compare import comparison
from ee_jax.reproduce.study import find_study
from ee_jax.runs.run import run
from ee_jax.runs.trained import load as load_model
from ee_jax.tasks.task import TASKS, Task, find_task
from ee_jax.training.optimizer import OPTIMIZERS

EXAMPLES = Path(__file__).parents[2] / "examples"
EXAMPLE = EXAMPLES / "own_confidence.py"
OWN = {
    "unlikely_rest": CONFIDENCES, "bottleneck": HEADS, "focal": LOSSES, "lion": OPTIMIZERS,
    "worst_class": METRICS, "harm": RISKS, "bernstein": METHODS, "halved": POLICIES,
    "mine": TASKS, "patient_and_confident": RULES, "majority": TASKS,
    "splinter": FAMILIES,
}  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def unregistered():
    """Other tests meet the package's own parts alone."""
    yield
    for name, registry in OWN.items():
        registry.pop(name, None)


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
    points = results.strategies["frozen"].points
    assert [point.unlike_trace for point in points] == [0] * len(points)
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


def on_tiny(example, experiment, **changes):
    """An example's experiment on the tests' data and weights."""
    own = load(EXAMPLES / example)
    exits = replace(own.exits, layers=(1, 2))
    evaluation = replace(own.evaluation, batches=(1,))
    return replace(
        own, data=experiment.data, model=experiment.model, exits=exits, evaluation=evaluation,
        **changes,
    )  # fmt: skip


def test_an_own_strategy_loss_and_optimizer(experiment, tmp_path):
    planned = on_tiny("own_strategy.py", experiment)
    changed = override(
        planned, ["--strategies.0.sharpness", "2", "--strategies.0.fit.batch", "8"]
    )
    strategy: Any = changed.strategies[0]
    assert (strategy.sharpness, strategy.fit.batch, strategy.loss) == (2.0, 8, "focal")
    results = run(changed, tmp_path / "run").strategies["deepening"]
    assert {point.unlike_trace for point in results.points} == {0}
    lines = (tmp_path / "run" / "deepening" / "metrics.jsonl").read_text().splitlines()
    assert '"stage": "deepening"' in lines[-1]


def test_an_own_metric_risk_and_method(experiment, tmp_path):
    planned = on_tiny("own_calibration.py", experiment)
    results = run(planned, tmp_path / "run")
    found = results.strategies["frozen"]
    assert results.metrics == ("worst_class", "accuracy")
    for point in found.points:
        assert (point.quality or 0) <= (point.metrics["accuracy"] or 0)
    labels = {choice.label: choice.risk for choice in found.calibrated}
    assert labels == {"empirical 1 %": "quality", "bernstein 5 %": "harm"}
    assert "bernstein 5 % promises" in (tmp_path / "run" / "calibration.md").read_text()


def test_an_own_policy(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("".join(f"line {n % 7} of a short text {n}\n" for n in range(600)))
    planned = load(
        EXAMPLES / "own_policy.py", ["--data.name", str(text), "--data.length", "64"]
    )
    sizes = Scratch(vocabulary=270, width=8, blocks=2, heads=2, kv_heads=1, hidden=16)
    data = replace(planned.data, folder=str(tmp_path / "data"))
    results = run(replace(planned, model=sizes, data=data), tmp_path / "run")
    points = results.strategies["layerskip"].points
    assert {point.policy for point in points} == {"propagate", "halved"}
    assert all((point.measured_speedup[1] or 0) > 0 for point in points)


def test_an_own_task_goes_from_config_to_report_and_beside_other_runs(experiment, tmp_path):
    few = ["--data.train", "600", "--data.test", "60", "--strategies.0.fit.epochs", "0.5"]
    planned = load(EXAMPLES / "own_task.py", few)
    results = run(planned, tmp_path / "run")
    found = results.strategies["joint"]
    assert [entry.depth for entry in found.exits] == [1, 2, 4]
    assert found.points[-1].quality == found.full_quality
    assert all(sum(point.exit_counts) == 60 for point in found.points)
    assert "drawn 1" in (tmp_path / "run" / "report.html").read_text()
    assert run(planned, tmp_path / "run") == results  # read back
    other = run(replace(experiment, strategies=experiment.strategies[:1]), tmp_path / "other")
    assert len(comparison([results, other]).rows) == 2


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"metrics": ("accuracy",), "data": {}, "model": {"blocks": 4}}, "no name, version"),
        ({"data": {"name": "x", "version": "1", "rows": {}, "checksum": {}},
          "model": {"blocks": 4}}, "names no metrics"),
        ({"data": {"name": "x", "version": 1, "rows": {}, "checksum": {}},
          "model": {"blocks": 4}}, r"\(1 is no str\) @ \$\.data\.version"),
    ],
)  # fmt: skip
def test_a_task_that_says_too_little_is_told_before_it_trains(described, message, tmp_path):
    few = ["--data.train", "64", "--data.test", "8"]
    planned = load(EXAMPLES / "own_task.py", few)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(find_task("majority"), "describe", lambda task: described)
        with pytest.raises(UserError, match=f"task `majority`: describe.*{message}"):
            run(planned, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*/metrics.jsonl"))


def test_an_own_family_reads_and_writes_its_checkpoints(experiment, weights, tmp_path):
    """The tests' BERT under Splinter's names."""
    planned = on_tiny("own_family.py", experiment, strategies=experiment.strategies[1:])
    folder = Path(shutil.copytree(weights, tmp_path / "splinter"))
    family, other = FAMILIES["splinter"], replace(read_architecture(folder), family="splinter")
    tensors = to_tensors(other, parameters(load_backbone(weights)))
    assert "splinter.encoder.layer.0.attention.self.query.weight" in tensors
    save_file(tensors, folder / "model.safetensors")
    (folder / "config.json").write_text(
        json.dumps({**family.write(other), "model_type": "splinter"})
    )
    assert read_architecture(folder) == other
    found = run(replace(planned, model=Model(str(folder))), tmp_path / "run")
    same = run(replace(planned, model=Model(str(weights))), tmp_path / "bert")
    for name, strategy in found.strategies.items():
        full = same.strategies[name].full_quality
        assert strategy.full_quality == pytest.approx(full, abs=1 / 35)  # one answer of 35
    written = json.loads((tmp_path / "run" / "frozen" / "model" / "config.json").read_text())
    assert (written["model_type"], written["question_token_id"]) == ("splinter", 104)


def test_an_own_exit_rule(experiment, tmp_path):
    planned = on_tiny("own_rule.py", experiment)
    every = replace(planned.exits, layers=None)
    results = run(replace(planned, exits=every), tmp_path / "run")
    found = results.strategies["frozen"]
    assert [point.unlike_trace for point in found.points] == [0] * 5
    # Nobody stops at the first exit, even where a third of them would be confident.
    assert all(point.exit_counts[0] == 0 for point in found.points)
    model = load_model(tmp_path / "run" / "frozen")
    assert {answer.depth for answer in model(["one text", "and another"], 0.0)} == {2}


def test_an_own_study():
    study = find_study(str(EXAMPLES / "own_study.py"))
    assert study.experiment("rte", "weights").exits.head == "mlp"
    with pytest.raises(UserError, match=r"no study .*nowhere\.py"):
        find_study("nowhere.py")
    with pytest.raises(UserError, match="STUDY must be a Study, not None"):
        find_study(str(EXAMPLE))


class Half(Task):
    """A task that forgot most of itself."""

    def check(self):
        """Finds nothing wrong."""


@dataclass(frozen=True)
class NoStages(Strategy):
    name: str = "no_stages"

    def stages(self, exits):
        return ["joint"]


def test_parts_without_what_they_need_are_named_before_any_work(experiment, tmp_path):
    TASKS.register("mine", Half)
    with pytest.raises(UserError, match=r"task `mine` lacks describe, evaluate, examples,"):
        run(replace(experiment, task="mine"), tmp_path / "run")
    with pytest.raises(UserError, match=r"`no_stages`: stages\(\) must return a list of Stage"):
        run(replace(experiment, strategies=(NoStages(),)), tmp_path / "run")
    with pytest.raises(UserError, match="there is a method `ltt` already"):
        METHODS.register("ltt", Method("nothing", lambda mean, n, level, delta: mean < level))
    assert not (tmp_path / "run").exists()
