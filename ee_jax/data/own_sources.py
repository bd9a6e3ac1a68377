"""Where a user's rows come from: files, TFDS, Hugging Face `datasets`, or a function."""

import importlib
import os
import sys
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ee_jax.atomic_io import expanded
from ee_jax.data.builder import RowsBuilder
from ee_jax.data.dataset_dir import Columns, find_columns
from ee_jax.data.labels import Labelled
from ee_jax.data.own_rows import Given, builder_of_rows
from ee_jax.data.registry import nearest
from ee_jax.data.tables import ENDINGS, Line, read_table
from ee_jax.errors import UserError

TFDS, HF = "tfds/", "hf/"
# How files, and splits of others, are called.
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "dev": "validation",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "calibration": "calibration",
    "test": "test",
}


def is_own(name: str) -> bool:
    """Does the name say where rows of the user's are, and not which data set is meant?"""
    path = name.startswith((".", "/", "~")) or name.endswith(ENDINGS) or Path(name).is_dir()
    return path or name.startswith((TFDS, HF)) or ":" in name


def builder_of_own(name: str, columns: Columns) -> type[RowsBuilder]:
    """The builder of rows that a name says where to find.

    Args:
      name: a file or folder, `tfds/NAME`, `hf/NAME` or `package.module:function`.
      columns: which columns are which, where their names do not tell.

    Raises:
      UserError: they cannot be had, or are no labelled rows; says where.
    """
    if name.startswith(TFDS):
        return _of_lines(name, _tfds(name.removeprefix(TFDS)), columns)
    if name.startswith(HF):
        return _of_lines(name, _hugging_face(name.removeprefix(HF)), columns)
    path = expanded(name)
    if ":" in name and not path.exists():
        return _of_function(name)
    return _of_path(path, columns, _stamp(path))


def _stamp(path: Path) -> tuple[Any, ...]:
    """What changes when a file does."""
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [file.stat() for file in files if file.exists()]
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in found)


@lru_cache(maxsize=8)  # a run asks for the builder of one data set several times
def _of_path(path: Path, columns: Columns, stamp: object) -> type[RowsBuilder]:
    lines = {split: read_table(file) for split, file in _files(path).items()}
    return _of_lines(path.stem, lines, columns, str(path))


def _files(path: Path) -> dict[str, Path]:
    """The file of each split: one for all, or those of a folder by their names."""
    if path.is_file():
        return {"train": path}
    if not path.is_dir():
        beside = [each.name for each in path.parent.glob("*")] if path.parent.is_dir() else []
        near = nearest(path.name, beside) if beside else "check the path"
        raise UserError(f"no file {path}: {near}")
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        split = SPLIT_NAMES.get(file.stem.lower())
        if file.suffix in ENDINGS and split is not None:
            if split in found:
                raise UserError(f"{found[split]} and {file} are both of {split}: keep one")
            found[split] = file
    if "train" not in found:
        kinds = ", ".join(f"train{ending}" for ending in ENDINGS)
        raise UserError(f"no training rows in {path}: it should hold one of {kinds}")
    return found


def _of_lines(
    name: str, lines: dict[str, list[Line]], columns: Columns, source: str | None = None
) -> type[RowsBuilder]:
    given: dict[str, list[Labelled]] = {}
    column = ""
    for split, rows in lines.items():
        file = rows[0].where.rpartition(":")[0] or rows[0].where
        found = find_columns(list(rows[0].fields), columns, file)
        column = str(found.label)
        given[split] = [_labelled(line, found) for line in rows]
    return builder_of_rows(name, source or name, given, column)


def _labelled(line: Line, columns: Columns) -> Labelled:
    names = [name for name in columns if name is not None]
    if missing := [name for name in names if name not in line.fields]:
        raise UserError(f"{line.where}: no `{missing[0]}`: give it in every row")
    texts = [line.fields[name] for name in columns[:2] if name is not None]
    text = texts[0] if len(texts) == 1 else (texts[0], texts[1])
    return Labelled(text, line.fields[str(columns.label)], line.where)


