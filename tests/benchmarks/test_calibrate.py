"""A tiny run of the benchmark of calibration, and what it says of memory."""

import json

import pytest

from ee_jax.benchmarks.calibrate import EVERY, bench_calibrate, draw_trace
from ee_jax.calibration.methods import METHODS
from ee_jax.cli import main
from ee_jax.errors import UserError

TINY = ["--examples", "300", "--exits", "3", "--thresholds", "10", "--trials", "4"]


def test_a_row_for_each_method(capsys):
    main(["bench", "calibrate", *TINY, "--repeats", "1", "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["method"].removeprefix("ltt, ") for row in rows] == list(EVERY)
    for row in rows:
        assert row["seconds"] > 0
        assert row["cores"] >= 1
        assert row["thresholds"] == (10 if row["method"] in (*METHODS, "budget") else None)
        # 300 examples, 3 exits: float32 and float64, an int32, and the depths.
        assert row["trace_mb"] * 1e6 == 300 * 3 * (4 + 8 + 4) + 3 * 4
        assert row["peak_mb"] > 0


def test_memory_does_not_grow_with_the_trials():
    def peak(trials):
        (row,) = bench_calibrate(["ltt"], 2000, 4, 20, trials, 1)
        return row["peak_mb"]

    # The results alone grow: three numbers of 8 bytes for each split and level.
    assert peak(200) < 1.1 * peak(100) + 100 * 10 * 24 / 1e6


def test_the_trace_has_something_to_calibrate():
    trace = draw_trace(5000, 12)
    wrong_E = trace.loss_NE.mean(0)
    assert wrong_E[0] > 2 * wrong_E[-1] > 0
    assert trace.confidence_NE[:, 0].mean() < trace.confidence_NE[:, -1].mean() - 0.2


@pytest.mark.parametrize(
    ("methods", "thresholds", "message"),
    [(["lttt"], 10, "no method 'lttt': choose from"), (["ltt"], 1, "ask for at least 2")],
)
def test_what_cannot_be_timed(methods, thresholds, message):
    with pytest.raises(UserError, match=message):
        list(bench_calibrate(methods, 100, 3, thresholds, 2, 1))
