"""The TFDS builder that every data set of texts, or pairs of texts, and labels shares.

It works without TensorFlow as long as the files are `array_record`; TFDS's parquet writer loses
rows (its `file_adapters._batched` slices an iterator that has already moved on).
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow_datasets as tfds

from ee_jax.data.text import Text

Row = tuple[Text, int | float]  # with its label: a class, or a number where there are none


class Tally(NamedTuple):
    """How many rows a split has, and the SHA-256 over all of them in order."""

    rows: int
    sha256: str


class Tallying:
    """Counts and hashes the rows that pass through it, once, in order."""

    def __init__(self, rows: Iterable[Row]) -> None:
        self._rows, self._count, self._hash = rows, 0, hashlib.sha256()

    def __iter__(self) -> Iterator[Row]:
        for row in self._rows:
            self._count += 1
            self._hash.update(json.dumps(row).encode())
            yield row

    @property
    def tally(self) -> Tally:
        """The tally of the rows so far."""
        return Tally(self._count, self._hash.hexdigest())


def tally_of(rows: Iterable[Row]) -> Tally:
    """The tally of `rows`."""
    tallying = Tallying(rows)
    for _ in tallying:
        pass
    return tallying.tally


class RowsBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Writes `rows()` in the order given and remembers their tallies in `written`.

    A data set sets `VERSION`, `SOURCE` (what the rows were made from; data made from another
    source is out of date) and `DESCRIPTION`, and defines `classes` and `rows`; where the rows
    are pairs of texts it sets `PAIRS`. One that is made from files which the user fetches says
    in `MANUAL` what they are, and finds them in the folder `manual_dir` if the user names one.
    One that is judged by more than accuracy names its `METRICS`.

    A regression has no classes, and the lowest and the highest label in `LABEL_RANGE`. Labels
    are then float32, here and in the files, and `rows` gives values that a float32 holds.
    """

    # Where TFDS would look for checksums of downloads. To find the place by itself it needs
    # `importlib_resources`, which it does not install.
    code_path = None
    SOURCE: ClassVar[str]
    DESCRIPTION: ClassVar[str]
    PAIRS: ClassVar[bool] = False
    MANUAL: ClassVar[str | None] = None
    METRICS: ClassVar[tuple[str, ...]] = ("accuracy",)  # the main one first
    LABEL_RANGE: ClassVar[tuple[float, float] | None] = None

    def __init__(self, *, manual_dir: Path | None = None, **kwargs: Any) -> None:
        self.manual_dir = manual_dir
        super().__init__(**kwargs)

    @classmethod
    def source_of(cls, manual_dir: Path | None) -> str:
        """`SOURCE`, and which files it was where they may be any."""
        return cls.SOURCE

    def classes(self) -> list[str]:
        """Names of the classes, in the order of their labels; none if labels are numbers."""
        raise NotImplementedError

    def rows(self) -> dict[str, Iterable[Row]]:
        """The rows of each split."""
        raise NotImplementedError

    def _info(self) -> tfds.core.DatasetInfo:
        names = self.classes()
        texts = ("text", "second") if self.PAIRS else ("text",)
        features = {
            **{text: tfds.features.Text() for text in texts},
            "label": tfds.features.ClassLabel(names=names) if names else np.float32,
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,  # files keep the order in which the rows were tallied
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Any]:
        self._tallying = {split: Tallying(rows) for split, rows in self.rows().items()}
        return {split: self._generate_examples(rows) for split, rows in self._tallying.items()}

    def _generate_examples(self, rows: Iterable[Row]) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, (text, label) in enumerate(rows):
            texts = {"text": text[0], "second": text[1]} if self.PAIRS else {"text": text}
            yield number, {**texts, "label": label}

    @property
    def written(self) -> dict[str, Tally]:
        """The tally of each split as it was generated."""
        return {split: rows.tally for split, rows in self._tallying.items()}
