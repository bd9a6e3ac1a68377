"""A run's models without exits: its first blocks with one head, and how they are measured."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ee_jax.calibration.trace import Trace
from ee_jax.compilation import Planned
from ee_jax.config import Calibration, Exits, Experiment
from ee_jax.data.batches import Batch
from ee_jax.evaluation.metrics import METRICS
from ee_jax.evaluation.static_passes import StaticSide, static_answers, static_speedup
from ee_jax.models.flops import truncated_speedup
from ee_jax.models.transformer import Parameters
from ee_jax.results import Point, nan_to_none
from ee_jax.tasks.calibrator import Setting
from ee_jax.tasks.classification.measure import Measurer


def static_experiment(experiment: Experiment, blocks: int, regression: bool) -> Experiment:
    """The experiment of the first blocks alone: one answer, no threshold, nothing calibrated.

    Args:
      experiment: with exits.
      blocks: that are left.
      regression: whether answers are numbers, of which only some confidences can be asked.
    """
    exits = Exits(
        layers=(blocks,),
        head=experiment.exits.head,
        pooling=experiment.exits.pooling,
        confidence="patience" if regression else "max_prob",
    )
    return replace(
        experiment,
        exits=exits,
        calibration=Calibration(tolerances=(), temperature=False),
        evaluation=replace(experiment.evaluation, thresholds=(1.0,), confidences=()),
    )


@dataclass(frozen=True)
class StaticMeasurer(Measurer):
    """Measures a model without exits against the full one's static program."""

    full: Measurer  # of the run's model with exits, of all blocks
    full_values: Parameters  # any of its shapes: the time depends on no number

    @property
    def _blocks(self) -> int:
        return self.model.backbone.config.blocks

    @cached_property
    def _is_full(self) -> bool:
        """All blocks: what it would be timed against is its own program."""
        return self._blocks == self.full.model.backbone.config.blocks

    def plan(self, values: Parameters) -> Iterator[Planned]:
        """The static program of each batch size that `measure` needs."""
        for size in self._sizes:
            batches = self.test.one_of_each(size)
            yield from self._side(values, size).plan(batches)

    @property
    def _sizes(self) -> list[int]:
        sizes = sorted(self.programs)
        return sizes[-1:] if self._is_full else sizes

    def measure(
        self,
        name: str,
        values: Parameters,
        temperature_E: np.ndarray,
        settings: list[Setting],
        trace: Trace,
    ) -> list[Point]:
        """The one point that there is: quality, depth, and speed-ups at each batch size."""
        answer_N = self._answers(name, values)
        speedups: dict[int, float | None] = {
            size: self._speedup(name, values, size) for size in self.programs
        }
        found = {m: nan_to_none(METRICS[m](answer_N, self.test.label_N)) for m in self.metrics}
        assert trace.prediction_NE is not None  # `trace_of` writes them
        whole, blocks = self.full.model.backbone.config, self._blocks
        time_N = [len(row) for row in self.test.rows]
        point = Point(
            threshold=1.0,
            confidence=self.experiment.exits.confidence,
            quality=found[self.metrics[0]],
            metrics=found,
            inconsistency=0.0,
            mean_depth=float(blocks),
            ideal_speedup=whole.blocks / blocks,
            flops_speedup=truncated_speedup(whole, blocks, self.model.design, time_N),
            measured_speedup=speedups,
            exit_counts=(len(answer_N),),
            unlike_trace=int(
                np.sum(~np.isclose(answer_N, trace.prediction_NE[:, -1], 0, 1e-3))
            ),
        )
        return [point]

    def _side(self, values: Parameters, size: int) -> StaticSide:
        return StaticSide(self.programs[size], values)

    def _answers(self, name: str, values: Parameters) -> np.ndarray:
        size = max(self.programs)
        batches = self.test.batches(size)
        with self.display.bar(f"{name}: answers", len(batches)) as tick:
            side = self._side(values, size)
            return static_answers(side, batches, len(self.test.rows), tick)

    def _speedup(self, name: str, values: Parameters, size: int) -> float:
        """1 of all blocks: the program is the one that every time is measured against."""
        if self._is_full:
            return 1.0
        full = StaticSide(self.full.programs[size], self.full_values)
        batches: list[Batch] = self.test.batches(size)
        rounds = self.experiment.evaluation.rounds
        with self.display.bar(f"{name}: wall clock, batch {size}", len(batches)) as tick:
            return static_speedup(full, self._side(values, size), batches, rounds, tick)
