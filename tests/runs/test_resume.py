"""A run that is stopped and started again ends with the bits of one that was not."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from ee_jax.config import Evaluation, Exits, OptimizerConfig, TwoStage
from ee_jax.display import Display
from ee_jax.runs import train
from ee_jax.runs.run import run

FIT = OptimizerConfig(epochs=1.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)


class Clock:
    """Stands for `time`: nothing takes any but a tick of a bar, which takes a second."""

    now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now


class Stopping(Display):
    """Lets the clock run, and stops the run at a step of the bar with this label."""

    def __init__(self, clock: Clock, label: str = "", step: int = 0):
        super().__init__(quiet=True)
        self._clock, self._label, self._step = clock, label, step

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0):
        count = done

        def tick(note: str = "") -> None:
            nonlocal count
            count += 1
            self._clock.now += 1
            if (label, count) == (self._label, self._step):
                raise KeyboardInterrupt

        yield tick


def test_stopped_in_and_between_stages(experiment, tmp_path, monkeypatch):
    clock = Clock()
    monkeypatch.setattr(train, "time", clock)
    two_stages = replace(
        experiment,
        strategies=(TwoStage("deebert", first=FIT, fit=FIT),),
        exits=Exits(confidence="learned"),
        evaluation=Evaluation(thresholds=(1.0,), batches=(2,), rounds=1),
        checkpoint_seconds=0.0,
    )
    whole = run(two_stages, tmp_path / "whole", Stopping(clock))
    stops = [
        ("deebert: first", 3),
        ("deebert: first", 6),  # the last: the stage is over, and the next not begun
        ("deebert: features", 1),
        ("deebert: heads", 4),
        ("deebert: trace of test", 1),
    ]
    for label, step in stops:
        with pytest.raises(KeyboardInterrupt):
            run(two_stages, tmp_path / "stopped", Stopping(clock, label, step))
    stopped = run(two_stages, tmp_path / "stopped", Stopping(clock))
    for name in ("metrics.jsonl", "model/model.safetensors", "calibration.json"):
        left, right = (tmp_path / f / "deebert" / name for f in ("whole", "stopped"))
        assert left.read_bytes() == right.read_bytes()
    seconds = [results.strategies["deebert"].train_seconds for results in (whole, stopped)]
    features = seconds[0] - 12  # 6 steps in each stage
    # A checkpoint comes before the tick of its step, so each of three stops in a stage loses a
    # second; the features of the second stage are made twice.
    assert features > 0
    assert seconds[1] == 12 - 3 + 2 * features
