"""Rows of the TSV files of GLUE, as the official archives hold them.

A file is UTF-8, sometimes with a byte-order mark; its lines end with "\\n" or "\\r\\n" (other
line separators of Unicode are part of a text) and its columns with a tab; a quotation mark is
a character like any other, so no csv reader is used. It may be gzipped.
"""

import gzip
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ee_jax.data.builder import Row
from ee_jax.errors import UserError

_FETCH = "fetch the file again"


@dataclass(frozen=True)
class Task:
    """A task of single sentences, and what its official files look like."""

    folder: str  # as the official archive spells it
    text: str  # column
    label: str  # column
    labels: tuple[str, ...]  # as the files write them, in the order of the classes
    rows: dict[str, int]  # file -> its official number of rows
    columns: tuple[str, ...] | None = None  # of files without a header

    @property
    def files(self) -> str:
        """What the folder that the user fetched has to hold, in words."""
        names = " and ".join(f"{self.folder}/{file}.tsv" for file in self.rows)
        return f"{names} (or .tsv.gz) of the official GLUE archive"


def read_rows(task: Task, folder: Path, file: str) -> list[Row]:
    """Text, without the spaces around it, and class of each row of `file` of `task`.

    Raises:
      UserError: no such file; not text; a missing column; a wrong label; too few or many rows.
    """
    path = _find(task, folder, file)
    lines = _lines(path)
    first, columns = (1, task.columns) if task.columns else (2, tuple(lines[0].split("\t")))
    for column in (task.text, task.label):
        if column not in columns:
            found = ", ".join(columns)
            raise UserError(f"{path}:1: no column `{column}`, only {found:.80}: {_FETCH}")
    table = [line.split("\t") for line in lines[first - 1 :]]
    for number, fields in enumerate(table, first):
        if len(fields) != len(columns):
            counts = f"{len(fields)} columns, not {len(columns)}"
            raise UserError(f"{path}:{number}: {counts}: {_FETCH}")
    if len(table) != task.rows[file]:
        counts = f"{len(table):,} rows, not the official {task.rows[file]:,}"
        raise UserError(f"{path} has {counts}: {_FETCH}")
    text, label = columns.index(task.text), columns.index(task.label)
    class_of = {written: number for number, written in enumerate(task.labels)}
    for number, fields in enumerate(table, first):
        if fields[label] not in class_of:
            wrong = f"label `{fields[label]:.40}` is none of {', '.join(task.labels)}"
            raise UserError(f"{path}:{number}: {wrong}: {_FETCH}")
    return [(fields[text].strip(), class_of[fields[label]]) for fields in table]


def _find(task: Task, folder: Path, file: str) -> Path:
    """The file, plain or gzipped; `SST-2`, `sst2` and `SST2` are the same folder."""
    if not folder.is_dir():
        raise UserError(f"no folder {folder}: it should hold {task.files}")
    wanted = _plain(task.folder)
    folders = [path for path in sorted(folder.iterdir()) if _plain(path.name) == wanted]
    if not folders:
        raise UserError(f"no folder {task.folder} in {folder}: it should hold {task.files}")
    names = (f"{file}.tsv", f"{file}.tsv.gz")
    found = [path for inner in folders for name in names if (path := inner / name).is_file()]
    if not found:
        raise UserError(f"no {names[0]} and no {names[1]} in {folders[0]}: {_FETCH}")
    return found[0]


def _plain(name: str) -> str:
    return name.replace("-", "").casefold()


def _lines(path: Path) -> Sequence[str]:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
        text = content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise UserError(f"cannot read {path} ({error}): {_FETCH}") from error
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]
