"""Texts without labels: lines, tables, and GLUE's test files with what a submission needs."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ee_jax.atomic_io import expanded
from ee_jax.data.dataset_dir import Columns, find_texts
from ee_jax.data.glue import GlueBuilder
from ee_jax.data.registry import builder_of
from ee_jax.data.tables import ENDINGS, check_text, read_table, read_text
from ee_jax.data.text import Text
from ee_jax.errors import UserError


def read_unlabelled(name: str, columns: Columns) -> Iterator[Text]:
    """The texts of a file; `-`: lines of standard input, as they come.

    Args:
      name: a table, told by its ending, or lines of text, one a line.
      columns: of a table, where their names do not tell.

    Raises:
      UserError: it cannot be read, holds no text, or an empty one; says where.
    """
    if name == "-":
        yield from _lines("standard input", sys.stdin)
        return
    path = expanded(name)
    if not path.is_file():
        raise UserError(f"no file {path}: give a file of texts, or - for standard input")
    if path.suffix in ENDINGS:
        yield from _table(path, columns)
    else:
        yield from _lines(str(path), io.StringIO(read_text(path), None))  # as open() has it


def _lines(where: str, lines: Iterator[str]) -> Iterator[str]:
    number = 0
    try:
        for number, line in enumerate(lines, start=1):
            text = line.rstrip("\r\n")
            if not text.strip():
                raise UserError(f"{where}:{number}: an empty line: leave it out")
            if not text.isascii():
                text.encode()
            yield text
    except UnicodeError:  # some locales read other bytes as halves of surrogate pairs
        raise UserError(f"{where}: not UTF-8 text after line {number}") from None
    if not number:
        raise UserError(f"{where} holds no text")


def _table(path: Path, columns: Columns) -> Iterator[Text]:
    lines = read_table(path)
    text, pair = find_texts(list(lines[0].fields), columns, str(path))
    for line in lines:
        names = [name for name in (text, pair) if name is not None]
        found = [check_text(line.fields.get(name), line.where) for name in names]
        yield found[0] if len(found) == 1 else (found[0], found[1])


class Submission(NamedTuple):
    """A test file of GLUE without labels, and how its answers are written."""

    index: list[str]
    texts: list[Text]
    written: Callable[[str | float], str]  # from a class's name, or a score


def read_submission(data: str, name: str) -> Submission:
    """The rows of GLUE's test file of the task that a model was trained on.

    Args:
      data: the data set of the model, such as `glue/rte`.
      name: the official test file, with a column `index`.

    Raises:
      UserError: the model is of another data set, or the file is no such file.
    """
    kind = builder_of(data) if data.startswith("glue/") else None
    if kind is None or not issubclass(kind, GlueBuilder):
        raise UserError(f"a submission is of a task of GLUE, and the model of `{data}`")
    path, task = expanded(name), kind.TASK
    if not path.is_file():
        raise UserError(f"no file {path}: give the official test.tsv of {task.folder}")
    header, *lines = [line.split("\t") for line in read_text(path).split("\n") if line.strip()]
    header = [column.strip() for column in header]
    if missing := [column for column in ("index", *task.texts) if column not in header]:
        raise UserError(f"{path}:1: no column `{missing[0]}`: give the official test file")
    index, texts = [], []
    for number, fields in enumerate(lines, start=2):
        if len(fields) != len(header):
            mend = f"{len(fields)} columns, not {len(header)}: fetch the file again"
            raise UserError(f"{path}:{number}: {mend}")
        field = dict(zip(header, fields, strict=True))
        found = [field[column].strip() for column in task.texts]
        index.append(field["index"])
        texts.append(found[0] if len(found) == 1 else (found[0], found[1]))
    return Submission(index, texts, _written(kind))


def _written(kind: type[GlueBuilder]) -> Callable[[str | float], str]:
    """Classes as GLUE's files write them; scores to three digits, within their range."""
    if kind.TASK.scores is not None:
        low, high = kind.TASK.scores
        return lambda score: f"{min(max(float(score), low), high):.3f}"
    words = dict(zip(kind.CLASSES, kind.TASK.labels, strict=True))
    return lambda label: words[str(label)]
