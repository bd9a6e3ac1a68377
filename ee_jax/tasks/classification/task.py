"""The task of classifying, or scoring, whole texts."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from ee_jax.calibration.trace import Trace
from ee_jax.compilation import Planned
from ee_jax.config import Experiment, Strategy
from ee_jax.data.batches import Split
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.text import keep_tokenizer
from ee_jax.display import Display
from ee_jax.evaluation.equal_time import against_static
from ee_jax.evaluation.metrics import METRICS
from ee_jax.evaluation.traces import ForwardPass
from ee_jax.inference.memory import check_forward_memory
from ee_jax.losses.batch_losses import classifier_losses
from ee_jax.models.exit_model import ExitModel, with_last_head
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.files import files_read, find_weights
from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.results import AgainstStatic, StrategyResults
from ee_jax.tasks.classification.evaluate import Evaluator
from ee_jax.tasks.classification.inputs import check, load_corpus, make_model, model_of
from ee_jax.tasks.classification.measure import Measurer
from ee_jax.tasks.classification.static import StaticMeasurer, static_experiment
from ee_jax.tasks.classification.thresholds import risks_in_words
from ee_jax.tasks.inputs import (
    checksums,
    exits_in_words,
    fingerprints,
    promises_in_words,
    rows_in_words,
)
from ee_jax.tasks.task import Task, Trained
from ee_jax.training.fit import Examples
from ee_jax.training.stage import ExitLayout, Stage, trains_backbone


class Classification(Task):
    """An encoder with a head at every exit; a regression where labels are scores."""

    def check(self) -> dict[str, str]:
        """Reads weights and splits, and makes the model and what judges it."""
        experiment = self.experiment
        self._architecture = check(experiment)
        exits = experiment.exits
        layers = exits.resolve(self._architecture.blocks)
        self.layout = ExitLayout(layers, shared=exits.head == "shared")
        for strategy in experiment.strategies:
            strategy.static_blocks(layers[-1])
            self.stages(strategy)
        self._corpus = load_corpus(experiment, self._architecture.max_length)
        outputs = len(self._corpus.classes) or 1  # one of a regression
        self._model, self.values = make_model(experiment, self._architecture, outputs)
        self._static: dict[int, StaticClassification] = {}
        self._make_programs()
        self._check_memory()
        weights = model_of(experiment).weights
        return {
            "weights": f"{weights}: {self._architecture.family}, {exits_in_words(layers)}",
            "data": rows_in_words(self._corpus.record),
            "calibration": promises_in_words(
                experiment.calibration, len(self._corpus.splits["calibration"].rows)
            ),
        }

    def inputs(self) -> dict[str, str]:
        """The files of the weights, and the rows of each split."""
        files = files_read(find_weights(model_of(self.experiment).weights))
        return fingerprints(files) | checksums(self._corpus.record)

    def _check_memory(self) -> None:
        """Raises the UserError of a batch that cannot fit, in training or after it."""
        longest = self._corpus.splits["train"].lengths[-1]
        strategies = self.experiment.strategies
        stages = [s for strategy in strategies for s in self.of(strategy).stages(strategy)]
        batches = {"evaluation.batches": max(self.experiment.evaluation.batches)}
        batches["fit.batch"] = max(stage.fit.batch for stage in stages)
        for field, batch in batches.items():
            device = self.mesh.devices.flat[0]
            check_forward_memory(self._architecture, batch, longest, field, device)

    def _make_programs(self) -> None:
        self.of_batch = classifier_losses(self._model)
        self._forward = ForwardPass(self._model, self.mesh)
        self._measurer = self._make_measurer()
        made = self._corpus, self._forward, self._measurer, self.folder, self.display
        self._evaluator = Evaluator(self.experiment, self._model, *made)

    def _make_measurer(self) -> Measurer:
        return Measurer(*self._measured)

    @property
    def _measured(self) -> tuple[Experiment, ExitModel, Split, tuple[str, ...], Mesh, Display]:
        """What is measured, and where."""
        test, metrics = self._corpus.splits["test"], self._corpus.metrics
        return self.experiment, self._model, test, metrics, self.mesh, self.display

    def of(self, strategy: Strategy) -> "Classification":
        """This task, or of a model without exits that of its blocks alone."""
        blocks = strategy.static_blocks(self._architecture.blocks)
        if blocks is None:
            return self
        if blocks not in self._static:
            self._static[blocks] = StaticClassification(self, blocks)
        return self._static[blocks]

    def against_static(
        self, strategies: Mapping[str, StrategyResults]
    ) -> tuple[AgainstStatic, ...]:
        """Early exit against the models without exits, at equal measured time."""
        if all(found.static_blocks is None for found in strategies.values()):
            return ()
        where = {name: self.folder.path / name / "traces" / "test.npz" for name in strategies}
        traces = {name: Trace.load(path) for name, path in where.items()}
        metric, stopping = METRICS[self._corpus.metrics[0]], self.experiment.exits.stopping
        return tuple(against_static(strategies, traces, metric, stopping))

    @property
    def rows(self) -> int:
        """Examples of an epoch."""
        return len(self._corpus.splits["train"].rows)

    def examples(self, strategy: str, stage: Stage, values: Parameters) -> Examples:
        """Token rows where the backbone learns; else what it makes of them, once."""
        split = self._corpus.splits["train"]
        if trains_backbone(stage, [*values]):
            return Examples(split.rows, split.label_N, split.lengths)
        batches = split.batches(self._forward.batch)
        with self.display.bar(f"{strategy}: features", len(batches)) as tick:
            features = self._forward.features(values, batches, len(split.rows), tick)
        return Examples(split.rows, split.label_N, split.lengths, features)

    def programs(self) -> Iterator[Planned]:
        """Training steps, full passes, and both programs of every batch's shape."""
        train, paths = self._corpus.splits["train"], [*self.values]
        values = self.values_to_answer
        plain = Examples(train.rows, train.label_N, train.lengths)
        shape: Any = self._forward.features_shape(values, train)
        frozen = replace(plain, feature_END=shape)

        def examples(stage: Stage) -> Examples:
            return plain if trains_backbone(stage, paths) else frozen

        yield from self.training_steps(examples, self.rows)
        owners = dict.fromkeys(self.of(strategy) for strategy in self.experiment.strategies)
        strategies = [s for s in self.experiment.strategies if self.of(s) is self]
        stages = [stage for strategy in strategies for stage in self.stages(strategy)]
        if any(examples(stage) is frozen for stage in stages):
            yield from self._forward.plan(values, train, answers=False)
        for own in owners:
            yield from own.judging()

    def judging(self) -> Iterator[Planned]:
        """The programs that judge its own model."""
        values = self.values_to_answer
        for split in self._evaluator.traced:
            yield from self._forward.plan(values, split, answers=True)
        yield from self._measurer.plan(values)

    def export(self, strategy: str, trained: Trained, folder: Path) -> None:
        """Writes the model, its tokenizer and what else a reader must know."""
        weights = find_weights(model_of(self.experiment).weights)
        keep_tokenizer(weights, folder / "tokenizer.json")
        exits = self.experiment.exits
        rule = ("confidence", "rule", "min_depth", "patience", "tolerance")
        notes = {
            "data": self._corpus.record["name"],
            "exits": {name: getattr(exits, name) for name in rule},
            "classes": self._corpus.classes,
            "lengths": self._corpus.splits["train"].lengths,
            "precision": self.experiment.precision,
            "config_hash": self.folder.hash,
            "train_seconds": trained.seconds,
        }
        export_model(bind(self._model, trained.values), folder, strategy=strategy, **notes)

    def load(self, folder: Path) -> Trained:
        """Reads it back."""
        seconds = read_exits(folder)["train_seconds"]
        return Trained(parameters(import_model(folder)), seconds)

    def evaluate(self, strategy: str, values: Parameters) -> StrategyResults:
        """Exits, thresholds, quality and wall clock; traces are written."""
        return self._evaluator.evaluate(strategy, values)

    @staticmethod
    def directory(data: Any) -> DatasetDir:
        """Where the labelled rows are kept."""
        return DatasetDir.of(data.name, data.folder, data.columns)

    @property
    def compile_seconds(self) -> Mapping[str, float]:
        """Seconds spent compiling the static and the early-exit programs."""
        each = [own._measurer.compile_seconds for own in (self, *self._static.values())]
        return {side: sum(seconds[side] for seconds in each) for side in each[0]}

    def describe(self) -> dict[str, Any]:
        """Data, model, metrics, and what risks count."""
        corpus = self._corpus
        return {
            "data": corpus.record,
            "model": {
                "weights": model_of(self.experiment).weights,
                "blocks": self._architecture.blocks,
                "parameters": sum(value.size for value in self.values.values()),
            },
            "metrics": corpus.metrics,
            "risks": risks_in_words(corpus.metrics[0], regression=not corpus.classes),
        }


