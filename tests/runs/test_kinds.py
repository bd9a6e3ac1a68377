"""Every kind of head, every confidence and every strategy goes the whole way once."""

from dataclasses import replace

import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.config import (
    Alternating,
    Distill,
    Evaluation,
    Exits,
    Fit,
    Frozen,
    GradientEquilibrium,
    Joint,
    Learned,
    Mixed,
    SelfDistill,
    TwoStage,
)
from ee_jax.models.export import read_exits
from ee_jax.runs.run import run

FIT = Fit(epochs=2.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)
EVALUATION = Evaluation(thresholds=(0.3, 0.7, 1.0), batches=(2,), rounds=1)

LTE = Learned("correct", "squared", shared=True)
META = Learned("consistent", "balanced", shared=True, fit=FIT)

# `linear` with `max_prob` and both strategies is the experiment of the other tests.
KINDS = [
    (Exits(head="pooler", pooling="first", confidence="margin"), Joint(fit=FIT)),
    (Exits(layers=(1, 2), head="mlp", confidence="entropy", patience=1), Frozen(fit=FIT)),
    (Exits(head="shared", confidence="saturation"), Frozen(fit=FIT)),
    (Exits(confidence="learned", min_depth=2), TwoStage(first=FIT, fit=FIT)),
    (Exits(confidence="patience"), Alternating(fit=FIT)),
    (Exits(confidence="voting"), Distill(first=FIT, fit=FIT)),
    (Exits(confidence="learned", learned=LTE), GradientEquilibrium(fit=FIT)),
    (Exits(confidence="learned", learned=META), SelfDistill(fit=FIT)),
    (Exits(confidence="max_prob"), Mixed(first=FIT, fit=FIT)),
]
IDS = [f"{strategy.name}-{exits.head}-{exits.confidence}" for exits, strategy in KINDS]


@pytest.mark.parametrize(("exits", "strategy"), KINDS, ids=IDS)
def test_from_config_to_report(experiment, tmp_path, exits, strategy):
    changed = replace(experiment, exits=exits, strategies=(strategy,), evaluation=EVALUATION)
    results = run(changed, tmp_path)["strategies"][strategy.name]
    assert [point["unlike_trace"] for point in results["points"]] == [0] * len(
        results["points"]
    )
    full = results["points"][2]
    assert (full["threshold"], full["mean_depth"]) == (1.0, 2.0)
    assert full["quality"] == results["full_quality"]
    trace = Trace.load(tmp_path / strategy.name / "traces" / "test.npz")
    assert trace.header["confidence"] == exits.confidence
    design = read_exits(tmp_path / strategy.name / "model")["design"]
    assert (design.head, design.pooling) == (exits.head, exits.pooling)
    assert design.learned == (exits.confidence == "learned")
    assert design.shared_score == (exits.scores is not None and exits.learned.shared)
    if exits.patience or exits.min_depth > 1:  # an exit after each of two blocks
        assert {point["mean_depth"] for point in results["points"]} == {2.0}
