"""Measuring settings on the test split with the compiled programs."""

from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from jax.sharding import Mesh

from ee_jax.calibration.outcomes import exits_taken
from ee_jax.calibration.trace import Trace
from ee_jax.config import Experiment
from ee_jax.data.batches import Batch
from ee_jax.evaluation.programs import Programs
from ee_jax.evaluation.quality import accuracy, exit_counts, ideal_speedup, mean_depth
from ee_jax.evaluation.timing import interleave_over, shapes, speedup
from ee_jax.exits.cost import flops_speedup
from ee_jax.exits.rules import make_limits
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.parameters import Parameters
from ee_jax.display import Display
from ee_jax.runs.inputs import Split
from ee_jax.sharding import data_mesh, replicate, split_batch


@dataclass(frozen=True)
class Setting:
    """A threshold to measure, and the tolerance that it was chosen for, if any."""

    threshold: float
    calibrated_for: float | None = None


@dataclass(frozen=True)
class Measurer:
    """The compiled programs of one model, which serve all its strategies and settings."""

    experiment: Experiment
    model: ExitModel  # shapes only
    test: Split
    mesh: Mesh
    display: Display

    @cached_property
    def _programs(self) -> dict[int, Programs]:
        """By batch size; a batch that the devices cannot share runs on one of them."""
        confidence = self.experiment.exits.confidence
        shared = Programs(self.model, self.mesh, confidence)
        alone = Programs(self.model, data_mesh(1), confidence)
        batches = self.experiment.evaluation.batches
        return {size: alone if size % self.mesh.size else shared for size in batches}

    @property
    def compile_seconds(self) -> dict[str, float]:
        """Seconds spent compiling so far."""
        made = {id(programs): programs for programs in self._programs.values()}.values()
        return {
            "static": sum(programs.static.seconds for programs in made),
            "exit": sum(programs.exit.seconds for programs in made),
        }

    def measure(
        self,
        name: str,
        values: Parameters,
        temperature_E: np.ndarray,
        settings: list[Setting],
        trace: Trace,
    ) -> list[dict[str, Any]]:
        """A point for each setting: quality, depth, and speed-ups at each batch size."""
        size = max(self._programs)
        work = [Work(self, name, values, temperature_E, settings, b) for b in self._programs]
        for each in work:
            each.compile()
        points = next(w for w in work if w.size == size).quality(trace)
        for each in work:
            for point, value in zip(points, each.speedups(), strict=True):
                point[f"measured_speedup_b{each.size}"] = value
        return points


@dataclass(frozen=True)
class Work:
    """One strategy's settings at one batch size."""

    measurer: Measurer
    name: str
    values: Parameters
    temperature_E: np.ndarray
    settings: list[Setting]
    size: int

    @property
    def programs(self) -> Programs:
        """The programs for this batch size."""
        return self.measurer._programs[self.size]

    @cached_property
    def batches(self) -> list[Batch]:
        """The test split."""
        return self.measurer.test.batches(self.size)

    @cached_property
    def shared(self) -> list[Any]:
        """The parameters and the limits of each setting, on the devices."""
        exits, layers = self.measurer.experiment.exits, self.measurer.model.design.layers
        mesh = self.programs.mesh
        values = replicate(self.values, mesh)
        return [
            (values, replicate(make_limits(setting.threshold, layers, self.temperature_E,
                                           exits.min_depth, exits.patience), mesh))
            for setting in self.settings
        ]  # fmt: skip

    def place(self, batch: Batch) -> tuple[Any, Any]:
        """What the programs read of a batch, on the devices."""
        return split_batch((batch.tokens_BT, batch.mask_BT), self.programs.mesh)

    def compile(self) -> None:
        """Compiles both programs for every shape of batch."""
        firsts = {shapes(batch): self.place(batch) for batch in self.batches}
        label = f"compile: batch {self.size}"
        with self.measurer.display.bar(label, 2 * len(firsts)) as tick:
            for batch in firsts.values():
                self.programs.static.at(self.shared[0][0], batch)
                tick()
                self.programs.exit.at(self.shared[0], batch)
                tick()

    def quality(self, trace: Trace) -> list[dict[str, Any]]:
        """What the early-exit program answers at each setting, and how deep it goes."""
        total = len(self.settings) * len(self.batches)
        with self.measurer.display.bar(f"{self.name}: answers", total) as tick:
            return [
                self._quality(setting, shared, trace, tick)
                for setting, shared in zip(self.settings, self.shared, strict=True)
            ]

    def _quality(
        self, setting: Setting, shared: Any, trace: Trace, tick: Any
    ) -> dict[str, Any]:
        test, model = self.measurer.test, self.measurer.model
        exit_N, prediction_N = (np.zeros(len(test.rows), np.int32) for _ in range(2))
        for batch in self.batches:
            out = self.programs.exit(shared, self.place(batch))
            rows, real = batch.index_B[batch.valid_B], batch.valid_B
            exit_N[rows] = np.asarray(out.exit_B)[real]
            prediction_N[rows] = np.asarray(out.logits_BC).argmax(-1)[real]
            tick()
        layers = model.design.layers
        counts_E = exit_counts(exit_N, len(layers))
        exits = self.measurer.experiment.exits
        threshold_K = np.array([setting.threshold])
        expected_N = exits_taken(trace, threshold_K, exits.min_depth, exits.patience)[0]
        lengths = [min(len(row), test.lengths[-1]) for row in test.rows]
        return {
            "threshold": setting.threshold,
            "calibrated_for": setting.calibrated_for,
            "accuracy": accuracy(prediction_N, test.label_N),
            "mean_depth": mean_depth(counts_E, layers),
            "ideal_speedup": ideal_speedup(counts_E, layers),
            "flops_speedup": flops_speedup(
                model.backbone.config, model.design, exit_N, lengths
            ),
            "exit_counts": counts_E.tolist(),
            "unlike_trace": int(np.sum(exit_N != expected_N)),
        }

    def speedups(self) -> list[float]:
        """Measured: static seconds / early-exit seconds, at each setting."""
        rounds = self.measurer.experiment.evaluation.rounds
        full = [batch for batch in self.batches if batch.valid_B.all()] or self.batches
        placed = [self.place(batch) for batch in full]
        compiled = {shapes(b): (self.programs.static.at(self.shared[0][0], b),
                                self.programs.exit.at(self.shared[0], b)) for b in placed}  # fmt: skip

        def static(batch: Any) -> Any:
            return compiled[shapes(batch)][0](self.shared[0][0], batch)

        def early(shared: Any, batch: Any) -> Any:
            return compiled[shapes(batch)][1](shared, batch)

        numbered = {str(k): partial(early, shared) for k, shared in enumerate(self.shared)}
        label = f"{self.name}: wall clock, batch {self.size}"
        with self.measurer.display.bar(label, len(placed)) as tick:
            seconds = interleave_over({"static": static, **numbered}, placed, rounds, tick)
        return [speedup(seconds["static"], seconds[k]) for k in numbered]
