"""A language model with exits as what a run trains."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ee_jax.config.language import LanguageExperiment
from ee_jax.losses.batch_losses import OfBatch, language_losses
from ee_jax.models.export import export_model, read_exits
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_files import import_language
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.runs.inputs import Split
from ee_jax.runs.language.tokenizer import TOKENIZER
from ee_jax.runs.train import Trained
from ee_jax.training.fit import Examples
from ee_jax.training.stage import ExitLayout, Stage
from ee_jax.training.strategies import Learned, Strategy, stages


def language_stages(
    strategy: Strategy, model: LanguageModel, learned: Learned | None
) -> list[Stage]:
    """The stages of a strategy on a language model, whose last exit is the model itself."""
    layout = ExitLayout(model.design.layers, own_last=False)
    return stages(strategy, layout, learned, parameters(model).keys())


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

    @property
    def of_batch(self) -> OfBatch:
        """The losses of a batch."""
        return language_losses(self.model)

    @property
    def dropout(self) -> float:
        """In the backbone, where any of it learns."""
        return self.experiment.model.dropout

    def stages(self, strategy: Strategy) -> list[Stage]:
        """The stages of a strategy, in turn."""
        return language_stages(strategy, self.model, self.experiment.exits.scores)

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
