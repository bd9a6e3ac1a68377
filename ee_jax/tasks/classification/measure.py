"""Measuring settings on the test split with the compiled programs."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jax.sharding import Mesh

from ee_jax.calibration.choice import exits_taken
from ee_jax.calibration.risks import inconsistency
from ee_jax.calibration.trace import Trace
from ee_jax.compilation import Planned, first_of
from ee_jax.config import Experiment
from ee_jax.data.batches import Split
from ee_jax.display import Display
from ee_jax.evaluation.metrics import METRICS, exit_counts, ideal_speedup, mean_depth
from ee_jax.evaluation.passes import Passes, Programs
from ee_jax.exits.stopping import Limits, make_limits
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.flops import flops_speedup
from ee_jax.models.transformer import Parameters
from ee_jax.results import Point, nan_to_none
from ee_jax.tasks.calibrator import Setting


@dataclass(frozen=True)
class Measurer:
    """The compiled programs of one model, which serve all its strategies and settings."""

    experiment: Experiment
    model: ExitModel  # shapes only
    test: Split
    metrics: tuple[str, ...]  # the main one first
    mesh: Mesh
    display: Display

    @cached_property
    def programs(self) -> dict[int, Programs]:
        """By batch size; a batch that the devices cannot share runs on one of them."""
        exits = self.experiment.exits
        how = exits.confidence, exits.stopping
        shared = Programs(self.model, self.mesh, *how)
        alone = Programs(self.model, first_of(self.mesh), *how)
        batches = self.experiment.evaluation.batches
        return {size: alone if size % self.mesh.size else shared for size in batches}

    @property
    def compile_seconds(self) -> dict[str, float]:
        """Seconds spent compiling so far."""
        made = {id(programs): programs for programs in self.programs.values()}.values()
        return {
            "static": sum(programs.static.seconds for programs in made),
            "exit": sum(programs.exit.seconds for programs in made),
        }

    def plan(self, values: Parameters) -> Iterator[Planned]:
        """The programs that `measure` would compile, for parameters of these shapes."""
        for size, programs in self.programs.items():
            yield from programs.plan(values, self.test.one_of_each(size))

    def measure(
        self,
        name: str,
        values: Parameters,
        temperature_E: np.ndarray,
        settings: list[Setting],
        trace: Trace,
    ) -> list[Point]:
        """A point for each setting: quality, depth, and speed-ups at each batch size."""
        limits = [self._limits(setting, temperature_E) for setting in settings]
        passes = {
            size: Passes(programs, values, limits, self.test.batches(size))
            for size, programs in self.programs.items()
        }
        self._compile(passes)
        points = self._qualities(name, passes[max(passes)], settings, trace)
        for size, each in passes.items():
            label = f"{name}: wall clock, batch {size}"
            with self.display.bar(label, len(each.timed)) as tick:
                speedups = each.speedups(self.experiment.evaluation.rounds, tick)
            points = [
                replace(point, measured_speedup=point.measured_speedup | {size: value})
                for point, value in zip(points, speedups, strict=True)
            ]
        return points

    def _limits(self, setting: Setting, temperature_E: np.ndarray) -> Limits:
        layers = self.model.design.layers
        return make_limits(np.asarray(setting.threshold), layers, temperature_E)

    def _compile(self, passes: dict[int, Passes]) -> None:
        before = sum(self.compile_seconds.values())
        if before:  # by an earlier strategy, for the same shapes
            return
        todo = [compile_one for each in passes.values() for compile_one in each.to_compile]
        with self.display.bar("compile the programs", len(todo)) as tick:
            for compile_one in todo:
                compile_one()
                tick()
        took = ", ".join(f"{side} {s:.1f} s" for side, s in self.compile_seconds.items())
        self.display.say(f"  compiling took: {took}")

    def _qualities(
        self, name: str, passes: Passes, settings: list[Setting], trace: Trace
    ) -> list[Point]:
        total = len(settings) * len(passes.batches)
        with self.display.bar(f"{name}: answers", total) as tick:
            found = [
                passes.answers(number, len(self.test.rows), tick)
                for number in range(len(settings))
            ]
        return [
            self._quality(setting, *answers, trace)
            for setting, answers in zip(settings, found, strict=True)
        ]

    def _quality(
        self, setting: Setting, exit_N: np.ndarray, prediction_N: np.ndarray, trace: Trace
    ) -> Point:
        exits, design = self.experiment.exits, self.model.design
        counts_E = exit_counts(exit_N, len(design.layers))
        threshold_K = np.array([setting.threshold])
        expected_N = exits_taken(trace, threshold_K, exits.stopping)[0]
        time_N = [len(row) for row in self.test.rows]
        flops = flops_speedup(self.model.backbone.config, design, exit_N.tolist(), time_N)
        threshold_E = np.atleast_1d(setting.threshold).tolist()
        metrics = {
            m: nan_to_none(METRICS[m](prediction_N, self.test.label_N)) for m in self.metrics
        }
        return Point(
            threshold=min(threshold_E),
            threshold_E=tuple(threshold_E) if len(threshold_E) > 1 else None,
            confidence=exits.confidence,
            calibrated_for=setting.calibrated_for,
            quality=metrics[self.metrics[0]],
            metrics=metrics,
            inconsistency=_unlike(prediction_N, trace),
            mean_depth=mean_depth(counts_E, design.layers),
            ideal_speedup=ideal_speedup(counts_E, design.layers),
            flops_speedup=flops,
            exit_counts=tuple(counts_E.tolist()),
            unlike_trace=int(np.sum(exit_N != expected_N)),
        )


def _unlike(prediction_N: np.ndarray, trace: Trace) -> float:
    """The mean inconsistency of answers with the full model's."""
    assert trace.prediction_NE is not None  # `trace_of` writes them
    both_N2 = np.stack([prediction_N, trace.prediction_NE[:, -1]], axis=1)
    return float(inconsistency(both_N2, trace.label_range)[:, 0].mean())
