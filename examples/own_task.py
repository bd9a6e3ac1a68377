"""A task of one's own: which of four symbols comes most often in a row of them?

Rows are drawn, not read, and the encoder starts from random weights. The task brings its data,
its model and what is measured; training, exits, checkpoints, report, `ee-jax compare` and every
strategy are the package's.

Question:  do easy rows, of a clear majority, stop earlier than close ones?
Hardware:  2 CPU cores, about half a minute.
Command:   ee-jax run examples/own_task.py
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from ee_jax.calibration.choice import exits_taken
from ee_jax.compilation import Planned
from ee_jax.config import Evaluation, Exits, Experiment, Joint, ModelConfig, OptimizerConfig
from ee_jax.config.sources import DataConfig
from ee_jax.data.batches import Split
from ee_jax.evaluation.metrics import exit_counts, ideal_speedup, mean_depth
from ee_jax.evaluation.traces import ForwardPass, trace_of
from ee_jax.losses.batch_losses import classifier_losses
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.families.bert import bert
from ee_jax.models.flops import flops_speedup
from ee_jax.models.heads import ExitDesign
from ee_jax.models.transformer import Parameters, Transformer, bind, parameters
from ee_jax.results import ExitAlone, Point, StrategyResults
from ee_jax.tasks.task import TASKS, Task, Trained
from ee_jax.training.fit import Examples
from ee_jax.training.stage import ExitLayout, Stage

SYMBOLS = 4


@dataclass(frozen=True)
class Drawn(DataConfig):
    """Rows of symbols."""

    train: int = 4000
    test: int = 500
    length: int = 15  # symbols a row; odd, so that fewer rows have two winners


@dataclass(frozen=True)
class Small(ModelConfig):
    """An encoder from random weights."""

    width: int = 32
    blocks: int = 4
    heads: int = 4


def draw(rows: int, length: int, seed: int) -> Split:
    """Rows of symbols, and the one that comes most often; the first of them where two do."""
    symbol_NT = np.random.default_rng(seed).integers(SYMBOLS, size=(rows, length))
    counts_NS = (symbol_NT[:, :, None] == np.arange(SYMBOLS)).sum(1)
    return Split([*symbol_NT.astype(np.int32)], counts_NS.argmax(1).astype(np.int32), (length,))


class Majority(Task):
    """Which symbol is the most frequent?"""

    def check(self) -> dict[str, str]:
        """Draws the rows and makes the model; each strategy has its stages."""
        data, model = self.experiment.data, self.experiment.model
        assert isinstance(data, Drawn)
        assert isinstance(model, Small)
        self._data, self._small = data, model
        self.layout = ExitLayout(self.experiment.exits.resolve(model.blocks))
        self._make()
        for strategy in self.experiment.strategies:
            self.stages(strategy)
        return {"data": f"{data.train:,} rows of {data.length} symbols to learn from"}

    def _make(self) -> None:
        data, small, rngs = self._data, self._small, nnx.Rngs(self.experiment.seed)
        self._splits = {
            name: draw(rows, data.length, seed)
            for seed, (name, rows) in enumerate((("train", data.train), ("test", data.test)))
        }
        sizes = (small.width, small.blocks, small.heads, 2 * small.width, data.length)
        design = ExitDesign(self.layout.layers, SYMBOLS)
        self._model = ExitModel(
            Transformer(bert(SYMBOLS, *sizes), rngs=rngs), design, rngs=rngs
        )
        self.values = parameters(self._model)
        self.of_batch = classifier_losses(self._model)

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return self._data.train

    def examples(self, strategy: str, stage: Stage, values: Parameters) -> Examples:
        """The rows, whatever a stage trains."""
        train = self._splits["train"]
        return Examples(train.rows, train.label_N, train.lengths)

    def programs(self) -> Iterator[Planned]:
        """What `ee-jax compile` compiles."""
        yield from self.training_steps(
            lambda stage: self.examples("", stage, self.values), self.rows
        )
        forward = ForwardPass(self._model, self.mesh)
        yield from forward.plan(self.values_to_answer, self._splits["test"], answers=True)

    def export(self, strategy: str, trained: Trained, folder: Path) -> None:
        """Writes the model, and how long it took."""
        export_model(bind(self._model, trained.values), folder, train_seconds=trained.seconds)

    def load(self, folder: Path) -> Trained:
        """Reads it back."""
        return Trained(parameters(import_model(folder)), read_exits(folder)["train_seconds"])

    def evaluate(self, strategy: str, values: Parameters) -> StrategyResults:
        """What each exit knows, and what each threshold would do, from one full pass."""
        test, layers = self._splits["test"], self.layout.layers
        forward = ForwardPass(self._model, self.mesh)
        features = forward.features(values, test.batches(forward.batch), len(test.rows))
        answers, ones_E = forward.answers(values, features), np.ones(len(layers))
        confidence = self.experiment.exits.confidence
        trace = trace_of(answers, test.label_N, layers, confidence, ones_E)
        right_NE = 1 - trace.loss_NE
        exits = [
            ExitAlone(depth=depth, metrics={"accuracy": float(right_N.mean())})
            for depth, right_N in zip(layers, right_NE.T, strict=True)
        ]
        points = [
            self._point(t, trace, right_NE) for t in self.experiment.evaluation.thresholds
        ]
        full = exits[-1].metrics["accuracy"]
        return StrategyResults(full_quality=full, exits=tuple(exits), points=tuple(points))

    def _point(self, threshold: float, trace: Any, right_NE: np.ndarray) -> Point:
        layers, exits = self.layout.layers, self.experiment.exits
        exit_N = exits_taken(trace, np.array([threshold]), exits.stopping)[0]
        each_N, counts_E = np.arange(len(exit_N)), exit_counts(exit_N, len(layers))
        accuracy = float(right_NE[each_N, exit_N].mean())
        answer_N = trace.prediction_NE[each_N, exit_N]
        config, design = self._model.backbone.config, self._model.design
        lengths = [self._data.length] * len(exit_N)
        return Point(
            threshold=threshold,
            confidence=exits.confidence,
            quality=accuracy,
            metrics={"accuracy": accuracy},
            inconsistency=float(np.mean(answer_N != trace.prediction_NE[:, -1])),
            mean_depth=mean_depth(counts_E, layers),
            ideal_speedup=ideal_speedup(counts_E, layers),
            flops_speedup=flops_speedup(config, design, exit_N.tolist(), lengths),
            exit_counts=tuple(counts_E.tolist()),
        )

    def describe(self) -> Mapping[str, Any]:
        """Data and model, as the report names them."""
        sizes = {name: len(split.rows) for name, split in self._splits.items()}
        checksums = {
            name: hashlib.sha256(np.concatenate(split.rows).tobytes()).hexdigest()
            for name, split in self._splits.items()
        }
        return {
            "metrics": ("accuracy",),
            "data": {"name": "drawn", "version": "1", "rows": sizes, "checksum": checksums},
            "model": {"blocks": self._small.blocks,
                      "parameters": sum(value.size for value in self.values.values())},
        }  # fmt: skip


TASKS.register("majority", Majority)


def get_config() -> Experiment:
    """The experiment, which names the task."""
    return Experiment(
        name="own_task",
        task="majority",
        data=Drawn(),
        model=Small(dropout=0.0),
        exits=Exits(layers=(1, 2, 4)),
        strategies=(Joint(fit=OptimizerConfig(8.0, batch=64, learning_rate=2e-3)),),
        evaluation=Evaluation(thresholds=(0.6, 0.8, 0.9, 0.99, 1.0)),
    )
