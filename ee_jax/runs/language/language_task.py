"""A language model with exits as what a run trains."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ee_jax.config.language import LanguageExperiment, LanguageStrategy
from ee_jax.models.export import export_model, read_exits
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_files import import_language
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.runs.inputs import Split
from ee_jax.runs.language.tokenizer import TOKENIZER
from ee_jax.runs.train import Trained
from ee_jax.training.fit import Examples, StageObjective, steps_of
from ee_jax.training.language import language_objective
from ee_jax.training.language_strategies import language_stage


@dataclass(frozen=True)
class LanguageModelingTask:
    """The model of an experiment, and the rows it learns from."""

    experiment: LanguageExperiment
    model: LanguageModel  # shapes only
    train: Split
    identity: str  # of the experiment
    folder: Path  # the run's, with a tokenizer where there is one

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return len(self.train.rows)

    def tasks(self, strategy: LanguageStrategy) -> list[StageObjective]:
        """The one stage of a strategy."""
        steps = steps_of(strategy.fit, self.rows)
        stage = language_stage(strategy, self.model.design, steps)
        dropout = self.experiment.model.dropout
        return [StageObjective(stage, language_objective(self.model, stage, dropout))]

    def examples(self, strategy: str, stage: object, values: Parameters) -> Examples:
        """Rows of tokens in every stage: features of all of them would not fit."""
        return Examples(self.train.rows, self.train.label_N, self.train.lengths)

    def export(self, strategy: str, trained: Trained, folder: Path) -> None:
        """Writes the model, its tokenizer if it has one, and what else a reader must know."""
        if (tokenizer := self.folder / TOKENIZER).is_file():
            shutil.copyfile(tokenizer, folder / TOKENIZER)
        notes = {"config_hash": self.identity, "train_seconds": trained.seconds}
        export_model(bind(self.model, trained.values), folder, strategy=strategy, **notes)

    def load(self, folder: Path) -> Trained:
        """Reads it back."""
        seconds = read_exits(folder, LanguageDesign)["train_seconds"]
        return Trained(parameters(import_language(folder)), seconds)
