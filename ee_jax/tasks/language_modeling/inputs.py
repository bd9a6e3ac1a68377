"""What a language model's run works on: weights, tokenizer, rows of tokens."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from flax import nnx
from tokenizers import Tokenizer

from ee_jax.checks import check as check_field
from ee_jax.checks import check_name
from ee_jax.config import Evaluation, Exits, Experiment, Model, Scratch, SelfGenerated, Text
from ee_jax.data.batches import Split
from ee_jax.data.bpe import encode_documents
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.prepared import open_at, prepare_at
from ee_jax.data.registry import TEXT, root_folder
from ee_jax.data.self_generated import read_ids, self_generated
from ee_jax.data.text import TokenRow, pack
from ee_jax.data.text_files import builder_of_text_path
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.exits.confidence import traits
from ee_jax.inference.generator import draft_exit_at
from ee_jax.inference.kv_policies import POLICIES
from ee_jax.inference.memory import check_memory
from ee_jax.models.architecture import Architecture
from ee_jax.models.export import add_exits, read_language, shapes_of, with_exits
from ee_jax.models.families.llama import llama
from ee_jax.models.language import LanguageDesign, LanguageModel
from ee_jax.models.transformer import Parameters, Transformer, parameters
from ee_jax.run_folder import RunFolder
from ee_jax.tasks.language_modeling.tokenizer import (
    Writer,
    keep_pretrained,
    keep_trained,
    start_of,
    tokenizer_of,
)

# The splits of a run, and what they are called in a data set of text.
SPLITS = {"train": "train", "calibration": "validation", "test": "test"}
OWN = 2**32  # apart from the seeds of the other two splits


class Weights(NamedTuple):
    """A model before it has exits."""

    config: Architecture
    values: Parameters


@dataclass(frozen=True)
class Rows:
    """The splits as rows of T + 1 tokens, and where they came from."""

    splits: dict[str, Split]
    record: dict[str, Any]


def design_of(experiment: Experiment, blocks: int) -> LanguageDesign:
    """The exits of a model of so many blocks."""
    exits, learned = experiment.exits, experiment.learned is not None
    return LanguageDesign(exits.resolve(blocks), exits.own_norms, learned)


def data_of(experiment: Experiment) -> Text | SelfGenerated:
    """The text of the experiment; a UserError where it has other data, or none can be had."""
    data = experiment.data
    if not isinstance(data, Text | SelfGenerated):
        mend = "must be Text or SelfGenerated for language_modeling"
        raise UserError(f"config field `data` {mend}, not {data!r}")
    wrote = isinstance(data, SelfGenerated) and isinstance(experiment.model, Scratch)
    check_field(not wrote, "data", "`SelfGenerated` needs a model that has been trained")
    return data


def directory_of(data: Text) -> DatasetDir:
    """Where the documents of `text/NAME`, or of a file or folder of text, are kept."""
    if data.name.startswith(TEXT):
        return DatasetDir.of(data.name, data.folder)
    return DatasetDir(data.name, builder_of_text_path(data.name), root_folder(data.folder))


def check_exits(experiment: Experiment) -> None:
    """Raises the one-line error of what exits of a language model do not have."""
    exits, plain = experiment.exits, Exits()
    for name in ("head", "pooling"):
        same = getattr(exits, name) == getattr(plain, name)
        check_field(same, f"exits.{name}", "is of classifiers: leave it out")
    for name in experiment.confidences:
        many = f"`{name}` counts every token of the vocabulary: leave it out"
        check_field(not traits(name).counts_classes, "exits.confidence", many)
    check_field(not exits.learned.shared, "exits.learned.shared", "is of classifiers")
    calibration = experiment.calibration
    consistent = calibration.risk == "consistency"
    check_field(consistent, "calibration.risk", "of a language model is consistency")
    check_field(calibration.record is None, "calibration.record", "is of classifiers")


def check(experiment: Experiment) -> Weights:
    """The weights before training, once nothing is wrong with the config, them and the text.

    A data set of text is prepared here, where it has not been.

    Raises:
      UserError: something is, before any long work.
    """
    model, data = experiment.model, data_of(experiment)
    check_exits(experiment)
    for policy in experiment.evaluation.policies:
        check_name(policy, POLICIES, "evaluation.policies")
    if isinstance(model, Scratch):
        weights = from_scratch(model, data.length, experiment.seed)
    else:
        model = model_of(experiment)
        weights = Weights(*read_language(model.weights))
        needs = tokenizer_of if isinstance(data, Text) else start_of
        needs(model, weights.config.vocabulary)
    # A text's last token is only predicted, one that a model writes counts as read.
    longest = weights.config.max_length - isinstance(data, SelfGenerated)
    if data.length > longest:
        raise UserError(
            f"config field `data.length` is {data.length}, but for the model it can be at most "
            f"{longest} tokens"
        )
    check_memory(*weights, experiment.evaluation.batch, data.length, tokens=0, spare=0)
    design = design_of(experiment, weights.config.blocks)
    check_decoding(experiment.evaluation, design, data.length)
    if isinstance(data, Text):
        prepare_at(directory_of(data), data.manual_dir)
    return weights


def model_of(experiment: Experiment) -> Model:
    """The trained model of the experiment; a UserError where it has another."""
    model = experiment.model
    if not isinstance(model, Model):
        mend = "must be Model or Scratch for language_modeling"
        raise UserError(f"config field `model` {mend}, not {model!r}")
    return model


def weights_of(experiment: Experiment) -> str:
    """What the config names, or that they are random."""
    return getattr(experiment.model, "weights", "random")


def data_in_words(experiment: Experiment) -> str:
    """The documents of a data set of text, or how many rows the model will write."""
    data = data_of(experiment)
    if isinstance(data, SelfGenerated):
        counts, what = {split: getattr(data, split) for split in SPLITS}, "rows to be sampled"
    else:
        splits = directory_of(data).load().splits
        counts, what = {split: splits[kept].rows for split, kept in SPLITS.items()}, "documents"
    rows = ", ".join(f"{split} {count:,}" for split, count in counts.items())
    return (
        f"{getattr(data, 'name', 'self-generated')}: {what}: {rows}; {data.length} tokens a row"
    )


def check_decoding(evaluation: Evaluation, design: LanguageDesign, length: int) -> None:
    """Raises the one-line error of texts to decode that rows of this length cannot begin."""
    speculation, decoding = evaluation.speculation, evaluation.decoding
    for depth in speculation.depths if speculation else ():
        draft_exit_at(design, depth)
    if decoding and (needs := decoding.prompt + decoding.tokens) > length:
        raise UserError(
            f"config field `evaluation.decoding` needs {needs} tokens for a prompt and what "
            f"follows, more than `data.length`, {length}"
        )
    check_field(
        decoding is not None or speculation is None,
        "evaluation.speculation",
        "is timed on the prompts of `evaluation.decoding`, which is None",
    )
    most = max(evaluation.batches)
    if decoding and decoding.prompts < most:
        raise UserError(
            f"config field `evaluation.decoding.prompts` must fill a batch of {most}, and are "
            f"{decoding.prompts}"
        )


class Sources:
    """The rows of an experiment, and the tokenizer that made them, in a run's folder."""

    def __init__(
        self,
        experiment: Experiment,
        weights: Weights,
        folder: RunFolder,
        display: Display,
    ):
        self._experiment, self._weights = experiment, weights
        self._folder, self._display = folder, display

    def rows(self) -> Rows:
        """The rows of the experiment's data."""
        data = data_of(self._experiment)
        if isinstance(data, Text):
            return self.text(data)
        return self.self_generated(data, model_of(self._experiment))

    def text(self, data: Text) -> Rows:
        """A data set of text, packed; the tokenizer is trained on it where there is none."""
        directory = directory_of(data)
        prepared = prepare_at(directory, data.manual_dir)
        texts = {split: _documents(directory, kept) for split, kept in SPLITS.items()}
        tokenizer = self._tokenizer(texts["train"])
        rows = {
            split: pack(encode_documents(tokenizer, texts[split]), data.length + 1)
            for split in SPLITS
        }
        checksum = {split: prepared.splits[kept].sha256 for split, kept in SPLITS.items()}
        return _rows(data.name, prepared.folder.name, rows, data.length, checksum)

    def _tokenizer(self, documents: Sequence[str]) -> Tokenizer:
        model = self._experiment.model
        if isinstance(model, Scratch):
            return keep_trained(model, documents, self._folder)
        return keep_pretrained(
            model_of(self._experiment), self._weights.config.vocabulary, self._folder
        )

    def self_generated(self, data: SelfGenerated, model: Model) -> Rows:
        """What the model writes, sampled once and kept; no tokenizer has a part in it."""
        config = self._weights.config
        try:
            keep_pretrained(model, config.vocabulary, self._folder)
        except UserError as missing:
            self._display.say(f"{missing}; `ee-jax generate` will need it")
        writing = with_exits(*self._weights, LanguageDesign((config.blocks,)))
        start = start_of(model, config.vocabulary)
        writer = Writer(writing, start, data.length, data.batch)
        counts = {split: getattr(data, split) for split in SPLITS}
        seed = self._experiment.seed
        seeds = {"train": 2 * seed, "test": 2 * seed + 1, "calibration": OWN + seed}

        def sample(split: str) -> Iterator[TokenRow]:
            batches = math.ceil(counts[split] / data.batch)
            with self._display.bar(f"sample rows for {split}", batches) as tick:
                yield from writer.rows(counts[split], seeds[split], tick)

        samples: dict[str, Callable[[], Iterator[TokenRow]]] = {
            split: partial(sample, split) for split in SPLITS
        }
        directory = self_generated(self._folder.path / "data", samples)
        prepared = prepare_at(directory)
        rows = {split: read_ids(_documents(directory, split)) for split in SPLITS}
        checksum = {split: prepared.splits[split].sha256 for split in SPLITS}
        return _rows(directory.name, prepared.folder.name, rows, data.length, checksum)


