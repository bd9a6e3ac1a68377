"""Models without exits on a split: what a program of fewer blocks answers, and its time."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Real

from ee_jax.compilation import Planned, replicate, replicated, split, split_batch
from ee_jax.data.batches import Batch
from ee_jax.evaluation.passes import Programs
from ee_jax.evaluation.timing import interleave_over, shapes, speedup
from ee_jax.exits.output import prediction
from ee_jax.models.transformer import Parameters

Tick = Callable[[], None]


@dataclass(frozen=True)
class StaticSide:
    """A static program, and the parameters that it runs with."""

    programs: Programs
    values: Parameters

    @cached_property
    def _values(self) -> Parameters:
        return replicate(self.values, self.programs.mesh)

    def place(self, batch: Batch) -> Any:
        """The batch's tokens where the program wants them."""
        return split_batch(batch.tokens, self.programs.mesh)

    def compiled(self, placed: Sequence[Any]) -> Callable[[Any], Any]:
        """The program of these batches' shapes, found before any clock runs."""
        of_shape = {shapes(b): self.programs.static.at(self._values, b) for b in placed}
        return lambda batch: of_shape[shapes(batch)](self._values, batch)

    def plan(self, batches: Sequence[Batch]) -> Iterator[Planned]:
        """The program for each shape of batch."""
        values, mesh = replicated(self.values, self.programs.mesh), self.programs.mesh
        for batch in batches:
            rows, length = batch.tokens.ids_BT.shape
            arguments = values, split(batch.tokens, mesh)
            name = f"static {rows} x {length}"
            yield Planned(name, self.programs.static, arguments, "evaluation.batches", rows)


def static_answers(
    side: StaticSide, batches: Sequence[Batch], examples: int, tick: Tick
) -> Real[np.ndarray, " N"]:
    """The program's prediction for every example.

    Args:
      side: the program.
      batches: hold each example once.
      examples: how many there are, N.
      tick: is called after each batch.
    """
    said_N, kind = np.zeros(examples), None
    for batch in batches:
        placed = side.place(batch)
        said_B = np.asarray(prediction(side.compiled([placed])(placed)))
        said_N[batch.index_B[batch.valid_B]], kind = said_B[batch.valid_B], said_B.dtype
        tick()
    return said_N.astype(kind)  # float64 holds classes and float32 exactly


def static_speedup(
    full: StaticSide, own: StaticSide, batches: Sequence[Batch], rounds: int, tick: Tick
) -> float:
    """Measured: seconds of the full model's static program / of this one's, batch by batch.

    Args:
      full: the program of all blocks.
      own: that of fewer.
      batches: of one size; those that are full are timed, the others only where none is.
      rounds: interleaved passes.
      tick: is called after each batch.
    """
    valid = [batch for batch in batches if batch.valid_B.all()]
    placed = [full.place(batch) for batch in valid or batches]
    sides = {"full": full.compiled(placed), "own": own.compiled(placed)}
    seconds = interleave_over(sides, placed, rounds, tick)
    return speedup(seconds["full"], seconds["own"])
