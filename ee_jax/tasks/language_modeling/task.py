"""The task of predicting the next token, with exits that share the output projection."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ee_jax.compilation import Planned
from ee_jax.config import Model, SelfGenerated, Text
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.losses.batch_losses import language_losses
from ee_jax.models.addon import base_of, export_addon, read_language
from ee_jax.models.export import export_model, read_exits
from ee_jax.models.language import LanguageDesign
from ee_jax.models.language_source import CHAT_TEMPLATE, find_language
from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.results import StrategyResults
from ee_jax.tasks.inputs import checksums, exits_in_words, fingerprints, promises_in_words
from ee_jax.tasks.language_modeling.evaluate import LanguageEvaluator
from ee_jax.tasks.language_modeling.inputs import (
    check,
    data_in_words,
    data_of,
    design_of,
    directory_of,
    make_language_model,
    model_of,
    weights_of,
)
from ee_jax.tasks.language_modeling.measure import METRICS
from ee_jax.tasks.language_modeling.programs import evaluation_programs
from ee_jax.tasks.language_modeling.rows import Sources
from ee_jax.tasks.language_modeling.thresholds import MEANING, RISK, LanguageCalibrator
from ee_jax.tasks.language_modeling.tokenizer import TOKENIZER
from ee_jax.tasks.language_modeling.writer import openings
from ee_jax.tasks.task import Task, Trained
from ee_jax.training.fit import Examples
from ee_jax.training.stage import ExitLayout, Stage, trains_backbone

# Rows of an epoch where nothing is trained: those of text are known once it is tokenized.
NOMINAL = 10_000


class LanguageModeling(Task):
    """A causal model whose exits share one projection; the last exit is the model itself."""

    def check(self) -> dict[str, str]:
        """Reads the weights; a data set of text is prepared where it has not been."""
        experiment = self.experiment
        self._weights = check(experiment)
        config = self._weights.config
        if isinstance(data := experiment.data, SelfGenerated):
            openings(data, model_of(experiment), config.vocabulary)
        design = design_of(experiment, config.blocks)
        self.layout = ExitLayout(design.layers, own_last=False)
        self._model, self.values = make_language_model(experiment, self._weights)
        self.of_batch = language_losses(self._model)
        for strategy in experiment.strategies:
            self.of(strategy).stages(strategy)
        return {
            "weights": f"{weights_of(experiment)}: {config.family}, "
            f"{exits_in_words(design.layers)}",
            "data": data_in_words(experiment),
            "calibration": promises_in_words(
                experiment.calibration, getattr(experiment.data, "calibration", None)
            ),
        }

    def inputs(self) -> dict[str, str]:
        """The files of the weights, and the rows of a data set of text."""
        model, data = self.experiment.model, self.experiment.data
        pretrained = isinstance(model, Model)
        files = fingerprints(find_language(model.weights).files()) if pretrained else {}
        if not isinstance(data, Text):
            return files
        prepared = directory_of(data).load()
        checksum = {split: tally.sha256 for split, tally in prepared.splits.items()}
        return files | checksums({"name": data.name, "checksum": checksum})

    def prepare(self) -> None:
        """Reads or samples the rows; the tokenizer is kept in the run's folder."""
        experiment, display = self.experiment, self.display
        self._rows = Sources(experiment, self._weights, self.folder, display).rows()
        layers = self._model.design.layers
        calibrator = LanguageCalibrator(experiment, layers, self._rows, self.folder, display)
        test = self._rows.splits["test"]
        self._evaluator = LanguageEvaluator(experiment, self._model, test, calibrator, display)

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return len(self._rows.splits["train"].rows)

    def examples(self, strategy: str, stage: Stage, values: Parameters) -> Examples:
        """Rows of tokens in every stage: features of all of them would not fit."""
        train = self._rows.splits["train"]
        return Examples(train.rows, train.label_N, train.lengths)

    def programs(self) -> Iterator[Planned]:
        """Training steps, parallel passes and decoders."""
        length = data_of(self.experiment).length + 1
        rows = [np.zeros(length, np.int32)]
        examples = Examples(rows, np.zeros(1, np.int32), (length,))
        yield from self.training_steps(lambda stage: examples, NOMINAL)
        yield from evaluation_programs(
            self.experiment, self._model, self._weights, self.values_to_answer, self.mesh
        )

    def export(self, strategy: str, trained: Trained, folder: Path) -> None:
        """Writes the model, its tokenizer if it has one, and what else a reader must know.

        Of a backbone that nothing trained only the name and a fingerprint are kept.
        """
        for name in (TOKENIZER, CHAT_TEMPLATE):
            if (kept := self.folder.path / name).is_file():
                shutil.copyfile(kept, folder / name)
        model, own = bind(self._model, trained.values), self.experiment.model
        notes = {
            "strategy": strategy,
            "precision": self.experiment.precision,
            "config_hash": self.folder.hash,
            "train_seconds": trained.seconds,
        }
        if isinstance(own, Model) and self._keeps_backbone(strategy):
            export_addon(model, base_of(own.weights), folder, **notes)
        else:
            ends = find_language(own.weights).ends() if isinstance(own, Model) else ()
            export_model(model, folder, ends, **notes)

    def _keeps_backbone(self, name: str) -> bool:
        found = [each for each in self.experiment.strategies if each.name == name]
        stages = [stage for strategy in found for stage in self.stages(strategy)]
        return not any(trains_backbone(stage, [*self.values]) for stage in stages)

    def load(self, folder: Path) -> Trained:
        """Reads it back."""
        seconds = read_exits(folder, LanguageDesign)["train_seconds"]
        return Trained(parameters(read_language(folder)), seconds)

    def evaluate(self, strategy: str, values: Parameters) -> StrategyResults:
        """Exits, thresholds, perplexity, agreement and wall clock; traces are written."""
        return self._evaluator.evaluate(strategy, values)

    @staticmethod
    def directory(data: Any) -> DatasetDir:
        """Where the documents are kept; what a model writes lies in its run's folder."""
        return directory_of(data) if isinstance(data, Text) else Task.directory(data)

    def describe(self) -> dict[str, Any]:
        """Data, model, metrics, and what the risk counts."""
        config = self._weights.config
        return {
            "metrics": METRICS,
            "risks": {RISK: MEANING},
            "data": self._rows.record,
            "model": {
                "weights": weights_of(self.experiment),
                "blocks": config.blocks,
                "width": config.width,
                "vocabulary": config.vocabulary,
                "parameters": sum(value.size for value in self.values.values()),
            },
        }
