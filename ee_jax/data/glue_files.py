"""Rows of the TSV files of GLUE, as the official archives hold them.

A file is UTF-8, sometimes with a byte-order mark (MRPC); its lines end as Python's universal
newlines do (other line separators of Unicode are part of a text) and its columns with a tab; a
quotation mark is a character like any other, so no csv reader is used. It may be gzipped.
"""

import io
import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np

from ee_jax.data.builder import Row
from ee_jax.data.tables import gunzip
from ee_jax.errors import UserError

_FETCH = "fetch the file again"


@dataclass(frozen=True)
class Task:
    """A task, and what its official files look like."""

    folder: str  # as the official archive spells it
    texts: tuple[str, ...]  # column of the text, or columns of the two texts of a pair
    label: str  # column
    rows: dict[str, int]  # file -> its official number of rows, the training set first
    labels: tuple[str, ...] = ()  # as the files write them, in the order of the classes
    scores: tuple[float, float] | None = None  # instead of classes: the lowest and highest
    columns: tuple[str, ...] | None = None  # of files without a header
    # A few rows are broken, by ends of lines within them, and left out; a text may be empty.
    unedited: bool = False

    @property
    def config(self) -> str:
        """Its name in lower case, as TFDS has it."""
        return _plain(self.folder)

    @property
    def files(self) -> str:
        """What the folder that the user fetched has to hold, in words."""
        *others, last = (f"{self.folder}/{file}.tsv" for file in self.rows)
        return f"{', '.join(others)} and {last} (or .tsv.gz) of the official GLUE archive"

    def check_rows(self, found: int, file: str, where: str) -> None:
        """Raises unless as many rows of `file` were found as there are officially."""
        if found != self.rows[file]:
            counts = f"{found:,} rows, not the official {self.rows[file]:,}"
            raise UserError(f"{where} has {counts}: {_FETCH}")


def read_rows(task: Task, file: str, folder: Path) -> list[Row]:
    """Text or texts, without the spaces around them, and label of each row of `file` of `task`.

    Raises:
      UserError: no such file; not text; a missing column; an empty text; a wrong label; too few
        or too many rows.
    """
    path = _find(task, file, folder)
    try:
        with io.BytesIO(gunzip(path)) if path.suffix == ".gz" else path.open("rb") as content:
            lines = io.TextIOWrapper(content, "utf-8-sig")
            rows = list(_rows(task, path, lines))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} ({error}): {_FETCH}") from error
    task.check_rows(len(rows), file, str(path))
    return rows


def _rows(task: Task, path: Path, lines: TextIO) -> Iterator[Row]:
    first, columns = (1, task.columns) if task.columns else (2, _fields(lines.readline()))
    for column in (*task.texts, task.label):
        if column not in columns:
            found = ", ".join(columns)
            raise UserError(f"{path}:1: no column `{column}`, only {found:.80}: {_FETCH}")
    for number, line in enumerate(lines, first):
        fields = _fields(line)
        if task.unedited and len(fields) != len(columns):
            continue
        try:
            yield _row(task, columns, fields)
        except ValueError as error:
            raise UserError(f"{path}:{number}: {error}: {_FETCH}") from None


def _fields(line: str) -> tuple[str, ...]:
    return tuple(line.removesuffix("\n").split("\t"))


def _row(task: Task, columns: tuple[str, ...], fields: tuple[str, ...]) -> Row:
    """The row; a ValueError says what is wrong with it."""
    if len(fields) != len(columns):
        raise ValueError(f"{len(fields)} columns, not {len(columns)}")
    field = dict(zip(columns, fields, strict=True))
    texts = [field[column].strip() for column in task.texts]
    for column, text in zip(task.texts, texts, strict=True):
        if not (text or task.unedited):
            raise ValueError(f"column `{column}` is empty")
    text = (texts[0], texts[1]) if len(texts) == 2 else texts[0]
    return text, _label(task, field[task.label])


def _label(task: Task, written: str) -> int | float:
    """The class, or the score as a float32 holds it; a ValueError says what is wrong."""
    if task.scores is None:
        if written not in task.labels:
            raise ValueError(f"label `{written:.40}` is none of {', '.join(task.labels)}")
        return task.labels.index(written)
    low, high = task.scores
    try:
        score = float(written)
    except ValueError:
        score = math.nan
    if not low <= score <= high:
        raise ValueError(f"score `{written:.40}` is no number from {low:g} to {high:g}")
    return np.float32(score).item()


def _find(task: Task, file: str, folder: Path) -> Path:
    """The file, plain or gzipped; `SST-2`, `sst2` and `SST2` are the same folder."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: it should hold {task.files}")
    folders = [path for path in sorted(folder.iterdir()) if _plain(path.name) == task.config]
    if not folders:
        raise UserError(f"no folder {task.folder} in {folder}: it should hold {task.files}")
    names = (f"{file}.tsv", f"{file}.tsv.gz")
    found = [path for inner in folders for name in names if (path := inner / name).is_file()]
    if not found:
        raise UserError(f"no {names[0]} and no {names[1]} in {folders[0]}: {_FETCH}")
    return found[0]


def _plain(name: str) -> str:
    return name.replace("-", "").casefold()
