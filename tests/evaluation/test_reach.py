"""What a threshold reaches: by hand, against every threshold, and on tokens it has not seen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ee_jax.evaluation.reach import exits_at, predicted_speedup, reach

DEPTH_E = np.array([1, 2, 4])


def test_by_hand():
    # Four tokens choose, four are measured; the first exit is right about the surest two.
    one_N = [0.9, 0.8, 0.3, 0.2, 0.95, 0.85, 0.7, 0.1]
    confidence_EN = np.array([one_N, [0.1] * 8, [1.0] * 8])
    agrees_NE = np.ones((8, 3), bool)
    agrees_NE[[2, 3, 5], 0] = False
    found = reach(confidence_EN, agrees_NE, DEPTH_E, 0.0)
    # Above .3 the first exit lets the first two go; so do .95, .85 and .7 of the others.
    assert found.threshold == 0.3
    assert found.exit_count_E == (3, 0, 1)
    assert found.mean_depth == (3 * 1 + 4) / 4
    assert found.disagreement == 1 / 4
    assert reach(confidence_EN, agrees_NE, DEPTH_E, 0.25).threshold == 0.2


@given(
    data=st.data(),
    exits=st.integers(2, 4),
    tokens=st.integers(2, 30),
    allowed=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_no_threshold_lets_the_first_half_stop_earlier(data, exits, tokens, allowed):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**31)))
    confidence_EN = rng.integers(0, 8, (exits, tokens)) / 8
    agrees_NE = rng.random((tokens, exits)) < 0.7
    agrees_NE[:, -1] = True
    depth_E = np.cumsum(rng.integers(1, 4, exits))
    found, half = reach(confidence_EN, agrees_NE, depth_E, allowed), tokens // 2
    every = {}
    for threshold in np.append(np.unique(confidence_EN[:-1, :half]), [0.0, 1.0]):
        depth, wrong = 0, 0
        for token in range(half):
            exit = next(
                (e for e in range(exits - 1) if confidence_EN[e, token] > threshold), exits - 1
            )
            depth += depth_E[exit]
            wrong += not agrees_NE[token, exit]
        if wrong <= allowed * half + 1e-9:
            every[threshold] = depth
    exit_N = exits_at(confidence_EN[:, :half], found.threshold)
    assert depth_E[exit_N].sum() == min(every.values())
    assert sum(found.exit_count_E) == tokens - half


def test_where_no_exit_may_be_trusted_all_blocks_run():
    agrees_NE = np.array([[False, False, True]] * 6)
    found = reach(np.full((3, 6), 0.9), agrees_NE, DEPTH_E, 0.05)
    assert (found.threshold, found.mean_depth, found.disagreement) == (1.0, 4.0, 0.0)


def test_speed_is_static_over_the_mean_cost():
    assert predicted_speedup((1, 1, 2), np.array([2.0, 4.0, 9.0]), 9.0) == 9 / 6


def test_a_confidence_for_each_exit():
    with pytest.raises(AssertionError):
        predicted_speedup((1, 1), np.ones(3), 1.0)
