"""Tokens of all rows, row by row again, and traces of rows against a count by hand."""

import numpy as np

from ee_jax.evaluation.perplexity import Predicted, by_row, trace_of_rows


def test_rows_of_different_lengths():
    exit_BT = by_row(np.array([2, 0, 1, 1, 2]), np.array([3, 0, 2]))
    assert exit_BT.tolist() == [[2, 0, 1], [-1, -1, -1], [1, 2, -1]]


def test_a_rows_loss_is_the_share_of_its_tokens_unlike_the_full_model():
    """Three thresholds, two rows of four tokens; exits after blocks 2 and 6."""
    said = [[7, 7, 1, 2, 3, 3, 3, 3], [7, 9, 1, 2, 3, 3, 3, 3], [8, 9, 1, 9, 3, 4, 3, 3]]
    exits = [[1] * 8, [1, 0, 1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 1, 0, 0, 1]]
    found_K = [
        Predicted(np.zeros(8), np.array(said_N), np.array(exit_N))
        for said_N, exit_N in zip(said, exits, strict=True)
    ]
    threshold_K = np.array([1.0, 0.9, 0.5])
    trace = trace_of_rows(found_K, threshold_K, (2, 6), 2, policy="copy")
    assert trace.loss_NK.tolist() == [[0, 0.25, 0.75], [0, 0, 0.25]]
    assert trace.depth_NK.tolist() == [[6, 5, 2], [6, 6, 4]]
    assert trace.header == {"policy": "copy"}
