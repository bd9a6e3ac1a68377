"""What a run works on: the splits as token rows, and the model before training."""

from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from flax import nnx
from jaxtyping import Num

from ee_jax.checks import check_name
from ee_jax.config import Experiment, check_regression
from ee_jax.data.batches import Batch, evaluation_batches
from ee_jax.data.prepared import open_split, prepare
from ee_jax.data.registry import builder_of
from ee_jax.data.text import TokenRow, check_vocabulary, encode, load_tokenizer
from ee_jax.errors import UserError
from ee_jax.models.architecture import Architecture
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.files import find_weights
from ee_jax.models.heads import HEADS, ExitDesign
from ee_jax.models.huggingface import load_backbone, read_architecture
from ee_jax.models.parameters import Parameters, parameters
from ee_jax.training.stage import ExitLayout
from ee_jax.training.strategies import stages

SPLITS = ("train", "validation", "calibration", "test")


@dataclass(frozen=True)
class Split:
    """A split as token rows."""

    rows: list[TokenRow]
    label_N: Num[np.ndarray, " N"]  # int32; float32 where there are no classes
    lengths: tuple[int, ...]

    def batches(self, batch: int) -> list[Batch]:
        """Every row once, in batches of static shapes."""
        batches = evaluation_batches(self.rows, self.label_N, lengths=self.lengths, batch=batch)
        return list(batches)


@dataclass(frozen=True)
class Corpus:
    """The splits of a data set, and where they came from."""

    splits: dict[str, Split]
    classes: tuple[str, ...]  # none of a regression
    metrics: tuple[str, ...]  # of its quality, the main one first
    label_range: tuple[float, float] | None  # of a regression
    record: dict[str, Any]  # name, version, rows and checksum


def check(experiment: Experiment) -> Architecture:
    """Everything that can be wrong with the config and the weights, before any long work."""
    folder = find_weights(experiment.model.weights)
    architecture = read_architecture(folder)
    check_vocabulary(load_tokenizer(folder), architecture.vocabulary, folder)
    if builder_of(experiment.data.name).LABEL_RANGE is not None:
        check_regression(experiment)
    check_name(experiment.exits.head, HEADS, "exits.head")
    layers = experiment.exits.resolve(architecture.blocks)
    for strategy in experiment.strategies:
        layout = ExitLayout(layers, shared=experiment.exits.head == "shared")
        stages(strategy, layout, experiment.exits.scores)
    if experiment.data.lengths[-1] > architecture.max_length:
        raise UserError(
            f"config field `data.lengths` ends at {experiment.data.lengths[-1]}, but "
            f"{experiment.model.weights} reads at most {architecture.max_length} tokens"
        )
    return architecture


def layout_of(design: ExitDesign) -> ExitLayout:
    """What a strategy must know of a classifier's exits."""
    return ExitLayout(design.layers, shared=design.head == "shared")


def load_corpus(experiment: Experiment) -> Corpus:
    """Prepares the data set where it is missing, and encodes its splits."""
    data = experiment.data
    prepared = prepare(data.name, data.folder, data.manual_dir)
    tokenizer = load_tokenizer(find_weights(experiment.model.weights))
    splits, classes = {}, prepared.classes
    for name in SPLITS:
        examples = open_split(data.name, name, data.folder)
        rows = encode(tokenizer, examples.texts, data.lengths[-1])
        splits[name] = Split(rows, examples.label_N, data.lengths)
    record = {
        "name": data.name,
        "version": prepared.folder.name,
        "rows": {name: len(split.rows) for name, split in splits.items()},
        "checksum": {name: tally.sha256 for name, tally in prepared.splits.items()},
        "classes": list(classes),
    }
    kind = builder_of(data.name)
    return Corpus(splits, classes, kind.METRICS, kind.LABEL_RANGE, record)


def make_model(
    experiment: Experiment, architecture: Architecture, classes: int
) -> tuple[ExitModel, Parameters]:
    """The model as shapes only, and its parameters before training."""
    exits = experiment.exits
    learned = exits.scores is not None
    shared = learned and exits.learned.shared
    layers = exits.resolve(architecture.blocks)
    design = ExitDesign(layers, classes, exits.head, exits.pooling, learned, shared)
    backbone = load_backbone(find_weights(experiment.model.weights))
    model = ExitModel(backbone, design, rngs=nnx.Rngs(experiment.seed))
    values = parameters(model)
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), model), values
