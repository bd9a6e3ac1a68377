"""Rows of decoding: what exits ask on the way is paid for, and counted."""

import numpy as np
import pytest

from ee_jax.benchmarks.decode import bench_depths, bench_speculation, flops_ratio
from ee_jax.benchmarks.decode_setup import Load, Setup
from ee_jax.errors import UserError
from ee_jax.inference.generator import Decoder
from ee_jax.inference.methods import EarlyExitDecoding
from ee_jax.inference.rules import forced_at

LOAD = Load(prompt=4, tokens=6)


@pytest.mark.parametrize("confidence", [None, "max_prob", "learned", "saturation"])
def test_a_row_for_each_depth_names_the_confidence(confidence):
    setup = Setup("2x48", confidence=confidence)
    rows = list(bench_depths(setup, [2], [1, 2], LOAD, repeats=1))
    assert [row["depth"] for row in rows] == [1, 2]
    assert {row["confidence"] for row in rows} == {confidence or "none"}
    assert all(row["ratio"] == pytest.approx(row["exit_ms"] / row["static_ms"]) for row in rows)


def test_a_decoder_of_another_text():
    rows = list(bench_depths(Setup("t5-2x48"), [2], [1, 2], LOAD, repeats=1))
    assert [row["depth"] for row in rows] == [1, 2]
    assert {row["flops_ratio"] for row in rows} == {1.0}
    (drafted,) = bench_speculation(Setup("t5-2x48"), [2], 1, 2, LOAD, repeats=1)
    assert drafted["same_tokens"]


def test_flops_of_what_exits_ask():
    """By hand, for 2x48: 64 tokens times 48 times 2 are 6,144 FLOPs of logits, a score 96."""
    none, logits, score = (
        flops_ratio(Setup("2x48", confidence=confidence), 1, Load(prompt=1, tokens=1))
        for confidence in (None, "max_prob", "learned")
    )
    assert none == 1.0
    # A block: queries and output 2 x 2 x 48 x 48, keys and values 2 x 2 x 48 x 16, one token
    # seen by 48 numbers 4 x 48, the MLP 3 x 2 x 48 x 64.
    block = 4 * 48 * 48 + 4 * 48 * 16 + 4 * 48 + 6 * 48 * 64
    static = 2 * block + 6144
    assert logits == pytest.approx((static + 6144) / static)
    assert score == pytest.approx((static + 2 * 96) / static)


def test_depths_are_forced_whatever_the_confidence_says():
    setup = Setup("2x48", confidence="max_prob")
    decoder = Decoder(setup.make())
    depth_BN = np.array([[1, 2, 1, 2], [2, 2, 1, 1]], np.int32)

    def asking(depth_BN, layers):
        return forced_at(depth_BN, layers, "max_prob")

    out = decoder.run(EarlyExitDecoding(asking), depth_BN, [[1, 2], [3]], tokens=4)
    np.testing.assert_array_equal(out.exit_BN + 1, depth_BN)
    assert np.all(np.asarray(out.confidence_BN) > 0)


def test_a_confidence_that_is_not_there():
    with pytest.raises(UserError, match="no confidence 'sure'"):
        Setup("2x48", confidence="sure")
