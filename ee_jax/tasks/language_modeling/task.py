"""The task of predicting the next token, with exits that share the output projection."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from ee_jax.compilation import Planned
from ee_jax.config import Model, SelfGenerated, Text
from ee_jax.data.batches import Split
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.models.language_source import find_language
from ee_jax.models.transformer import Parameters
from ee_jax.results import StrategyResults
from ee_jax.tasks.inputs import checksums, exits_in_words, fingerprints, promises_in_words
from ee_jax.tasks.language_modeling.evaluate import LanguageEvaluator
from ee_jax.tasks.language_modeling.inputs import (
    check,
    data_in_words,
    data_of,
    directory_of,
    model_of,
)
from ee_jax.tasks.language_modeling.measure import METRICS
from ee_jax.tasks.language_modeling.programs import evaluation_programs
from ee_jax.tasks.language_modeling.rows import Sources
from ee_jax.tasks.language_modeling.thresholds import MEANING, RISK, LanguageCalibrator
from ee_jax.tasks.language_modeling.writer import openings
from ee_jax.tasks.task import Task
from ee_jax.tasks.token_exits import weights_of
from ee_jax.tasks.writing import Writing
from ee_jax.training.fit import Examples

# Rows of an epoch where nothing is trained: those of text are known once it is tokenized.
NOMINAL = 10_000


class LanguageModeling(Writing):
    """A causal model that reads and writes one text."""

    def check(self) -> dict[str, str]:
        """Reads the weights; a data set of text is prepared where it has not been."""
        experiment = self.experiment
        weights = check(experiment)
        if isinstance(data := experiment.data, SelfGenerated):
            openings(data, model_of(experiment), weights.config.vocabulary)
        self.take(weights)
        return {
            "weights": f"{weights_of(experiment)}: {weights.config.family}, "
            f"{exits_in_words(self.layout.layers)}",
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
        self._rows = Sources(experiment, self.weights, self.folder, display).rows()
        layers = self.layout.layers
        calibrator = LanguageCalibrator(experiment, layers, self._rows, self.folder, display)
        test = self._rows.splits["test"]
        self._evaluator = LanguageEvaluator(experiment, self.model, test, calibrator, display)

    @property
    def train(self) -> Split:
        """Rows of one length."""
        return self._rows.splits["train"]

    def programs(self) -> Iterator[Planned]:
        """Training steps, parallel passes and decoders."""
        length = data_of(self.experiment).length + 1
        rows = [np.zeros(length, np.int32)]
        examples = Examples(rows, np.zeros(1, np.int32), (length,))
        yield from self.training_steps(lambda stage: examples, NOMINAL)
        yield from evaluation_programs(
            self.experiment, self.model, self.weights, self.values_to_answer, self.mesh
        )

    def evaluate(self, strategy: str, values: Parameters) -> StrategyResults:
        """Exits, thresholds, perplexity, agreement and wall clock; traces are written."""
        return self._evaluator.evaluate(strategy, values)

    @staticmethod
    def directory(data: Any) -> DatasetDir:
        """Where the documents are kept; what a model writes lies in its run's folder."""
        return directory_of(data) if isinstance(data, Text) else Task.directory(data)

    def describe(self) -> dict[str, Any]:
        """Data, model, metrics, and what the risk counts."""
        return {
            "metrics": METRICS,
            "risks": {RISK: MEANING},
            "data": self._rows.record,
            "model": self.model_record,
        }
