"""The rows of tokens of a language model's run: packed from text, or written by the model."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from tokenizers import Tokenizer

from ee_jax.config import Experiment, Model, Scratch, SelfGenerated, Text
from ee_jax.data.batches import Split
from ee_jax.data.bpe import encode_documents
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.prepared import open_at, prepare_at
from ee_jax.data.self_generated import read_ids, self_generated
from ee_jax.data.text import TokenRow, pack
from ee_jax.display import Display
from ee_jax.errors import UserError
from ee_jax.models.language_source import find_language
from ee_jax.run_folder import RunFolder
from ee_jax.tasks.language_modeling.inputs import data_of, directory_of, model_of
from ee_jax.tasks.language_modeling.writer import writers
from ee_jax.tasks.token_exits import SPLITS, Weights
from ee_jax.tasks.tokenizer import keep_pretrained, keep_trained

OWN = 2**32  # apart from the seeds of the other two splits


@dataclass(frozen=True)
class Rows:
    """The splits as rows of T + 1 tokens, and where they came from."""

    splits: dict[str, Split]
    record: dict[str, Any]


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
            return keep_trained(model.vocabulary, documents, self._folder)
        source = find_language(model_of(self._experiment).weights)
        return keep_pretrained(source, self._weights.config.vocabulary, self._folder)

    def self_generated(self, data: SelfGenerated, model: Model) -> Rows:
        """What the model writes, sampled once and kept; no tokenizer has a part in it."""
        config = self._weights.config
        try:
            keep_pretrained(find_language(model.weights), config.vocabulary, self._folder)
        except UserError as missing:
            self._display.say(f"{missing}; `ee-jax generate` will need it")
        writer = writers(data, model, self._weights)
        counts = {split: getattr(data, split) for split in SPLITS}
        seed = self._experiment.seed
        seeds = {"train": 2 * seed, "test": 2 * seed + 1, "calibration": OWN + seed}

        def sample(split: str) -> Iterator[TokenRow]:
            batches = math.ceil(counts[split] / data.batch)
            with self._display.bar(f"sample rows for {split}", batches) as tick:
                yield from writer[split].rows(counts[split], seeds[split], tick)

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
