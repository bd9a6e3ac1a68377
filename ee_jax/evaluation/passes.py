"""The two programs that are compared, static and with exits, and passes over a split."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from jax.sharding import Mesh
from jaxtyping import Int, Real

from ee_jax.compilation import (
    Planned,
    Program,
    over_data,
    replicate,
    replicated,
    split,
    split_batch,
)
from ee_jax.data.batches import Batch
from ee_jax.evaluation.timing import interleave_over, shapes, speedup
from ee_jax.exits.loop import Stopped
from ee_jax.exits.output import prediction
from ee_jax.exits.rules import threshold_rule
from ee_jax.exits.stopping import PLAIN, Limits, Stopping, make_limits
from ee_jax.inference.early_exit import early_exit
from ee_jax.models.exit_model import ExitModel, static_logits
from ee_jax.models.transformer import Parameters, bind
from ee_jax.tokens import Tokens


class Programs:
    """The static and the early-exit program of one model on one mesh.

    Parameters and limits are arguments: one compilation for each batch's shape serves all
    strategies and thresholds.
    """

    def __init__(
        self, model: ExitModel, mesh: Mesh, confidence: str, stopping: Stopping = PLAIN
    ):
        self.mesh = mesh
        self._model, self._confidence, self._stopping = model, confidence, stopping

    @cached_property
    def static(self) -> Program:
        """(values, tokens) -> logits_BC, after all blocks."""

        def run(values: Parameters, tokens: Tokens) -> Any:
            return static_logits(bind(self._model, values), tokens)

        return Program(over_data(run, self.mesh))

    @cached_property
    def exit(self) -> Program:
        """((values, limits), tokens) -> Stopped."""

        def run(shared: tuple[Parameters, Limits], tokens: Tokens) -> Stopped:
            values, limits = shared
            rule = threshold_rule(self._confidence, limits, self._stopping)
            platform = self.mesh.devices.flat[0].platform
            return early_exit(bind(self._model, values), tokens, rule, platform=platform)

        return Program(over_data(run, self.mesh))

    def plan(self, values: Parameters, batches: Sequence[Batch]) -> Iterator[Planned]:
        """Both programs for each shape of batch, from the shapes of the parameters."""
        limits = make_limits(0.0, self._model.design.layers)
        shared = replicated((values, limits), self.mesh)
        sides = ("static", self.static, shared[0]), ("exits", self.exit, shared)
        for side, program, given in sides:
            for batch in batches:
                rows, length = batch.tokens.ids_BT.shape
                arguments = given, split(batch.tokens, self.mesh)
                name = f"{side} {rows} x {length}"
                yield Planned(name, program, arguments, "evaluation.batches", rows)


Tick = Callable[[], None]


@dataclass(frozen=True)
class Passes:
    """One model's parameters at several settings, on batches of one size."""

    programs: Programs
    values: Parameters
    settings: list[Limits]
    batches: list[Batch]

    @cached_property
    def _shared(self) -> list[tuple[Parameters, Limits]]:
        values = replicate(self.values, self.programs.mesh)
        return [(values, replicate(limits, self.programs.mesh)) for limits in self.settings]

    def _place(self, batch: Batch) -> tuple[Any, Any]:
        return split_batch(batch.tokens, self.programs.mesh)

    @cached_property
    def to_compile(self) -> list[Callable[[], Any]]:
        """What to call to have both programs compiled for every shape of batch."""
        firsts = {shapes(batch): self._place(batch) for batch in self.batches}.values()
        shared = self._shared[0]
        static = [partial(self.programs.static.at, shared[0], batch) for batch in firsts]
        return static + [partial(self.programs.exit.at, shared, batch) for batch in firsts]

    def answers(
        self, setting: int, examples: int, tick: Tick
    ) -> tuple[Int[np.ndarray, " N"], Real[np.ndarray, " N"]]:
        """The early-exit program's exit and prediction for every example, at one setting."""
        exit_N, said_N = np.zeros(examples, np.int32), np.zeros(examples)
        kind = None
        for batch in self.batches:
            out = self.programs.exit(self._shared[setting], self._place(batch))
            rows = batch.index_B[batch.valid_B]
            exit_N[rows] = np.asarray(out.exit_B)[batch.valid_B]
            said_B = np.asarray(prediction(out.logits_BC))
            said_N[rows], kind = said_B[batch.valid_B], said_B.dtype
            tick()
        return exit_N, said_N.astype(kind)  # float64 holds classes and float32 exactly

    @cached_property
    def timed(self) -> list[tuple[Any, Any]]:
        """The full batches; the others only where there are no full ones."""
        full = [batch for batch in self.batches if batch.valid_B.all()]
        return [self._place(batch) for batch in full or self.batches]

    def speedups(self, rounds: int, tick: Tick) -> list[float]:
        """Measured, at each setting: static seconds / early-exit seconds."""
        # Looked up before the clock runs: at batch 1 finding the program would count.
        static = {shapes(b): self.programs.static.at(self._shared[0][0], b) for b in self.timed}
        early = {shapes(b): self.programs.exit.at(self._shared[0], b) for b in self.timed}

        def run(compiled: dict[Any, Callable], shared: Any, batch: Any) -> Any:
            return compiled[shapes(batch)](shared, batch)

        sides = {"static": partial(run, static, self._shared[0][0])}
        names = [f"setting {number}" for number in range(len(self.settings))]
        sides |= {n: partial(run, early, s) for n, s in zip(names, self._shared, strict=True)}
        seconds = interleave_over(sides, self.timed, rounds, tick)
        return [speedup(seconds["static"], seconds[name]) for name in names]
