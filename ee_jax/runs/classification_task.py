"""A classifier with exits as what a run trains."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ee_jax.config import Experiment, Strategy
from ee_jax.display import Display
from ee_jax.evaluation.forward_pass import ForwardPass
from ee_jax.losses.batch_losses import OfBatch, classifier_losses
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.export import export_model, import_model, read_exits
from ee_jax.models.files import find_weights
from ee_jax.models.parameters import Parameters, bind, parameters
from ee_jax.runs.inputs import Corpus, layout_of
from ee_jax.runs.train import Trained
from ee_jax.training.fit import Examples
from ee_jax.training.stage import Stage, trains_backbone
from ee_jax.training.strategies import stages


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

    @property
    def of_batch(self) -> OfBatch:
        """The losses of a batch."""
        return classifier_losses(self.model)

    @property
    def dropout(self) -> float:
        """In the backbone, where any of it learns."""
        return self.experiment.model.dropout

    def stages(self, strategy: Strategy) -> list[Stage]:
        """The stages of a strategy, in turn."""
        exits, design = self.experiment.exits, self.model.design
        return stages(strategy, layout_of(design), exits.scores)

    def examples(self, strategy: str, stage: Stage, values: Parameters) -> Examples:
        """Token rows where the backbone learns; else what it makes of them, once."""
        split = self.corpus.splits["train"]
        if trains_backbone(stage, [*values]):
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
