"""Where a data set is kept, what is written down beside it, and what to say when it is broken.

<root>/<name>/<version>/                  glue/sst2 is in glue_sst2
  *.array_record, dataset_info.json, ...   written by TFDS
  rows.json                                source, classes, each split's rows and SHA-256

Which columns of a table are text, the second text of a pair, and label.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from typeguard import CollectionCheckStrategy, TypeCheckError, check_type

from ee_jax.atomic_io import parse_object
from ee_jax.data.builder import RowsBuilder, Tally
from ee_jax.data.registry import builder_of, nearest, root_folder
from ee_jax.errors import UserError

TEXTS = ("text", "sentence")
PAIRS = (
    ("text_a", "text_b"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("premise", "hypothesis"),
    ("question", "sentence"),
)
LABELS = ("label", "score")
# The config's fields, and the command's, that name a column of another name.
FIELDS = {"text": "text_column", "pair": "pair_column", "label": "label_column"}


class Columns(NamedTuple):
    """Names of columns; None: not said, to be found by name."""

    text: str | None = None
    pair: str | None = None  # the second text
    label: str | None = None


def find_columns(header: Sequence[str], wanted: Columns, where: str) -> Columns:
    """The columns of a table by the names that are wanted, or else by usual names.

    Args:
      header: the names in the table.
      wanted: those that the user gave.
      where: the file, for errors.

    Returns:
      Text and label, and pair where there is a second text.

    Raises:
      UserError: a column is not there; says which fields name it.
    """
    text, pair = find_texts(header, wanted, where)
    label = wanted.label or next((name for name in LABELS if name in header), None)
    if label is None:
        raise _missing("label", LABELS, header, where)
    return Columns(text, pair, label)


def find_texts(header: Sequence[str], wanted: Columns, where: str) -> tuple[str, str | None]:
    """The columns of the text and, of a pair, of the second text; as `find_columns` does."""
    for kind, name in wanted._asdict().items():
        if name is not None and name not in header:
            near = nearest(name, list(header))
            raise UserError(f"{where}: no column `{name}` for {FIELDS[kind]}: {near}")
    if wanted.text is not None:
        return wanted.text, wanted.pair
    both = next((pair for pair in PAIRS if {*pair} <= {*header}), None)
    if both is not None and wanted.pair in (None, both[1]):
        return both
    text = next((name for name in TEXTS if name in header), None)
    if text is None:
        names = (*TEXTS, *(" + ".join(pair) for pair in PAIRS[:2]))
        raise _missing("text", names, header, where)
    return text, wanted.pair


def _missing(kind: str, names: Sequence[str], header: Sequence[str], where: str) -> UserError:
    return UserError(
        f"{where}: no column of the {kind}, such as {' or '.join(names)}, among "
        f"{', '.join(map(str, header))}: name it with data.{FIELDS[kind]} "
        f"(`--{FIELDS[kind].replace('_', '-')}` of `ee-jax data prepare`)"
    )


_RECORD = "rows.json"


@dataclass(frozen=True)
class Prepared:
    """A data set on disk."""

    folder: Path
    source: str  # what the rows were made from
    classes: tuple[str, ...]
    splits: dict[str, Tally]


@dataclass(frozen=True)
class DatasetDir:
    """The folder of one version of a data set."""

    name: str  # in the registry
    kind: type[RowsBuilder]
    root: Path

    @classmethod
    def of(
        cls, name: str, folder: str | Path | None, columns: Columns | None = None
    ) -> "DatasetDir":
        """The folder of data set `name` under `folder`; see `builder_of` and `root_folder`."""
        return cls(name, builder_of(name, columns), root_folder(folder))

    @property
    def folder(self) -> Path:
        """Where the files are."""
        return self.root / self.kind.name / str(self.kind.VERSION)

    def load(self) -> Prepared:
        """What is written down; a UserError if that is missing, broken or of another source."""
        if not self.folder.exists():
            where = f"data set `{self.name}` is not in {self.folder}"
            raise UserError(f"{where}: run {self._command}")
        try:
            record = parse_object((self.folder / _RECORD).read_text())
            splits = {split: Tally(**tally) for split, tally in record["splits"].items()}
            classes, source = tuple(record["classes"]), record["source"]
            every = CollectionCheckStrategy.ALL_ITEMS
            check_type((source, *classes), tuple[str, ...], collection_check_strategy=every)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, TypeCheckError):
            raise self.broken(f"{_RECORD} cannot be read") from None
        if source.partition(", sha256 ")[0] != self.kind.SOURCE:
            raise self.broken(f"it was made from {source}, not from {self.kind.SOURCE}")
        return Prepared(self.folder, source, classes, splits)

    def broken(self, what: str) -> UserError:
        """The error of a data set that has to be built anew."""
        where = f"data set `{self.name}` in {self.folder}"
        return UserError(f"{where}: {what}: delete that folder and run {self._command}")

    @property
    def _command(self) -> str:
        """Builds the data set where it was looked for."""
        elsewhere = "" if self.root == root_folder() else f"EE_JAX_DATA={self.root} "
        files = " --manual-dir DIR" if self.kind.MANUAL else ""
        return f"`{elsewhere}ee-jax data prepare {self.name}{files}`"


def write_down(prepared: Prepared, folder: Path) -> None:
    """Writes the record of `prepared` beside the files in `folder`."""
    splits = {split: tally._asdict() for split, tally in prepared.splits.items()}
    record = {"source": prepared.source, "classes": prepared.classes, "splits": splits}
    (folder / _RECORD).write_text(json.dumps(record, indent=2))
