"""What a run works on: the splits as token rows, and the model before training."""

from dataclasses import dataclass
from typing import Any

import jax
from flax import nnx

from ee_jax.checks import check as check_field
from ee_jax.checks import check_name
from ee_jax.config import Data, Experiment, Model
from ee_jax.data.batches import Split
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.describe import duplicates, propose_lengths
from ee_jax.data.prepared import open_at, prepare_at
from ee_jax.data.registry import builder_of
from ee_jax.data.text import check_vocabulary, encode, load_tokenizer
from ee_jax.errors import UserError
from ee_jax.exits.confidence import traits
from ee_jax.models.architecture import Architecture
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.files import find_weights
from ee_jax.models.heads import HEADS, ExitDesign
from ee_jax.models.huggingface import load_backbone, read_architecture
from ee_jax.models.transformer import Parameters, parameters
from ee_jax.training.stage import ExitLayout

SPLITS = ("train", "validation", "calibration", "test")


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
    data, model = data_of(experiment), model_of(experiment)
    folder = find_weights(model.weights)
    architecture = read_architecture(folder)
    check_vocabulary(load_tokenizer(folder), architecture.vocabulary, folder)
    layers = experiment.exits.resolve(architecture.blocks)
    if builder_of(data.name, data.columns).LABEL_RANGE is not None:
        check_regression(experiment, layers)
    check_name(experiment.exits.head, HEADS, "exits.head")
    alone = len(experiment.confidences) == 1
    check_field(alone, "evaluation.confidences", "compares those of language models only")
    plain = experiment.exits.decay is None
    check_field(plain, "exits.decay", "is of models that write: leave it out")
    if data.lengths and data.lengths[-1] > architecture.max_length:
        raise UserError(
            f"config field `data.lengths` ends at {data.lengths[-1]}, but "
            f"{model.weights} reads at most {architecture.max_length} tokens"
        )
    return architecture


def data_of(experiment: Experiment) -> Data:
    """The labelled rows of the experiment; a UserError where it has other data."""
    data = experiment.data
    if not isinstance(data, Data):
        raise UserError(f"config field `data` must be Data for classification, not {data!r}")
    return data


def model_of(experiment: Experiment) -> Model:
    """The trained backbone of the experiment; a UserError where it has another."""
    model = experiment.model
    if not isinstance(model, Model):
        raise UserError(f"config field `model` must be Model for classification, not {model!r}")
    return model


def check_regression(experiment: Experiment, layers: tuple[int, ...]) -> None:
    """Raises the one-line error of the first part that needs classes; a regression has none.

    Args:
      experiment: with labels that are numbers.
      layers: blocks run at each exit.
    """
    exits, data = experiment.exits, f"and `{data_of(experiment).name}` has none"
    serves = not traits(exits.confidence).needs_classes
    mend = "take `patience`, `learned` or `saturation`"
    what = f"`{exits.confidence}` needs classes, {data}: {mend}"
    check_field(serves, "exits.confidence", what)
    lte = experiment.learned is None or exits.learned.is_of_errors
    mend = "set learned.target to `correct` and learned.loss to `squared`"
    check_field(lte, "exits.learned", f"asks which answers are right, {data}: {mend}")
    # Traces do not know `exits.tolerance`, without which calibration cannot count.
    mend = "set it to 0 and exits.confidence to `patience`"
    what = f"is calibrated on classes, {data}: {mend}"
    check_field(not exits.patience, "exits.patience", what)
    layout = ExitLayout(layers, shared=exits.head == "shared")
    for strategy in experiment.strategies:
        terms = [term for stage in strategy.stages(layout) for term in stage.losses]
        needs = any(term.loss.needs_classes for term in terms)
        what = f"`{strategy.name}` learns a distribution over classes, {data}: leave it out"
        check_field(not needs, "strategies", what)


def load_corpus(experiment: Experiment, longest: int) -> Corpus:
    """Prepares the data set where it is missing, and encodes its splits.

    Args:
      experiment: with labelled rows.
      longest: tokens that the backbone can read, where the config names no lengths.
    """
    data = data_of(experiment)
    directory = DatasetDir.of(data.name, data.folder, data.columns)
    prepared = prepare_at(directory, data.manual_dir)
    tokenizer = load_tokenizer(find_weights(model_of(experiment).weights))
    examples = {name: open_at(directory, name) for name in SPLITS}
    most = data.lengths[-1] if data.lengths else longest
    rows = {name: encode(tokenizer, found.texts, most) for name, found in examples.items()}
    lengths = data.lengths or propose_lengths([len(row) for row in rows["train"]])
    splits = {name: Split(rows[name], examples[name].label_N, lengths) for name in SPLITS}
    record = {
        "name": data.name,
        "version": prepared.folder.name,
        "rows": {name: len(split.rows) for name, split in splits.items()},
        "lengths": list(lengths),
        "duplicates": duplicates({name: found.texts for name, found in examples.items()}),
        "checksum": {name: tally.sha256 for name, tally in prepared.splits.items()},
        "classes": list(prepared.classes),
    }
    kind = directory.kind
    metrics = experiment.evaluation.metrics or kind.METRICS
    return Corpus(splits, prepared.classes, metrics, kind.LABEL_RANGE, record)


def make_model(
    experiment: Experiment, architecture: Architecture, classes: int
) -> tuple[ExitModel, Parameters]:
    """The model as shapes only, and its parameters before training."""
    exits = experiment.exits
    learned = experiment.learned is not None
    shared = learned and exits.learned.shared
    layers = exits.resolve(architecture.blocks)
    design = ExitDesign(layers, classes, exits.head, exits.pooling, learned, shared)
    backbone = load_backbone(find_weights(model_of(experiment).weights))
    model = ExitModel(backbone, design, rngs=nnx.Rngs(experiment.seed))
    values = parameters(model)
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), model), values
