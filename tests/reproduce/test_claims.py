"""Claims on runs made by hand: which answers are weighed, and what the rule says of them."""

from dataclasses import replace

import numpy as np
import pytest

from ee_jax.calibration.trace import Trace
from ee_jax.evaluation.metrics import accuracy
from ee_jax.reproduce.answers import SeedRun, TaskRuns
from ee_jax.reproduce.claims import (
    FAILS,
    HOLDS,
    NOT_RUN,
    OPEN,
    Claim,
    claims_table,
    in_words,
    verdict,
)
from ee_jax.reproduce.measures import (
    AtEqualDepth,
    AtEqualTime,
    AtFullDepth,
    AtSaving,
    PatienceAtEqualDepth,
)
from ee_jax.reproduce.operating_points import operating_table
from ee_jax.results import ExitAlone, StrategyResults
from tests.reproduce.small_runs import finished, point

EXAMPLES = 40
LABELS = np.zeros(EXAMPLES, np.int32)
SURE = (0.2, 0.6, 1.0)  # the confidence of every example at each of three exits


def right(share: float) -> np.ndarray:
    """Answers of which the first share is right."""
    return (np.arange(EXAMPLES) >= share * EXAMPLES).astype(np.int32)


def trace(*shares: float) -> Trace:
    """How many each exit gets right, all of them as sure as `SURE` says."""
    answer_NE = np.stack([right(share) for share in shares], axis=1)
    sure_NE = np.tile(np.array(SURE[-len(shares) :], np.float32), (EXAMPLES, 1))
    depth_E = np.arange(1, len(shares) + 1, dtype=np.int32) + (3 - len(shares))
    return Trace(sure_NE, answer_NE.astype(float), depth_E, answer_NE, LABELS)


def with_exits(shares, times) -> StrategyResults:
    """Thresholds .1, .5 and 1 stop everything at exits 1, 2 and 3."""
    points = [
        replace(
            point(t, share, depth, 1 / time), flops_speedup=3 / depth, ideal_speedup=3 / depth
        )
        for t, share, depth, time in zip((0.1, 0.5, 1.0), shares, (1, 2, 3), times, strict=True)
    ]
    alone = tuple(ExitAlone(depth=d, metrics={}) for d in (1, 2, 3))
    return StrategyResults(full_quality=shares[-1], exits=alone, points=tuple(points))


def static(share: float, blocks: int, time: float) -> StrategyResults:
    one = replace(
        point(1.0, share, blocks, 1 / time), flops_speedup=3 / blocks, ideal_speedup=3 / blocks
    )
    alone = (ExitAlone(depth=blocks, metrics={}),)
    return StrategyResults(full_quality=share, exits=alone, points=(one,), static_blocks=blocks)


def run(seed=0, shares=(0.5, 0.75, 0.9), other=(0.4, 0.6, 0.9), single=0.95, first=0.45):
    """`joint` and `frozen` with exits, and the models of three blocks and of one without."""
    strategies = {
        "joint": with_exits(shares, (0.4, 0.7, 1.05)),
        "frozen": with_exits(other, (0.4, 0.7, 1.05)),
        "single": static(single, 3, 1.0),
        "truncated_1": static(first, 1, 0.4),
    }
    traces = {
        "joint": trace(*shares),
        "frozen": trace(*other),
        "single": trace(single),
        "truncated_1": trace(first),
    }
    made = finished("sst2", seed, 0.0, traces, **strategies)
    config = {
        "evaluation": {"thresholds": [0.1, 0.5, 1.0]},
        "exits": {**made.results.config["exits"], "confidence": "max_prob"},
    }
    model = {"weights": "some-bert", "blocks": 3}
    return replace(made, results=replace(made.results, config=config, model=model))


def judged(*runs, draws=199) -> TaskRuns:
    return TaskRuns(runs or (run(),), draws)


def value(measure, *runs) -> float:
    found = judged(*runs).contrast(measure)
    assert found is not None
    assert found.low <= found.value <= found.high
    return found.value


def test_settings_are_placed_where_they_were_measured():
    seed = SeedRun(run())
    placed = seed.settings["joint", 0.5]
    assert (placed.depth, placed.time, placed.flops) == (2.0, pytest.approx({1: 0.7}), 2 / 3)
    assert accuracy(placed.answer_N, LABELS) == 0.75
    assert seed.single() == ("single", 1.0)
    assert [*seed.statics()] == [("single", 1.0), ("truncated_1", 1.0)]


def test_at_full_depth():
    assert value(AtFullDepth("joint")) == pytest.approx(0.9 - 0.95)
    assert value(AtFullDepth("joint", "frozen")) == pytest.approx(0.0)
    assert judged().contrast(AtFullDepth("joint", "missing")) is None


