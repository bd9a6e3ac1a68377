"""Early exit against static models of equal time, on traces whose numbers are easy to check."""

import numpy as np
import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.evaluation.equal_time import against_static
from ee_jax.evaluation.metrics import METRICS
from ee_jax.exits.stopping import PLAIN
from ee_jax.results import ExitAlone, Point, StrategyResults

EXAMPLES = 10


def answers(right: int) -> np.ndarray:
    """0 where right: the first `right` of ten examples."""
    return np.where(np.arange(EXAMPLES) < right, 0, 1)


def trace(*right: int, confidence: float = 0.5) -> Trace:
    """An exit for each number: how many of ten examples it gets right."""
    answer_NE = np.stack([answers(each) for each in right], axis=1).astype(np.int32)
    sure_NE = np.full(answer_NE.shape, confidence, np.float32)
    sure_NE[:, -1] = 1.0
    depth_E = np.arange(1, len(right) + 1, dtype=np.int32)
    label_N = np.zeros(EXAMPLES, np.int32)
    return Trace(sure_NE, answer_NE.astype(float), depth_E, answer_NE, label_N)


def point(threshold: float, speedup: dict[int, float | None]) -> Point:
    return Point(
        threshold=threshold, confidence="max_prob", quality=0.0, metrics={}, inconsistency=0.0,
        mean_depth=1.0, ideal_speedup=1.0, flops_speedup=1.0, measured_speedup=speedup,
        exit_counts=(),
    )  # fmt: skip


def strategy(*points: Point, blocks: int | None = None) -> StrategyResults:
    alone = (ExitAlone(depth=1, metrics={}),)
    return StrategyResults(full_quality=0.0, exits=alone, points=points, static_blocks=blocks)


def compare(strategies, traces):
    return against_static(strategies, traces, METRICS["accuracy"], PLAIN, draws=99)


# Static models: all blocks 9 of 10 right at time 1, one block 5 of 10 at time .4 (batch 1) and
# .5 (batch 8). The exit model's first exit gets 8, its last 9.
STATIC = {
    "single": strategy(point(1.0, {1: 1.0, 8: 1.0}), blocks=2),
    "truncated_1": strategy(point(1.0, {1: 2.5, 8: 2.0}), blocks=1),
}
TRACES = {"joint": trace(8, 9), "single": trace(9), "truncated_1": trace(5)}


def test_the_static_quality_at_the_settings_time_by_hand():
    """At time .7 the line from (.4, .5) to (1, .9) is at .7; the setting has .8."""
    joint = strategy(point(1.0, {1: 0.9, 8: 0.9}), point(0.3, {1: 1 / 0.7, 8: 4.0}))
    (found,) = compare(STATIC | {"joint": joint}, TRACES)  # at batch 8 none is as fast
    assert (found.strategy, found.batch, found.threshold) == ("joint", 1, (0.3,))
    assert found.time == pytest.approx((0.7,))
    assert found.quality == pytest.approx((0.8,))
    assert found.static_quality == pytest.approx((0.7,))
    assert found.mean == pytest.approx(0.1)
    assert found.mean_low <= found.mean <= found.mean_high


def test_the_mean_over_settings_at_each_batch_size():
    """Stopping everywhere has 8 of 10 at time .4 (static: 5); nowhere 9 of 10 at 1 (9)."""
    joint = strategy(point(0.3, {1: 2.5, 8: 1.0}), point(0.9, {1: 1.0, 8: None}))
    first, second = compare(STATIC | {"joint": joint}, TRACES)
    assert (first.batch, first.threshold, second.batch, second.threshold) == (
        1, (0.3, 0.9), 8, (0.3,),
    )  # fmt: skip
    assert first.static_quality == pytest.approx((0.5, 0.9))
    assert first.mean == pytest.approx((0.3 + 0.0) / 2)
    assert second.mean == pytest.approx(0.8 - 0.9)


def test_a_paired_bootstrap_sees_a_difference_that_is_the_same_in_every_example():
    """The first exit is right wherever the static model is, and in 3 of 10 more."""
    joint = strategy(point(0.3, {1: 2.5}))
    (found,) = compare(STATIC | {"joint": joint}, TRACES)
    assert found.mean == pytest.approx(0.3)
    assert found.mean_low >= 0  # unpaired, 8 and 5 of 10 overlap widely


def test_without_static_models_there_is_nothing_to_say():
    joint = strategy(point(0.3, {1: 2.5}))
    assert compare({"joint": joint}, TRACES) == []
    assert compare(STATIC, TRACES) == []
