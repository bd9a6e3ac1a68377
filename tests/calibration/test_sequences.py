import re
from dataclasses import replace

import numpy as np
import pytest

from ee_jax.calibration.certify import certify_outcomes
from ee_jax.calibration.sequences import SequenceTrace, load_trace
from ee_jax.calibration.trace import Trace
from ee_jax.errors import UserError

COLUMNS = {
    "threshold_K": np.array([1.0, 0.8, 0.5]),
    "loss_NK": np.array([[0.25, 0.25, 0.75], [0.5, 0.0, 1.0]]),
    "depth_NK": np.array([[8.0, 4.5, 2.0], [8.0, 6.0, 3.0]]),
}


def test_a_trace_comes_back_from_its_file_as_what_it_is(tmp_path):
    path = tmp_path / "trace.npz"
    replace(SequenceTrace.of(COLUMNS), header={"data": "cnn_dm"}).save(path)
    back = load_trace(path)
    assert isinstance(back, SequenceTrace)
    assert back.header["data"] == "cnn_dm"
    for name, column in COLUMNS.items():
        np.testing.assert_array_equal(back.columns()[name], column)
    Trace(np.ones((1, 1), np.float32), np.ones((1, 1)), np.array([1])).save(path)
    assert isinstance(load_trace(path), Trace)


def test_losses_are_counted_against_the_full_models():
    found = SequenceTrace.of(COLUMNS).outcomes()
    assert found.loss_KN.tolist() == [[0, 0], [0, 0], [0.5, 0.5]]
    assert found.depth_KN.tolist() == [[8, 8], [4.5, 6], [2, 3]]


def test_sequences_are_certified_like_anything_else():
    many = {name: np.tile(column, (100, 1)) for name, column in COLUMNS.items()}
    trace = SequenceTrace.of({**many, "threshold_K": COLUMNS["threshold_K"]})
    choice = certify_outcomes(trace.outcomes(), "ltt", 0.1, 0.05)
    assert (choice.threshold, choice.risk, choice.depth) == (0.8, 0, 5.25)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"depth_NK": None},
            "column `depth_NK` is missing: a trace needs threshold_K, loss_NK, depth_NK",
        ),
        (
            {"loss_NK": np.zeros((2, 2))},
            "column `loss_NK` has 2 thresholds but `threshold_K` has 3: write both anew",
        ),
        (
            {"threshold_K": np.array([0.9, 0.8, 0.5])},
            "column `threshold_K` is 0.9 at threshold 0, "
            "but falls from 1, the full model: write e.g. [1, 0.9, 0.8]",
        ),
        (
            {"threshold_K": np.array([1, 0.8, 0.8])},
            "column `threshold_K` is 0.8 at threshold 2, "
            "but falls from 1, the full model: write e.g. [1, 0.9, 0.8]",
        ),
        (
            {"threshold_K": np.array([1, 0.5, -0.5])},
            "column `threshold_K` is -0.5 at threshold 2, "
            "but falls from 1, the full model: write e.g. [1, 0.9, 0.8]",
        ),
        (
            {"loss_NK": np.array([[0, 0, np.nan], [0, 0, 0]])},
            "column `loss_NK` is nan at example 0, threshold 2, "
            "not in [0, 1]: divide by the largest loss there can be",
        ),
        (
            {"depth_NK": np.array([[8, 8, 8], [8, 0, 8]])},
            "column `depth_NK` is 0 at example 1, threshold 1, "
            "not a number of blocks: write how many ran, or their mean",
        ),
    ],
)
def test_a_bad_column_is_one_line(changed, message):
    columns = {k: v for k, v in {**COLUMNS, **changed}.items() if v is not None}
    with pytest.raises(UserError, match=f"^{re.escape('mine: ' + message)}$"):
        SequenceTrace.of(columns, "mine")
