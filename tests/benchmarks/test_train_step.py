"""The benchmark's steps are those of training, and learn."""

import jax
import numpy as np
import pytest

from ee_jax.benchmarks.train_step import _sides, bench_train
from ee_jax.models.families.bert import bert
from ee_jax.models.presets import PRESETS

STRATEGIES = ["last exit", "joint", "frozen", "frozen, kept"]


@pytest.fixture(scope="module")
def sides():
    """The benchmark's sides, compiled once for the tests of this file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "tiny", bert(20, 8, 2, 2, 16, 8))
        return _sides("tiny", 4, 8)


def test_every_call_is_one_more_step_of_a_loss_that_falls(sides):
    """Dropout makes single losses noisy: means of five."""
    for strategy, side in sides.items():
        losses = []
        for number in range(1, 60):
            step, metrics = jax.device_get(side())
            assert step == number
            losses.append(metrics.loss)
        assert np.mean(losses[-5:]) < np.mean(losses[:5]), strategy
        assert len(metrics.loss_E) == (1 if strategy == "last exit" else 2)


def test_rows_tell_steps_and_compile_time_apart(sides, monkeypatch):
    monkeypatch.setattr("ee_jax.benchmarks.train_step._sides", lambda *_: sides)
    rows = list(bench_train("tiny", 4, 8, repeats=1))
    assert [row["strategy"] for row in rows] == STRATEGIES
    for row in rows:
        assert row["ratio"] == pytest.approx(row["step_ms"] / rows[0]["step_ms"])
        assert row["compile_s"] > 0
        assert np.isfinite(list(row.values())[4:]).all()
