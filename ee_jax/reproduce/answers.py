"""All answers of a task's runs to the same test examples, judged together.

A seed's strategies were measured at settings: thresholds that the config asks for, those that
calibrations chose, and from the trace of a confidence also patience, which counts equal answers
in a row whatever the confidence. Each has its answers, its depth and its times. What is
compared are weighted sums of their qualities, as means over the seeds; one bootstrap draws the
examples, the same for all strategies, settings and seeds, so that what they share cancels.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Real

from ee_jax.calibration.choice import at_exits, exits_taken
from ee_jax.calibration.trace import Trace
from ee_jax.evaluation.contrasts import DRAWS, Contrast, Drawn, draw
from ee_jax.evaluation.equal_time import times
from ee_jax.evaluation.metrics import METRICS
from ee_jax.exits.confidence import traits
from ee_jax.exits.stopping import Stopping
from ee_jax.report.select import chosen, labels
from ee_jax.reproduce.swept import Finished
from ee_jax.results import Point

Key = tuple[str, float | str]  # a strategy, and its threshold, calibration or patience
Weights = Mapping[Key, float]
FULL = 1.0  # the threshold at which nothing stops early


class MeasuredSetting(NamedTuple):
    """What a setting answers, and what that takes."""

    answer_N: Real[np.ndarray, " N"]
    depth: float  # blocks, in the mean
    time: Mapping[int, float]  # by batch size, over the full static model's; none: not timed
    flops: float | None  # over the full static model's


class SeedRun:
    """One run's settings by strategy and name."""

    def __init__(self, run: Finished):
        self.run = run
        self.blocks = run.results.blocks
        self.settings: dict[Key, MeasuredSetting] = {}
        for name in run.results.strategies:
            self._measured(name)
            self._patient(name)

    def of(self, strategy: str) -> dict[Key, MeasuredSetting]:
        """The settings of a strategy that the config asks for, the full model among them."""
        asked = self.run.results.config["evaluation"]["thresholds"]
        names = {(strategy, threshold) for threshold in (*asked, FULL)}
        return {key: setting for key, setting in self.settings.items() if key in names}

    def patience(self, strategy: str) -> dict[Key, MeasuredSetting]:
        """The settings of patience 1, 2, ..., and the full model."""
        of = {key: setting for key, setting in self.settings.items() if key[0] == strategy}
        return {k: p for k, p in of.items() if k[1] == FULL or str(k[1]).startswith("patience")}

    def statics(self) -> dict[Key, MeasuredSetting]:
        """The models without exits, by their names."""
        found = self.run.results.strategies
        names = [name for name, s in found.items() if s.static_blocks is not None]
        return {(name, FULL): self.settings[name, FULL] for name in names}

    def single(self) -> Key | None:
        """The full model without exits; None: there is none."""
        found = self.run.results.strategies.items()
        return next(((n, FULL) for n, s in found if s.static_blocks == self.blocks), None)

    def _measured(self, name: str) -> None:
        """What was run: thresholds of the config by their numbers, others by their labels."""
        found, trace = self.run.results.strategies[name], self.run.traces[name]
        for point in found.points:
            if point.threshold_E is None:
                self.settings[name, point.threshold] = self._setting(trace, point)
        for label in labels(self.run.results):
            if (point := chosen(found, label)) is not None:
                self.settings[name, label] = self._setting(trace, point)

    def _setting(self, trace: Trace, point: Point) -> MeasuredSetting:
        answer_N, depth = answers(trace, point.threshold_E or point.threshold, self._stopping)
        return MeasuredSetting(answer_N, depth, times(point), 1 / point.flops_speedup)

    @property
    def _stopping(self) -> Stopping:
        return self.run.stopping

    @property
    def _compares(self) -> bool:
        """Does what was run compare exits already?"""
        confidence = self.run.results.config["exits"]["confidence"]
        return self._stopping.reads_predictions or traits(confidence).compares_exits

    def _patient(self, name: str) -> None:
        """Patience on a model whose trace is of a confidence of single exits, of classes."""
        trace = self.run.traces[name]
        exits = self.run.results.strategies[name].exits
        if trace.label_range is not None or len(exits) < 3 or self._compares:
            return
        for count in range(1, len(exits) - 1):
            # The threshold 0 has every exit sure enough, so patience alone decides.
            patient = self._stopping._replace(patience=count)
            answer_N, depth = answers(trace, 0.0, patient)
            self.settings[name, f"patience {count}"] = MeasuredSetting(
                answer_N, depth, {}, None
            )


def answers(
    trace: Trace, threshold: float | tuple[float, ...], stopping: Stopping
) -> tuple[Real[np.ndarray, " N"], float]:
    """The answers at a threshold, and the mean depth."""
    assert trace.prediction_NE is not None
    exit_KN = exits_taken(trace, np.array([threshold]), stopping)
    return at_exits(trace.prediction_NE, exit_KN)[0], float(trace.depth_E[exit_KN].mean())


class TaskRuns:
    """The runs of one task, and weighted sums of their settings' qualities."""

    def __init__(self, runs: Sequence[Finished], draws: int = DRAWS):
        self.runs, self.seeds = tuple(runs), tuple(map(SeedRun, runs))
        self._draws = draws

    @property
    def metric(self) -> str:
        """The task's quality."""
        return self.runs[0].results.quality

    def shared(self, strategy: str) -> list[Key]:
        """The settings of a strategy that every seed has, in the order of the first seed."""
        first, *others = (set(seed.settings) for seed in self.seeds)
        known = first.intersection(*others)
        return [key for key in self.seeds[0].settings if key in known and key[0] == strategy]

    def mean(self, key: Key, of: Callable[[MeasuredSetting], float | None]) -> float | None:
        """A number of a setting over the seeds; None where one is not known."""
        each = [of(seed.settings[key]) for seed in self.seeds]
        known = [value for value in each if value is not None]
        return float(np.mean(known)) if len(known) == len(each) else None

    def contrast(
        self, weights_of: Callable[[SeedRun], Weights | None], margin: float = 0.0
    ) -> Contrast | None:
        """The mean over the seeds of a weighted sum of qualities.

        Args:
          weights_of: the weights for a seed; None where it has no such sum.
          margin: that the p-value is of.

        Returns:
          None where a seed has no such sum, or a quality in it is not defined.
        """
        weight_A = np.zeros(len(self._columns))
        for number, seed in enumerate(self.seeds):
            if (weights := weights_of(seed)) is None:
                return None
            for key, weight in weights.items():
                weight_A[self._columns[number, key]] += weight / len(self.seeds)
        found = self._drawn.contrast(weight_A, margin)
        return found if np.isfinite(found).all() else None

    @cached_property
    def _columns(self) -> dict[tuple[int, Key], int]:
        """The number of each seed's and setting's answers."""
        pairs = [(n, key) for n, seed in enumerate(self.seeds) for key in seed.settings]
        return {pair: number for number, pair in enumerate(pairs)}

    @cached_property
    def _drawn(self) -> Drawn:
        every = [self.seeds[n].settings[key].answer_N for n, key in self._columns]
        label_N = next(iter(self.runs[0].traces.values())).label_N
        assert label_N is not None  # a run writes them
        return draw(METRICS[self.metric], every, label_N, self._draws)
