"""A training step with exits at every block, against one with the last exit only."""

from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
from jaxtyping import Float

from ee_jax.benchmarks.exit_loop import SEED, Bench, Row
from ee_jax.compilation import Program
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.timing import interleave, milliseconds, speedup
from ee_jax.losses.batch_losses import classifier_losses
from ee_jax.training.optimizer import make_optimizer
from ee_jax.training.stage import ExitLayout, Stage
from ee_jax.training.strategies import Frozen, Joint
from ee_jax.training.train_step import make_objective, make_step, partition, start_training

STEPS = 1000  # of the learning rate's schedule
DROPOUT = 0.1  # where the backbone learns


class Steps:
    """A step of a stage, taken again and again on the same batch."""

    def __init__(self, bench: Bench, stage: Stage, inputs: Any, dropout: float = 0.0):
        optimizer = make_optimizer(stage.fit, STEPS)
        of_batch = classifier_losses(bench.model)
        objective = make_objective(of_batch, stage, STEPS, dropout)
        program = Program(make_step(objective, optimizer), donate=(0,))
        trained, self._kept = partition(bench.values, stage.trains)
        copied = {path: value.copy() for path, value in trained.items()}
        self._learner = start_training(copied, optimizer)
        self._rest = jax.random.key(SEED), inputs
        self._run = program.at(self._learner, self._kept, *self._rest)
        self.compile_seconds = program.seconds

    def __call__(self) -> Any:
        """Takes a step; waiting for what it returns is waiting for the step."""
        self._learner, metrics = self._run(self._learner, self._kept, *self._rest)
        return self._learner.step, metrics


def bench_train(
    name: str, batch: int, seq: int, repeats: int, display: Display = SILENT
) -> Iterator[Row]:
    """A row for each way of training exits after every block.

    `ratio` is the median over rounds of its step / the step of fine-tuning, which has the last
    exit only. `frozen` runs the backbone and learns the heads; a run does so once and takes its
    steps on the features that it kept, which are the last row.
    """
    sides = _sides(name, batch, seq)
    with display.bar(f"batch {batch} x {seq}", repeats + 1) as tick:
        seconds = interleave(dict(sides), repeats, tick=tick)
    for strategy, side in sides.items():
        yield {
            "model": name,
            "seq": seq,
            "batch": batch,
            "strategy": strategy,
            "step_ms": milliseconds(seconds[strategy]),
            "ratio": speedup(seconds[strategy], seconds["last exit"]),
            "compile_s": side.compile_seconds,
        }


def fine_tuning(name: str, batch: int, seq: int) -> tuple[Bench, Any]:
    """The model with its last exit only, and examples."""
    bench = Bench.of(name)
    last = Bench.of(name, layers=(bench.blocks,))
    return last, (bench.batch(batch, seq), np.arange(batch, dtype=np.int32) % 2)


def alone(bench: Bench) -> Stage:
    """The stage of a model that has one exit."""
    return Joint().stages(ExitLayout((bench.blocks,)))[0]


def _sides(name: str, batch: int, seq: int) -> dict[str, Steps]:
    bench, dropout = Bench.of(name), DROPOUT
    last, (tokens, label_B) = fine_tuning(name, batch, seq)
    every = ExitLayout(tuple(range(1, bench.blocks + 1)))
    (joint,), (heads,) = Joint().stages(every), Frozen().stages(every)
    return {
        "last exit": Steps(last, alone(last), (tokens, label_B), dropout),
        "joint": Steps(bench, joint, (tokens, label_B), dropout),
        # The same stage, given tokens: it makes its features each time.
        "frozen": Steps(bench, heads, (tokens, label_B)),
        "frozen, kept": Steps(bench, heads, (_features(bench, batch), label_B)),
    }


def _features(bench: Bench, batch: int) -> Float[np.ndarray, "E B D"]:
    shape = bench.blocks, batch, bench.model.backbone.config.width
    return np.random.default_rng(SEED).normal(size=shape).astype(np.float32)
