"""A classifier with exits as what a run trains."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ee_jax.config import Experiment, Strategy
from ee_jax.display import Display
from ee_jax.evaluation.forward_pass import ForwardPass
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.files import find_weights
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.runs.inputs import Corpus
from ee_jax.runs.train import Trained
from ee_jax.training.fit import Examples, StageObjective
from ee_jax.training.strategies import Stage, stages
from ee_jax.training.train_step import exit_objective


@dataclass(frozen=True)
class ClassificationTask:
    """The model of an experiment, and the rows it learns from."""

    experiment: Experiment
    model: ExitModel  # shapes only
    corpus: Corpus
    forward: ForwardPass
    identity: str  # of the experiment
    display: Display

    @property
    def rows(self) -> int:
        """Examples of an epoch."""
        return len(self.corpus.splits["train"].rows)

    def tasks(self, strategy: Strategy) -> list[StageObjective]:
        """The stages of a strategy, in turn."""
        config = self.experiment
        todo = stages(strategy, len(self.model.design.layers), config.exits.scores)
        dropout = config.model.dropout
        return [
            StageObjective(stage, exit_objective(self.model, stage, dropout)) for stage in todo
        ]

    def examples(self, strategy: str, stage: Stage, values: Parameters) -> Examples:
        """Token rows where the backbone learns; else what it makes of them, once."""
        split = self.corpus.splits["train"]
        if stage.backbone:
            return Examples(split.rows, split.label_N, split.lengths)
        batches = split.batches(self.forward.batch)
        with self.display.bar(f"{strategy}: features", len(batches)) as tick:
            features = self.forward.features(values, batches, len(split.rows), tick)
        return Examples(split.rows, split.label_N, split.lengths, features)

    def export(self, strategy: str, trained: Trained, folder: Path) -> None:
        """Writes the model, its tokenizer and what else a reader must know."""
        weights = find_weights(self.experiment.model.weights)
        shutil.copyfile(weights / "tokenizer.json", folder / "tokenizer.json")
        notes = {
            "classes": self.corpus.classes,
            "config_hash": self.identity,
            "train_seconds": trained.seconds,
        }
        export_model(bind(self.model, trained.values), folder, strategy=strategy, **notes)

    def load(self, folder: Path) -> Trained:
        """Reads it back."""
        seconds = read_exits(folder)["train_seconds"]
        return Trained(parameters(import_model(folder)), seconds)
