"""Every kind of head, every confidence and every strategy goes the whole way once."""

from dataclasses import replace

import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.config import (
    EELLM,
    Alternating,
    Distill,
    Evaluation,
    Exits,
    Frozen,
    GradientEquilibrium,
    LayerSkip,
    Learned,
    Mixed,
    OptimizerConfig,
    SelfDistill,
    TwoStage,
)
from ee_jax.models.export import read_exits
from ee_jax.runs.run import run
from tests.runs.golden_numbers import check_as_before
from tests.runs.stops import some_stop_early

FIT = OptimizerConfig(epochs=2.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)
EVALUATION = Evaluation(thresholds=(0.02, 0.3, 0.5, 0.9, 1.0), batches=(2,), rounds=1)

LTE = Learned("correct", "squared", shared=True)
META = Learned("consistent", "balanced", shared=True, fit=FIT)

# Strategies that were made for language models.
BORROWED = (LayerSkip(p_max=0.5, fit=FIT), EELLM(first=(0.0, 0.1), last=(0.5, 0.5), fit=FIT))
FROZEN = (Frozen(fit=FIT),)  # the cheapest
TOGETHER = (Alternating(fit=FIT), GradientEquilibrium(fit=FIT), SelfDistill(fit=FIT))
STAGED = tuple(kind(first=FIT, fit=FIT) for kind in (TwoStage, Mixed, Distill))

# `linear` with `max_prob` and the strategy `joint` are the experiment of the other tests.
KINDS = {
    "margin": (Exits(head="pooler", pooling="first", confidence="margin"), TOGETHER),
    "entropy": (Exits((1, 2, 3), head="mlp", confidence="entropy", patience=1), FROZEN),
    "saturation": (Exits(head="shared", confidence="saturation"), FROZEN),
    "learned": (Exits(confidence="learned", min_depth=2), FROZEN),
    "patience": (Exits(confidence="patience"), (*FROZEN, *BORROWED)),
    "voting": (Exits(confidence="voting"), STAGED),
    "lte": (Exits(confidence="learned", learned=LTE), FROZEN),
    "meta": (Exits(confidence="learned", learned=META), FROZEN),
}


@pytest.mark.parametrize("kind", KINDS)
def test_from_config_to_report(deeper, tmp_path, kind):
    exits, strategies = KINDS[kind]
    changed = replace(deeper, exits=exits, strategies=strategies, evaluation=EVALUATION)
    whole = run(changed, tmp_path)
    check_as_before(kind, tmp_path, whole)
    results = whole.strategies
    assert list(results) == [strategy.name for strategy in strategies]
    for name, found in results.items():
        check_points(found, exits)
        check_files(tmp_path / name, exits)


def check_points(found, exits):
    """The compiled loop stops where the trace says, some examples early and some not."""
    points = found.points
    assert [point.unlike_trace for point in points] == [0] * len(points)
    full = points[4]
    assert (full.threshold, full.mean_depth) == (1.0, 3.0)
    assert full.quality == found.full_quality
    assert some_stop_early(points)
    if exits.patience or exits.min_depth > 1:  # an exit after each of three blocks
        assert {point.exit_counts[0] for point in points} == {0}


def check_files(folder, exits):
    trace = Trace.load(folder / "traces" / "test.npz")
    assert trace.header["confidence"] == exits.confidence
    design = read_exits(folder / "model")["design"]
    assert (design.head, design.pooling) == (exits.head, exits.pooling)
    assert design.learned == (exits.confidence == "learned")
    learned = exits.confidence == "learned"
    assert design.shared_score == (learned and exits.learned.shared)
