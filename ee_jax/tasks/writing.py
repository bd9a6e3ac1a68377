"""The base of every task whose model writes tokens, with exits that share a projection."""

import shutil
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ee_jax.config import Model
from ee_jax.data.batches import Split
from ee_jax.losses.batch_losses import language_losses
from ee_jax.models.addon import base_of, export_addon, read_language
from ee_jax.models.export import export_model, read_exits
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.language_source import CHAT_TEMPLATE, find_language
from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.tasks.task import Task, Trained
from ee_jax.tasks.token_exits import Weights, design_of, make_language_model, weights_of
from ee_jax.tasks.tokenizer import TOKENIZER
from ee_jax.training.fit import Examples
from ee_jax.training.stage import ExitLayout, Stage, trains_backbone


class Writing(Task):
    """A model whose exits share one projection; the last exit is the model itself.

    A subclass says what is read and what is judged; `take` makes its model of weights.

    Attributes:
      weights: the model before it has exits, once it is checked.
      model: with them, shapes only, once it is checked.
    """

    weights: Weights
    model: LanguageModel

    def take(self, weights: Weights) -> None:
        """Adds the exits; raises the UserError of exits or strategies that cannot be."""
        experiment = self.experiment
        self.weights = weights
        layers = design_of(experiment, weights.config.blocks).layers
        self.layout = ExitLayout(layers, own_last=False)
        self.model, self.values = make_language_model(experiment, weights)
        self.of_batch = language_losses(self.model)
        for strategy in experiment.strategies:
            self.of(strategy).stages(strategy)

    @property
    @abstractmethod
    def train(self) -> Split:
        """The rows that are learned from, once the task is prepared."""

    @property
    def rows(self) -> int:
        """Rows of an epoch."""
        return len(self.train.rows)

    def examples(self, strategy: str, stage: Stage, values: Parameters) -> Examples:
        """Rows of tokens in every stage: features of all of them would not fit."""
        train = self.train
        return Examples(train.rows, train.label_N, train.lengths)

    @property
    def ends(self) -> list[int]:
        """The tokens that end a text, of which the exported config speaks."""
        own = self.experiment.model
        return find_language(own.weights).ends() if isinstance(own, Model) else []

    @property
    def opening(self) -> Sequence[int]:
        """Those from which a decoder with an encoder writes; of others none is said."""
        return ()

    def export(self, strategy: str, trained: Trained, folder: Path) -> None:
        """Writes the model, its tokenizer if it has one, and what else a reader must know.

        Of a backbone that nothing trained only the name and a fingerprint are kept.
        """
        for name in (TOKENIZER, CHAT_TEMPLATE):
            if (kept := self.folder.path / name).is_file():
                shutil.copyfile(kept, folder / name)
        model, own = bind(self.model, trained.values), self.experiment.model
        notes = {
            "strategy": strategy,
            "precision": self.experiment.precision,
            "config_hash": self.folder.hash,
            "train_seconds": trained.seconds,
        }
        if isinstance(own, Model) and self._keeps_backbone(strategy):
            export_addon(model, base_of(own.weights), folder, **notes)
        else:
            export_model(model, folder, self.ends, self.opening, **notes)

    def _keeps_backbone(self, name: str) -> bool:
        found = [each for each in self.experiment.strategies if each.name == name]
        stages = [stage for strategy in found for stage in self.stages(strategy)]
        return not any(trains_backbone(stage, [*self.values]) for stage in stages)

    def load(self, folder: Path) -> Trained:
        """Reads it back."""
        seconds = read_exits(folder, LanguageDesign)["train_seconds"]
        return Trained(parameters(read_language(folder)), seconds)

    @property
    def model_record(self) -> dict[str, Any]:
        """What results say of the model."""
        config = self.weights.config
        return {
            "weights": weights_of(self.experiment),
            "blocks": config.blocks,
            "width": config.width,
            "vocabulary": config.vocabulary,
            "parameters": sum(value.size for value in self.values.values()),
        }
