"""The order of interleaved calls, and what is made of their seconds."""

import time
from collections import Counter

import numpy as np
import pytest

from ee_jax.evaluation import timing
from ee_jax.evaluation.timing import (
    interleave,
    interleave_over,
    milliseconds,
    seconds_of,
    shapes,
    speedup,
)


class Clock:
    """A clock that only work moves, and the calls in their order."""

    def __init__(self):
        self.now = 0.0
        self.calls = []

    def side(self, name, seconds):
        """Takes `seconds`, times the size of a batch where it is given one."""

        def call(batch=None):
            size = 1 if batch is None else batch.size
            self.calls.append((name, size))
            self.now += seconds * size

        return call


@pytest.fixture
def clock(monkeypatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(timing.time, "perf_counter", lambda: clock.now)
    return clock


def test_every_side_once_a_round_and_another_first_each_round(clock):
    interleave({name: clock.side(name, 1.0) for name in "abc"}, rounds=3, warmup=1)
    assert "".join(name for name, _ in clock.calls) == "abc" + "bca" + "cab" + "abc"


def test_the_warm_up_is_left_out(clock):
    """Each side's first two calls take ten times as long."""

    def side(name, seconds):
        def call():
            clock.calls.append(name)
            clock.now += seconds * (10 if clock.calls.count(name) <= 2 else 1)

        return call

    seconds = interleave({"a": side("a", 1.0), "b": side("b", 3.0)}, rounds=4, warmup=2)
    assert {name: list(taken) for name, taken in seconds.items()} == {
        "a": [1.0] * 4,
        "b": [3.0] * 4,
    }


def test_ticks_count_all_rounds(clock):
    ticks = []
    interleave({"a": clock.side("a", 1.0)}, 3, warmup=2, tick=lambda: ticks.append(clock.now))
    assert ticks == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_pass_is_the_sum_over_its_batches(clock):
    ticks = []
    batches = [np.ones(2), np.ones(3), np.ones(3)]
    sides = {"a": clock.side("a", 1.0), "b": clock.side("b", 2.0)}
    seconds = interleave_over(sides, batches, rounds=2, tick=lambda: ticks.append(1))
    assert {name: list(taken) for name, taken in seconds.items()} == {
        "a": [8.0, 8.0],
        "b": [16.0, 16.0],
    }
    assert len(ticks) == 3
    # Before: each side on each of the two shapes, warm-up and one round. Then two rounds.
    assert Counter(clock.calls) == {("a", 2): 4, ("b", 2): 4, ("a", 3): 6, ("b", 3): 6}
    assert clock.calls[8:12] == [("a", 2), ("b", 2), ("b", 2), ("a", 2)]


def test_seconds_end_when_the_result_is_there():
    class Late:
        def block_until_ready(self):
            time.sleep(0.02)
            return self

    assert seconds_of(Late) >= 0.02


def test_speedup_and_milliseconds_are_medians():
    slow_R, fast_R = np.array([2.0, 9.0, 8.0]), np.array([1.0, 3.0, 2.0])
    assert speedup(slow_R, fast_R) == 3  # of 2, 3 and 4: not the ratio of the medians
    assert milliseconds(slow_R) == 8000


def test_shapes_tell_programs_apart():
    batch = (np.zeros((2, 3)), np.zeros(2))
    assert shapes(batch) == ((2, 3), (2,))
    assert shapes((np.zeros((2, 4)), np.zeros(2))) != shapes(batch)
