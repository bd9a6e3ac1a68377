"""Tokens of all rows, row by row again."""

import numpy as np

from ee_jax.evaluation.language import by_row


def test_rows_of_different_lengths():
    exit_BT = by_row(np.array([2, 0, 1, 1, 2]), np.array([3, 0, 2]))
    assert exit_BT.tolist() == [[2, 0, 1], [-1, -1, -1], [1, 2, -1]]
