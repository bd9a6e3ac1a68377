"""A record of calibration as a table and a figure."""

import copy

import numpy as np
import pytest

from ee_jax.report.record import record_figure, record_table

QUANTILES = ("p05", "p25", "median", "p75", "p95")


def spread(*values):
    return {"mean": values[2], **dict(zip(QUANTILES, values, strict=True))}


def row(level, risk):
    return {
        "level": level,
        "above_level": 0.03,
        "full_model": 0.0,
        "threshold": spread(0.5, 0.6, 0.7, 0.8, 0.9),
        "risk": spread(0.0, risk / 2, risk, 1.5 * risk, 2 * risk),
        "depth": spread(3.0, 3.1, 3.2, 3.3, 3.4),
    }


RECORD = {
    "trace": "t.npz",
    "header": {"data": "words", "split": "calibration"},
    "examples": 4000,
    "exit_layers": [2, 4, 6],
    "full_depth": 6,
    "search": None,
    "choice": {
        "label": "ltt 5 %",
        "method": "ltt",
        "risk": "consistency",
        "level": 0.05,
        "delta": 0.1,
        "promise": "much",
        "threshold": 0.7,
        "threshold_E": None,
        "full_model": False,
        "certified_risk": 0.05,
        "calibration_risk": 0.031,
        "calibration_mean_depth": 3.25,
        "ended": "next candidate failed",
        "warning": "",
    },
    "trials": {
        "splits": 100, "seed": 0, "calibrated_on": 2000, "held_out": 2000, **row(0.05, 0.03)
    },
    "levels": [row(0.025, 0.01), row(0.05, 0.03)],
}  # fmt: skip


@pytest.fixture
def record():
    return copy.deepcopy(RECORD)


@pytest.fixture
def budget(record):
    record["choice"] |= {
        "label": "budget 4 blocks", "method": "budget", "risk": "loss", "level": 4.0,
        "delta": None, "certified_risk": None,
    }  # fmt: skip
    record["levels"] = [row(3.0, -0.01), row(4.0, 0.0)]
    return record


def test_the_table_by_hand(record):
    assert record_table(record).cells() == [
        ["method", "ltt"],
        ["promise", "much"],
        ["risk", "consistency: answers unlike the full model's"],
        ["data", "4,000 examples, 3 exits (words, calibration)"],
        ["level", "5 %"],
        ["delta", "10 %"],
        ["threshold", "0.70"],
        ["certified risk", "5.0 %"],
        ["found on data", "risk 3.1 %, mean depth 3.25 of 6"],
        ["search ended", "next candidate failed"],
        ["trials", "100 random splits: 2,000 to calibrate, 2,000 held out"],
        ["held-out risk", "3.0 % (90 % in 0.0 to 6.0)"],
        ["held-out depth", "3.20 of 6 (90 % in 3.00 to 3.40)"],
        ["above the level", "3 of 100 trials"],
    ]


def test_a_fallback_and_a_warning_are_shown(record):
    record["choice"] |= {"threshold": 1.0, "full_model": True, "warning": "too few"}
    lines = dict(record_table(record).cells())
    assert lines["threshold"] == "1.00 (the full model)"
    assert lines["warning"] == "too few"


def test_a_search_shows_every_exit(record):
    record["search"] = "greedy"
    record["choice"]["threshold_E"] = [0.5, 0.9, 1.0]
    lines = dict(record_table(record).cells())
    assert lines["threshold"] == "0.50, 0.90, 1.00"
    assert lines["method"] == "ltt, a threshold for each exit by greedy search"


def test_a_budget_promises_no_risk(budget):
    lines = dict(record_table(budget).cells())
    assert lines["level"] == "4 blocks"
    assert not {"delta", "certified risk"} & lines.keys()


def lines_of(axes):
    return [np.asarray(line.get_xydata()).T.tolist() for line in axes.lines]


def test_the_figure_has_the_spread_of_each_level_and_the_diagonal(record):
    risk, depth = record_figure(record).axes
    most, half, median, *rest = lines_of(risk)
    assert most == [[2.5, 2.5], [0.0, 2.0]]
    assert half == [[2.5, 2.5], [0.5, 1.5]]
    assert median == [[2.5], [1.0]]
    (x, y) = rest[-1]
    assert x == y
    assert lines_of(depth)[0] == [[2.5, 2.5], [3.0, 3.4]]
    assert lines_of(depth)[-1][1] == [6, 6]
    colors = [line.get_color() for line in risk.lines[:6:3]]
    assert colors == ["C0", "C1"]  # the level that was asked for stands out


def test_the_figure_of_a_budget_holds_depth_against_it(budget):
    depth, risk = record_figure(budget).axes
    assert depth.get_title(loc="left").startswith("their mean depth")
    assert lines_of(depth)[0] == [[3.0, 3.0], [3.0, 3.4]]
    assert risk.get_ylim()[0] < -2  # an early exit may win


def test_the_caption_counts_the_trials_above(record):
    caption = record_figure(record).get_supxlabel()
    assert caption.endswith("random splits. Dashed: risk = level; 3 were above it at 5 %.")
