"""A run that is stopped and started again ends with the bits of one that was not."""

from contextlib import contextmanager
from dataclasses import replace

import pytest

from ee_jax.config import Evaluation, Exits, Fit, Frozen
from ee_jax.display import Display
from ee_jax.runs.run import run

FIT = Fit(epochs=1.0, batch=16, learning_rate=1e-3, head_learning_rate=1e-2)


class Stopping(Display):
    """Stops the run at a step of the bar with this label."""

    def __init__(self, label: str, step: int):
        super().__init__(quiet=True)
        self._label, self._step = label, step

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0):
        count = done

        def tick(note: str = "") -> None:
            nonlocal count
            count += 1
            if (label, count) == (self._label, self._step):
                raise KeyboardInterrupt

        yield tick


def test_stopped_in_and_between_stages(experiment, tmp_path):
    two_stages = replace(
        experiment,
        strategies=(Frozen("deebert", first_stage=FIT, fit=FIT),),
        exits=Exits(confidence="learned"),
        evaluation=Evaluation(thresholds=(1.0,), batches=(2,), rounds=1),
        checkpoint_seconds=0.0,
    )
    run(two_stages, tmp_path / "whole")
    stops = [
        ("deebert: first_stage", 3),
        ("deebert: first_stage", 6),  # the last: the stage is over, and the next not begun
        ("deebert: features", 1),
        ("deebert: heads", 4),
        ("deebert: trace of test", 1),
    ]
    for label, step in stops:
        with pytest.raises(KeyboardInterrupt):
            run(two_stages, tmp_path / "stopped", Stopping(label, step))
    run(two_stages, tmp_path / "stopped")
    for name in ("metrics.jsonl", "model/model.safetensors", "calibration.json"):
        whole, stopped = (tmp_path / f / "deebert" / name for f in ("whole", "stopped"))
        assert whole.read_bytes() == stopped.read_bytes()
