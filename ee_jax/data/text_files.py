"""Documents of a user's text files, for language models.

`text/NAME` is the folder that the config names, under a name of the user's; or the name is the
path itself: a file, or a folder whose files may lie nested. Text, plain or gzipped, or JSON
lines with a `text`, each of which is a document of its own.
"""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import tensorflow_datasets as tfds

from ee_jax.atomic_io import expanded
from ee_jax.data.builder import Row, RowsBuilder
from ee_jax.data.documents import splits_of
from ee_jax.data.registry import nearest
from ee_jax.data.tables import read_table, read_text
from ee_jax.errors import UserError

JSON_LINES = ".jsonl"
ENDINGS = (".txt", ".txt.gz", JSON_LINES)
KINDS = "one or more files that end in .txt, .txt.gz or .jsonl"


class TextFiles(RowsBuilder, skip_registration=True):
    """Documents of the text files in `manual_dir`, and the files they stand in."""

    VERSION = tfds.core.Version("1.1.0")  # of documents and splits
    SOURCE = "text files"
    DESCRIPTION = "Documents of text files, each with the file it stands in."
    MANUAL: ClassVar[str | None] = KINDS
    WHERE: ClassVar[Path | None] = None  # the path that the name is, if it is one

    @classmethod
    def source_of(cls, manual_dir: Path | None) -> str:
        """Says which files, so that a change of them is found."""
        return f"{cls.SOURCE}, sha256 {_digest(cls._files(manual_dir))}"

    @classmethod
    def _files(cls, manual_dir: Path | None) -> dict[str, Path]:
        return find(manual_dir) if cls.WHERE is None else find(cls.WHERE, nested=True)

    def classes(self) -> list[str]:
        """The files' names."""
        return [*self._files(self.manual_dir)]

    def rows(self) -> dict[str, Iterable[Row]]:
        """The documents of each split, in the order of the files."""
        files, where = self._files(self.manual_dir), self.WHERE or self.manual_dir
        splits = splits_of({name: read(path) for name, path in files.items()})
        empty = [split for split, rows in splits.items() if not rows]
        if empty:
            raise UserError(
                f"the text in {where} gives no document for {', '.join(empty)}: add text, or "
                "name the files of each split so: train.txt, valid.txt, test.txt"
            )
        return dict(splits)


def builder_of_text(name: str) -> type[TextFiles]:
    """The builder of the data set `text/NAME`."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        made = "lower-case letters, digits and _, as in text/shakespeare"
        raise UserError(f"no data set `text/{name}`: name your own text with {made}")
    return _builder({"name": f"text_{name}"})


def builder_of_text_path(name: str) -> type[TextFiles]:
    """The builder of the text in a file or folder; its name changes when the text does.

    Raises:
      UserError: there is no text.
    """
    path = expanded(name)
    plain = re.sub(r"\W+", "_", path.name.split(".")[0].lower()).strip("_")
    named = f"text_{plain}_{_digest(find(path, nested=True))[:12]}"
    return _builder({"name": named, "WHERE": path, "MANUAL": None})


def _builder(body: dict[str, Any]) -> type[TextFiles]:
    # TFDS reads the name from the class.
    return type("Text", (TextFiles,), body, skip_registration=True)


def _digest(files: dict[str, Path]) -> str:
    digest = hashlib.sha256()
    for name, path in files.items():
        digest.update(f"{name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def find(where: Path | None, nested: bool = False) -> dict[str, Path]:
    """The file itself, or the text files in a folder, each by its name in there.

    Args:
      where: a file or a folder; None: the user named none.
      nested: whether folders in the folder are searched too.
    """
    if where is None:
        ways = "`--manual-dir` (in a config: `data.manual_dir`)"
        raise UserError(f"name the folder of your text files with {ways}")
    if where.is_file() and where.name.endswith(ENDINGS):
        return {where.name: where}
    if not where.is_dir():
        beside = [path.name for path in where.parent.glob("*")]
        near = nearest(where.name, beside) if beside else f"it should hold {KINDS}"
        what = "is no text" if where.exists() else "is not there"
        raise UserError(f"no folder {where}: it {what}; {near}")
    inside = where.rglob("*") if nested else where.iterdir()
    found = sorted(path for path in inside if path.name.endswith(ENDINGS) and path.is_file())
    if not found:
        raise UserError(f"no text in {where}: it should hold {KINDS}")
    return {str(path.relative_to(where)): path for path in found}


def read(path: Path) -> str | list[str]:
    """The text of a file, newlines made `\\n`; or of JSON lines each line's `text`."""
    if path.name.endswith(JSON_LINES):
        return [_text(line.where, line.fields) for line in read_table(path)]
    text = read_text(path)
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _text(where: str, fields: dict[str, Any]) -> str:
    if not isinstance(fields.get("text"), str):
        raise UserError(f"{where}: no `text`, which every line must have")
    return fields["text"]
