"""Finished runs made by hand: four blocks, two strategies, numbers that are easy to check."""

from dataclasses import replace

import numpy as np

from ee_jax.calibration.choice import Choice
from ee_jax.calibration.describe import describe
from ee_jax.calibration.trace import Trace
from ee_jax.exits.stopping import Stopping
from ee_jax.reproduce.swept import Finished
from ee_jax.results import CurvePoint, Point, Results, StrategyResults

LABEL = "empirical 1 %"


def point(threshold, quality, depth, batch_1, f1=None, calibrated_for=()):
    return Point(
        threshold=threshold,
        confidence="max_prob",
        calibrated_for=tuple(calibrated_for),
        quality=quality,
        metrics={"accuracy": quality} | ({"f1": f1} if f1 is not None else {}),
        inconsistency=0.0,
        mean_depth=depth,
        ideal_speedup=4 / depth,
        flops_speedup=3 / depth,
        measured_speedup={1: batch_1},
        exit_counts=(),
    )


# Saves nothing, 20 %, 50 % and 60 % of the time at batch 1.
POINTS = [
    point(1.0, 0.90, 4.0, 1.0, f1=0.80),
    point(0.9, 0.89, 3.0, 1.25, f1=0.79),
    point(0.7, 0.86, 2.0, 2.0, f1=0.75, calibrated_for=[LABEL]),
    point(0.5, 0.70, 1.0, 2.5, f1=0.50),
]


def strategy(points=POINTS, shift=0.0):
    moved = tuple(_shifted(point, round(point.quality + shift, 6)) for point in points)
    keys = ("threshold", "quality", "mean_depth")
    choice = Choice(
        method="empirical", level=0.01, threshold=0.7, risk=0.0, depth=2.0, examples=9,
        ended="found",
    )  # fmt: skip
    return StrategyResults(
        full_quality=moved[0].quality,
        exits=(),
        points=moved,
        curve=tuple(CurvePoint(**{k: getattr(p, k) for k in keys}) for p in moved),
        calibrated=(describe(choice, "quality"),),
    )


def _shifted(point, accuracy):
    metrics = {**point.metrics, "accuracy": accuracy}
    return replace(point, quality=accuracy, metrics=metrics)


def finished(task="sst2", seed=0, shift=0.0, traces=None, **strategies):
    results = Results(
        name=task,
        task="classification",
        config={
            "evaluation": {"thresholds": [point.threshold for point in POINTS]},
            "exits": Stopping()._asdict(),
        },
        config_hash="0123456789ab",
        versions={},
        metrics=("accuracy", "f1"),
        device="1 x cpu: Example",
        data={"name": f"glue/{task}", "version": "1.0.0", "classes": ["no", "yes"]},
        model={"weights": "some-bert", "blocks": 4},
        seconds={"total": 12.3},
        strategies=strategies or {"two_stage": strategy(shift=shift)},
    )
    return Finished(task, seed, results, traces or {})


def trace(loss_NE, confidence_N):
    """Two exits; answers are 0 where right, 1 where wrong, of labels 0."""
    loss_NE = np.asarray(loss_NE, float)
    confidence_NE = np.stack([confidence_N, np.ones(len(loss_NE))], axis=1).astype(np.float32)
    return Trace(
        confidence_NE=confidence_NE,
        loss_NE=loss_NE,
        depth_E=np.array([2, 4], np.int32),
        prediction_NE=loss_NE.astype(np.int32),
        label_N=np.zeros(len(loss_NE), np.int32),
    )