class StaticClassification(Classification):
    """The task of the first blocks alone, without exits, on the rows of a run with exits."""

    def __init__(self, run: Classification, blocks: int):
        regression = not run._corpus.classes
        experiment = static_experiment(run.experiment, blocks, regression)
        super().__init__(experiment, run.folder, run.mesh, run.display)
        self._run, self._corpus, self._static = run, run._corpus, {}
        self._architecture = replace(run._architecture, blocks=blocks)
        self.layout = ExitLayout((blocks,))
        self._model, self.values = with_last_head(run._model, run.values, (blocks,))
        self._make_programs()

    def _make_measurer(self) -> StaticMeasurer:
        full = self._run._measurer, self._run.values_to_answer
        return StaticMeasurer(*self._measured, *full)

    def judging(self) -> Iterator[Planned]:
        """As of a model with exits; the names say how many blocks."""
        part = f"{self._architecture.blocks} of {self._run._architecture.blocks} blocks"
        for planned in super().judging():
            yield planned._replace(name=f"{planned.name}, {part}")

    def evaluate(self, strategy: str, values: Parameters) -> StrategyResults:
        """Its quality and wall clock, and that no exit is in it; traces are written."""
        found = super().evaluate(strategy, values)
        return replace(found, static_blocks=self._architecture.blocks, curve=())
