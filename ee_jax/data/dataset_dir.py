"""Where a data set is kept, what is written down beside it, and what to say when it is broken.

<root>/<name>/<version>/                  glue/sst2 is in glue_sst2
  *.array_record, dataset_info.json, ...   written by TFDS
  rows.json                                source, classes, each split's rows and SHA-256
"""

import json
from dataclasses import dataclass
from pathlib import Path

from ee_jax.data.builder import RowsBuilder, Tally
from ee_jax.data.columns import Columns
from ee_jax.data.registry import builder_of, root_folder
from ee_jax.errors import UserError

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
            record = json.loads((self.folder / _RECORD).read_text())
            splits = {split: Tally(**tally) for split, tally in record["splits"].items()}
            classes, source = tuple(record["classes"]), record["source"]
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise self.broken(f"{_RECORD} cannot be read") from error
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
