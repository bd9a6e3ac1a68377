"""The wall clock of decoding with early exits, for every task whose model writes."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ee_jax.config import Experiment
from ee_jax.display import Display
from ee_jax.evaluation.decoding import Run, early_exit_speedups
from ee_jax.inference.methods import StaticDecoding
from ee_jax.results import Point
from ee_jax.tasks.token_exits import keys_of, method_of


def timed(
    experiment: Experiment,
    static: StaticDecoding,
    points: Sequence[Point],
    batches_of: Callable[[int], Sequence[Any]],
    run: Run,
    display: Display,
    title: str,
) -> list[Point]:
    """The points with their measured speed-ups, at each batch size of the experiment.

    Args:
      experiment: whose points they are.
      static: decoding by the full model.
      points: what was measured without a clock.
      batches_of: the batches of a size that are decoded.
      run: decodes one.
      display: where progress is shown.
      title: of the progress.

    Returns:
      The points; as they are where no clock is to run.
    """
    evaluation = experiment.evaluation
    if evaluation.decoding is None:
        return [*points]
    found: dict[int, dict[int, float | None]] = {n: {} for n in range(len(points))}
    todo = list(itertools.product(evaluation.batches, keys_of(experiment)))
    with display.bar(title, len(todo)) as tick:
        for batch, key in todo:
            own = [
                n for n, point in enumerate(points) if (point.confidence, point.policy) == key
            ]
            how = static, method_of(experiment, key), [points[n].threshold for n in own]
            speedups = early_exit_speedups(run, *how, batches_of(batch), evaluation.rounds)
            for n, value in zip(own, speedups, strict=True):
                found[n][batch] = value
            tick()
    return [replace(point, measured_speedup=found[n]) for n, point in enumerate(points)]
