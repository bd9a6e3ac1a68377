"""`self_generated`: rows of tokens that a language model wrote.

A row is kept as its ids in decimal numbers rather than as text, which another encoding of the
text would not give back.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds

from ee_jax.data.builder import Row, RowsBuilder
from ee_jax.data.dataset_dir import DatasetDir
from ee_jax.data.text import TokenRow

Sample = Callable[[], Iterator[TokenRow]]


class SelfGenerated(RowsBuilder, skip_registration=True):
    """What `samples` draw, a function for each split."""

    name = "self_generated"
    VERSION = tfds.core.Version("1.0.0")
    SOURCE = "text sampled from a model"
    DESCRIPTION = "Rows of tokens that a language model wrote, as decimal numbers."
    samples: dict[str, Sample]

    def classes(self) -> list[str]:
        """All rows are of one kind."""
        return ["sampled"]

    def rows(self) -> dict[str, Iterable[Row]]:
        """The ids of each row."""
        return {split: map(_written, sample()) for split, sample in self.samples.items()}


def _written(ids: TokenRow) -> Row:
    return " ".join(map(str, ids.tolist())), 0


def read_ids(texts: Sequence[str]) -> list[TokenRow]:
    """The rows as they were sampled."""
    return [np.array(text.split(), np.int32) for text in texts]


def self_generated(root: Path, samples: dict[str, Sample]) -> DatasetDir:
    """The place of such a data set under `root`."""
    kind = type("Sampled", (SelfGenerated,), {"samples": samples}, skip_registration=True)
    return DatasetDir(SelfGenerated.name, kind, root)