def _of_function(name: str) -> type[RowsBuilder]:
    """A function's builder, or its rows: {"train": [(text, label), ...], ...}, or one list."""
    module, _, function = name.partition(":")
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        made = getattr(importlib.import_module(module), function)()
    except Exception as error:
        line = " ".join(str(error).split())
        raise UserError(f"{name}: {type(error).__name__}: {line}") from None
    if isinstance(made, type) and issubclass(made, RowsBuilder):
        return made
    return builder_of_rows(function, name, _given(name, made), "label")


def _given(name: str, made: Any) -> Given:
    splits = made if isinstance(made, dict) else {"train": made}
    try:
        return {
            split: list(_of_pairs(f"{name}, {split}", rows)) for split, rows in splits.items()
        }
    except (TypeError, ValueError):
        mend = 'return {"train": [(text, label), ...], ...}, a list of such, or a RowsBuilder'
        raise UserError(f"{name} gives no labelled rows: {mend}") from None


def _of_pairs(where: str, rows: Iterable[Sequence[Any]]) -> Iterable[Labelled]:
    for number, (text, label) in enumerate(rows, start=1):
        yield Labelled(text, label, f"{where} row {number}")


def _tfds(name: str) -> dict[str, list[Line]]:
    """The splits of a TensorFlow data set that is there, or that TFDS can fetch."""
    import tensorflow_datasets as tfds

    from ee_jax.data.prepared import quiet

    try:
        builder = tfds.builder(name)
        with quiet():
            builder.download_and_prepare(file_format="array_record")
        splits: Any = {s: builder.as_data_source(s) for s in builder.info.splits}  # pyright: ignore
    except Exception as error:  # whatever TFDS makes of a name, a network, a file
        line = " ".join(str(error).split())
        raise UserError(f"tfds/{name} cannot be had: {line:.200}") from None
    features: Any = builder.info.features
    return _stored(f"tfds/{name}", splits, features)


def _hugging_face(name: str) -> dict[str, list[Line]]:
    """The splits of a saved folder, or of a data set on the Hub."""
    try:
        import datasets  # pyright: ignore[reportMissingImports]
    except ImportError:
        mend = "pip install 'ee_jax[datasets]'"
        raise UserError(f"hf/{name} needs the package datasets: {mend}") from None
    try:
        saved = expanded(name)
        found: Any = (
            datasets.load_from_disk(str(saved))
            if saved.is_dir()
            else datasets.load_dataset(name)
        )
    except Exception as error:
        line = " ".join(str(error).split())
        raise UserError(f"hf/{name} cannot be had: {line:.200}") from None
    splits = found if isinstance(found, dict) else {"train": found}
    features = next(iter(splits.values())).features
    return _stored(f"hf/{name}", splits, features)


def _stored(name: str, splits: dict[str, Any], features: Any) -> dict[str, list[Line]]:
    """Rows of stored splits; classes by their names, and unlabelled rows (-1) left out."""
    lines: dict[str, list[Line]] = {}
    for given, rows in splits.items():
        split = SPLIT_NAMES.get(given.split("_")[0])
        if split is None or split in lines:
            continue
        made = [
            Line(f"{name}, {given} row {number}", _plain(row, features))
            for number, row in enumerate(rows, start=1)
        ]
        labelled = [line for line in made if -1 not in line.fields.values()]
        if labelled:
            lines[split] = labelled
    if not lines:
        raise UserError(f"{name} has no split of labelled rows, such as train")
    return lines


def _plain(row: dict[str, Any], features: Any) -> dict[str, Any]:
    """Text as str, and a class's number as its name where the data set knows it."""
    fields: dict[str, Any] = {}
    for name, value in row.items():
        value = value.decode() if isinstance(value, bytes) else value
        value = value.item() if isinstance(value, np.generic) else value
        known = features.get(name) if hasattr(features, "get") else features[name]
        names = getattr(known, "names", None)
        fields[name] = (
            names[value] if names and isinstance(value, int) and value >= 0 else value
        )
    return fields