def test_at_a_saving_on_the_line_between_two_settings():
    """Joint has (.5 + .75) / 2 at depth 1.5, half of the layers, and at .55 of the time."""
    halfway = (0.5 + 0.75) / 2 - 0.95
    assert value(AtSaving("joint", 0.5)) == pytest.approx(halfway)
    assert value(AtSaving("joint", 0.5, "FLOPs")) == pytest.approx(halfway)
    assert value(AtSaving("joint", 0.45, "time")) == pytest.approx(halfway)
    assert judged().contrast(AtSaving("joint", 0.9)) is None  # nobody saves as much
    assert judged().contrast(AtSaving("joint", 0.4, "time", batch=32)) is None


def test_at_equal_depth_is_the_area_between_two_curves():
    """Trapezia: joint (.625 + .825) / 2, frozen (.5 + .75) / 2."""
    assert value(AtEqualDepth("joint", "frozen")) == pytest.approx(0.725 - 0.625)


def test_at_equal_time_is_the_mean_over_settings_between_static_models():
    """At .4 joint has .5, the static model .45; at .7 it has .75, the line (.45 + .95) / 2."""
    wanted = ((0.5 - 0.45) + (0.75 - 0.7)) / 2
    assert value(AtEqualTime("joint")) == pytest.approx(wanted)
    assert judged().contrast(AtEqualTime("joint", batch=32)) is None


def test_patience_counts_equal_answers_on_the_confidences_trace():
    """Exits 1 and 2 answer unlike in a quarter, which runs on to exit 3; the others stop."""
    seed = SeedRun(run())
    patient = seed.settings["joint", "patience 1"]
    assert patient.depth == pytest.approx(0.75 * 2 + 0.25 * 3)
    # Of depths 2.25 to 3 patience goes straight from .75 to .9, confidence from .7875.
    exit_2, full = 0.75, 0.9
    assert accuracy(patient.answer_N, LABELS) == pytest.approx(0.75)
    curve = exit_2 + 0.25 * (full - exit_2)
    wanted = (0.75 + full) / 2 - (curve + full) / 2
    assert value(PatienceAtEqualDepth("joint")) == pytest.approx(wanted)


def test_seeds_are_averaged_and_drawn_together():
    runs = run(0), run(1, shares=(0.5, 0.75, 1.0))
    assert value(AtFullDepth("joint"), *runs) == pytest.approx((0.9 + 1.0) / 2 - 0.95)


@pytest.mark.parametrize(
    ("difference", "p_value", "margin", "wanted"),
    [
        (0.02, 0.01, 0.0, HOLDS),
        (-0.02, 0.01, 0.0, FAILS),
        (0.02, 0.06, 0.0, OPEN),
        (-0.005, 0.05, -0.01, HOLDS),  # told from a point below, though not better
        (-0.02, 0.05, -0.01, FAILS),
        (None, None, 0.0, NOT_RUN),
    ],
)
def test_the_rule(difference, p_value, margin, wanted):
    assert verdict(difference, p_value, margin) == wanted


def test_the_table_of_claims_corrects_over_claims_and_tasks():
    claims = (
        Claim("joint is better", "fig. 1", AtEqualDepth("joint", "frozen")),
        Claim("joint is no worse", "table 1", AtFullDepth("joint"), -0.01),
        Claim("nobody ran it", "table 2", AtFullDepth("missing")),
    )
    rows = claims_table("claims", claims, [judged()]).rows
    raw = [judged().contrast(c.difference, c.margin) for c in claims[:2]]
    low, high = sorted(found.p_value for found in raw if found)
    assert sorted(row["p"] for row in rows[:2]) == pytest.approx([2 * low, max(2 * low, high)])
    assert [row["verdict"] for row in rows] == [HOLDS, OPEN, NOT_RUN]
    assert (rows[0]["difference"], rows[1]["margin"]) == (pytest.approx(10), -1)
    assert in_words(rows)[0] == ("joint is better", "fig. 1", "holds: sst2")


def test_operating_points_relative_to_the_model_without_exits():
    rows = operating_table("points", [judged(run(0), run(1))]).rows
    (found,) = [r for r in rows if (r["strategy"], r["setting"]) == ("joint", "threshold 0.50")]
    assert (found["quality"], found["single"], found["static"]) == pytest.approx((75, -20, 5))
    assert found["layers_saved"] == found["flops_saved"] == pytest.approx(100 / 3)
    assert found["time_saved_b1"] == pytest.approx(30)
    assert found["seeds"] == 2
    (single,) = [r for r in rows if r["strategy"] == "single"]
    assert (single["setting"], single["single"], single["static"]) == ("no exits", 0, None)
    full = [r for r in rows if (r["strategy"], r["setting"]) == ("joint", "full depth")]
    assert full[0]["static"] is None  # slower than any static model
