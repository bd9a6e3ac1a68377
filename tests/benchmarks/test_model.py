"""The benchmark's programs do the work that its rows say, on a preset of two blocks."""

import numpy as np
import pytest

from ee_jax.benchmarks.exit_loop import MIXES, Bench, bench_depths, bench_mixed
from ee_jax.errors import UserError
from ee_jax.models.families.bert import bert
from ee_jax.models.presets import PRESETS


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", bert(20, 8, 2, 2, 16, 8))


@pytest.fixture
def bench() -> Bench:
    return Bench.of("tiny")


def test_an_exit_forced_to_a_depth_answers_like_the_static_program_of_that_depth(bench):
    inputs = bench.values, bench.batch(4, 8)
    depth_B = np.array([2, 1, 2, 1], np.int32)
    static = {depth: np.asarray(bench.static(depth)(*inputs)) for depth in (1, 2)}
    for compact in (False, True):
        out = bench.exit(compact)(*inputs, depth_B)
        np.testing.assert_array_equal(out.exit_B, depth_B - 1)
        expected_BC = [static[depth][row] for row, depth in enumerate(depth_B)]
        # fp32, and a batch of another size may add in another order.
        np.testing.assert_allclose(out.logits_BC, expected_BC, rtol=1e-5, atol=1e-6)


def test_tokens_are_known_to_the_model_and_the_same_every_time(bench):
    tokens_BT, mask_BT = bench.batch(4, 8)[:2]
    assert tokens_BT.shape == mask_BT.shape == (4, 8)
    assert np.all(mask_BT)
    assert 0 <= tokens_BT.min() <= tokens_BT.max() < 20
    np.testing.assert_array_equal(tokens_BT, Bench.of("tiny").batch(4, 8)[0])


def test_rows_of_depths_come_in_order_and_tell_milliseconds():
    rows = list(bench_depths("tiny", [4], [1, 2], (), repeats=1))
    assert [(row["batch"], row["depth"]) for row in rows] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    for row in rows:
        assert row["ratio"] == pytest.approx(row["exit_ms"] / row["static_ms"])


def test_rows_of_mixed_depths(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", bert(20, 8, 3, 2, 16, 8))  # a third of 2 is no depth
    rows = list(bench_mixed("tiny", [4], [2], repeats=1))
    assert [row["depth"] for row in rows] == list(MIXES)
    for row in rows:
        assert row["ideal_speedup"] == pytest.approx(3 / row["mean_depth"])
        assert row["measured_speedup"] == pytest.approx(row["static_ms"] / row["exit_ms"])
        share = row["measured_speedup"] / row["ideal_speedup"]
        assert row["share_of_ideal"] == pytest.approx(share)


@pytest.mark.parametrize("mix", MIXES)
def test_mixed_depths_are_depths_of_the_model(mix):
    depth_B = np.asarray(MIXES[mix](1000, 12))
    assert set(depth_B) == set(range(1, 13))
    # Each as likely: (1 + 12) / 2. Geometric of mean 12 / 3, cut at 12: about 3.9.
    assert depth_B.mean() == pytest.approx(6.5 if "uniform" in mix else 3.9, abs=0.3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch", [4], [1], [1]), "no model preset 'nosuch': it is one of bert-base, "),
        (("tiny", [4], [1], [1, 4]), "depth 4: tiny has 2 blocks"),
        (("tiny", [9], [1], [1]), "length 9: tiny reads at most 8 tokens"),
    ],
)
def test_what_the_model_cannot_do_is_one_line(arguments, message):
    with pytest.raises(UserError) as error:
        list(bench_depths(*arguments, repeats=1))
    assert str(error.value).startswith(message)
