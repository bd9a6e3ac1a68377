"""Training a stage: a generator of where it stands, step after step.

It writes nothing and shows nothing; whoever runs it logs, draws progress and saves.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Num

from ee_jax.compilation import (
    Planned,
    Program,
    check_batch,
    replicate,
    replicated,
    split,
    split_batch,
)
from ee_jax.data.batches import Batch, one_of_each, training_batches
from ee_jax.data.text import Row
from ee_jax.errors import UserError
from ee_jax.losses.batch_losses import OfBatch
from ee_jax.models.transformer import Parameters
from ee_jax.training.optimizer import OptimizerConfig, make_optimizer
from ee_jax.training.stage import Stage
from ee_jax.training.train_step import (
    Metrics,
    TrainState,
    make_objective,
    make_step,
    partition,
    start_training,
)


@dataclass(frozen=True)
class Examples:
    """What a stage learns from: token rows, or what a frozen backbone made of them."""

    rows: Sequence[Row]
    label_N: Num[np.ndarray, " N"]  # classes, or in a regression numbers
    lengths: tuple[int, ...]  # static lengths (buckets)
    feature_END: Float[np.ndarray, "E N D"] | None = None


class StepResult(NamedTuple):
    """Where a stage stands after a step."""

    step: int
    state: TrainState
    metrics: Metrics  # of that step
    data: dict[str, Any]  # state of the batches' iterator


class StageFit:
    """One stage of one model, ready to run."""

    def __init__(
        self,
        stage: Stage,
        of_batch: OfBatch,
        examples: int,
        mesh: Mesh,
        dropout: float = 0.0,
        precision: str = "float32",
    ):
        check_batch(stage.fit.batch, mesh, "fit.batch")
        self.steps = steps_of(stage.fit, examples)
        self._stage, self._mesh = stage, mesh
        self._optimizer = make_optimizer(stage.fit, self.steps)
        objective = make_objective(of_batch, stage, self.steps, dropout, precision)
        self._program = Program(make_step(objective, self._optimizer), donate=(0,))

    @property
    def compile_seconds(self) -> float:
        """Seconds spent compiling so far."""
        return self._program.seconds

    def start(self, values: Parameters) -> tuple[TrainState, Parameters]:
        """The state before the first step, and the parameters that the stage keeps."""
        trained, kept = partition(values, self._stage.trains)
        # A step takes over the arrays of its state; `values` is the caller's.
        copied = {path: value.copy() for path, value in trained.items()}
        return start_training(copied, self._optimizer), kept

    def run(
        self,
        state: TrainState,
        kept: Parameters,
        examples: Examples,
        seed: int,
        data: dict[str, Any] | None = None,
    ) -> Iterator[StepResult]:
        """Trains to the last step; a `StepResult` is valid until the next one is asked for.

        Args:
            state: from `start`, or from a checkpoint. It is given away.
            kept: the parameters that do not change.
            examples: what to learn from.
            seed: decides the order of the examples and the dropout.
            data: the state of the batches' iterator that belongs to a later step.

        Raises:
            UserError: the loss or its gradient is no longer finite.
        """
        state, kept = replicate(state, self._mesh), replicate(kept, self._mesh)
        batches = self._batches(examples, seed)
        if data is not None:
            batches.set_state(data)
        key = jax.random.key(seed)
        for step in range(int(state.step) + 1, self.steps + 1):
            inputs = self._inputs(examples, next(batches))
            state, metrics = self._program(state, kept, key, inputs)
            metrics = jax.device_get(metrics)
            self._check(step, metrics)
            yield StepResult(step, state, metrics, batches.get_state())

    def plan(self, values: Parameters, examples: Examples, name: str) -> Iterator[Planned]:
        """The step for each shape of batch that `run` would meet.

        Args:
            values: the whole model's parameters, of which only shapes are read.
            examples: what it would learn from; shapes do for their features.
            name: whose step it is.
        """
        trained, kept = partition(values, self._stage.trains)
        state = jax.eval_shape(lambda values: start_training(values, self._optimizer), trained)
        key = jax.eval_shape(jax.random.key, 0)
        shared = replicated((state, kept, key), self._mesh)
        rows, label_N, lengths = _rows(examples)
        size = self._stage.fit.batch
        for batch in one_of_each(rows, label_N, lengths=lengths, batch=size):
            inputs, shape = split((batch.tokens, batch.label_B), self._mesh), f"{size}"
            if examples.feature_END is None:
                shape += f" x {batch.tokens.ids_BT.shape[1]}"
            else:
                exits, _, width = examples.feature_END.shape
                feature_EBD = jax.ShapeDtypeStruct((exits, size, width), np.float32)
                inputs = feature_EBD, inputs[1]
            step = f"{name}: training step {shape}"
            yield Planned(step, self._program, (*shared, inputs), "fit.batch", size)

    def _batches(self, examples: Examples, seed: int) -> Any:
        rows, label_N, lengths = _rows(examples)
        batch = self._stage.fit.batch
        return training_batches(rows, label_N, lengths=lengths, batch=batch, seed=seed)

    def _inputs(self, examples: Examples, batch: Batch) -> tuple[Any, ...]:
        label_B = split_batch(batch.label_B, self._mesh)
        if examples.feature_END is not None:
            return examples.feature_END[:, batch.index_B], label_B
        return split_batch(batch.tokens, self._mesh), label_B

    def _check(self, step: int, metrics: Metrics) -> None:
        if not (np.isfinite(metrics.loss) and np.isfinite(metrics.gradient_norm)):
            raise UserError(
                f"training broke in stage `{self._stage.name}` at step {step}: loss "
                f"{metrics.loss:.3g}, gradient norm {metrics.gradient_norm:.3g}; the last "
                "checkpoint is kept: lower fit.learning_rate or fit.clip, and start again in "
                "a new folder"
            )


def _rows(examples: Examples) -> tuple[Sequence[Row], np.ndarray, tuple[int, ...]]:
    """What batches are made of: rows, labels and lengths."""
    if examples.feature_END is None:
        return examples.rows, examples.label_N, examples.lengths
    # A batch is only a list of rows.
    return [np.zeros(1, np.int32)] * len(examples.rows), examples.label_N, (1,)


def steps_of(fit: OptimizerConfig, examples: int) -> int:
    """Steps of a stage on so many examples."""
    return math.ceil(fit.epochs * examples / fit.batch)