def _documents(directory: DatasetDir, split: str) -> list[str]:
    """The texts of a split, none of which is a pair."""
    return [text for text in open_at(directory, split).texts if isinstance(text, str)]


def _rows(
    name: str,
    version: str,
    rows: dict[str, list[TokenRow]],
    length: int,
    checksum: dict[str, str],
) -> Rows:
    splits = {
        split: Split(each, np.zeros(len(each), np.int32), (length + 1,))
        for split, each in rows.items()
    }
    record = {
        "name": name,
        "version": version,
        "rows": {split: len(each) for split, each in rows.items()},
        "tokens": {split: sum(map(len, each)) for split, each in rows.items()},
        "length": length,
        "checksum": checksum,
    }
    return Rows(splits, record)


def from_scratch(model: Scratch, length: int, seed: int) -> Weights:
    """Random weights of the sizes asked for, the output tied to the embedding."""
    config = llama(
        model.vocabulary, model.width, model.blocks, model.heads, model.kv_heads, model.hidden,
        max_length=length,
    )  # fmt: skip
    config, rngs = replace(config, tied_output=True), nnx.Rngs(seed)
    made = LanguageModel(
        Transformer(config, rngs=rngs), LanguageDesign((config.blocks,)), rngs=rngs
    )
    return Weights(config, parameters(made))


def make_language_model(
    experiment: Experiment, weights: Weights
) -> tuple[LanguageModel, Parameters]:
    """The model with its exits as shapes only, and its parameters before training."""
    design = design_of(experiment, weights.config.blocks)
    shapes = shapes_of(weights.config, design)
    return shapes, add_exits(weights.config, weights.values, design)
