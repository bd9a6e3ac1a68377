"""What a trace's columns must be: each mistake is one line that says how to mend it.

The letters after a column's underscore are its axes.

Columns and a JSON header in one `.npz`, without pickles; written whole or not at all.
"""

import json
import lzma
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.lib.format as npy
from jaxtyping import Bool

from ee_jax.atomic_io import replacing
from ee_jax.errors import UserError

Columns = Mapping[str, np.ndarray]
Mask = Bool[np.ndarray, "..."]

AXES = {"N": "example", "E": "exit", "K": "threshold"}

# For each kind of trace the columns that it must have, and whether others must be there too.
EXITS = {
    "confidence_NE": True,
    "loss_NE": True,
    "depth_E": True,
    "prediction_NE": False,
    "label_N": False,
}
# Larger numbers are no depths, and no classes that 32 bits can hold.
MOST_BLOCKS, MOST_CLASSES = 10**6, 2**31 - 1
SEQUENCES = {"threshold_K": True, "loss_NK": True, "depth_NK": True}


def _in_unit(array: np.ndarray) -> Mask:
    return (array >= 0) & (array <= 1)  # what is not finite is neither


def _whole(array: np.ndarray) -> Mask:
    return array == np.round(array)


def _class(array: np.ndarray) -> Mask:
    return _whole(array) & (array >= -MOST_CLASSES) & (array <= MOST_CLASSES)


def _finite(array: np.ndarray) -> Mask:
    return np.abs(array.astype(float)) <= float(np.finfo(np.float32).max)


def _rising(depth_E: np.ndarray) -> Mask:
    depth_E = depth_E.astype(float)  # unsigned numbers have no differences below 0
    return _whole(depth_E) & (np.diff(depth_E, prepend=0) > 0) & (depth_E <= MOST_BLOCKS)


def _falling(threshold_K: np.ndarray) -> Mask:
    threshold_K = threshold_K.astype(float)
    return np.append(threshold_K[:1] == 1, np.diff(threshold_K) < 0) & (threshold_K >= 0)


def _positive(array: np.ndarray) -> Mask:
    return (array > 0) & (array <= MOST_BLOCKS)


_LOSS = (_in_unit, "not in [0, 1]: divide by the largest loss there can be")
_CLASS = (
    _class,
    "not the number of a class: write the most probable one's, or of a regression the header's "
    "label_range",
)
_NUMBER = (_finite, "not a number: write the answer that the exit gives")
VALUES: dict[str, tuple[Callable[[np.ndarray], Mask], str]] = {
    "confidence_NE": (_in_unit, "not in [0, 1]: a sigmoid brings any score there"),
    "loss_NE": _LOSS,
    "loss_NK": _LOSS,
    "depth_E": (_rising, "but counts the blocks run at each exit: write e.g. [4, 8]"),
    "depth_NK": (_positive, "not a number of blocks: write how many ran, or their mean"),
    "threshold_K": (_falling, "but falls from 1, the full model: write e.g. [1, 0.9, 0.8]"),
    "prediction_NE": _CLASS,
    "label_N": _CLASS,
}
OF_REGRESSION = VALUES | dict.fromkeys(("prediction_NE", "label_N"), _NUMBER)


def validate(columns: Columns, name: str = "trace", *, regression: bool = False) -> None:
    """Raises the UserError of the first mistake in a trace's columns.

    Args:
        columns: arrays by the names in `trace` or `sequences`; other names are not read.
        name: what the error calls the trace, e.g. its path.
        regression: answers and labels are numbers, not classes.
    """
    layout = SEQUENCES if "threshold_K" in columns else EXITS
    needed = [column for column, must in layout.items() if must]
    sizes: dict[str, tuple[int, str]] = {}  # of each axis, and the column that said so
    try:
        for column in needed:
            wanted = f"is missing: a trace needs {', '.join(needed)}"
            _check(column in columns, column, wanted)
        present = [column for column in layout if column in columns]
        for column in present:
            _validate_shape(column, columns[column], sizes)
        for column in present:
            ok, what = (OF_REGRESSION if regression else VALUES)[column]
            _validate_values(column, columns[column], ok, what)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None


def _check(ok: bool, column: str, what: str) -> None:
    if not ok:
        raise UserError(f"column `{column}` {what}")


def _axes(column: str) -> list[str]:
    return [AXES[letter] for letter in column.rpartition("_")[2]]


def _validate_shape(column: str, array: np.ndarray, sizes: dict[str, tuple[int, str]]) -> None:
    """Numbers, as many for each axis as the columns before have."""
    axes = _axes(column)
    shape = " x ".join(f"{axis}s" for axis in axes)
    _check(array.ndim == len(axes), column, f"has {array.ndim} axes: make it {shape}")
    _check(array.dtype.kind in "biuf", column, f"is {array.dtype}: write numbers")
    for axis, size in zip(axes, array.shape, strict=True):
        first, said = sizes.setdefault(axis, (size, column))
        differs = f"has {size} {axis}s but `{said}` has {first}: write both anew"
        _check(size == first, column, differs)
        _check(size > 0, column, f"has no {axis}s: write at least one")


def _validate_values(
    column: str, array: np.ndarray, ok: Callable[[np.ndarray], Mask], what: str
) -> None:
    """Names the first bad value and where it is."""
    bad = np.argwhere(~ok(array))
    if bad.size:
        where = ", ".join(f"{axis} {i}" for axis, i in zip(_axes(column), bad[0], strict=True))
        _check(False, column, f"is {array[tuple(bad[0])]} at {where}, {what}")


HEADER = {"format": "ee_jax trace", "version": 1}

INFLATED = 1032  # bytes that deflate may make of one
HEAD = 2**16  # bytes that the description of an array may take

# What `zipfile` and NumPy raise at text, one array, a pickle, half a file and flipped bits.
_BROKEN = (
    *(ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError),
    *(EOFError, RuntimeError, SyntaxError, ArithmeticError, MemoryError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, tokenize.TokenError),
)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of a file that a trace may have; others are not read.

    An array is read only if the file is long enough to hold what it claims to be.

    Raises:
      UserError: there is no file, or it is no `.npz` of plain arrays.
    """
    known = {*EXITS, *SEQUENCES, "header"}
    try:
        with zipfile.ZipFile(path) as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of headers that are old or odd
            members = {entry.filename.removesuffix(".npy"): entry for entry in file.infolist()}
            _check_sizes(path, members.values())
            return {name: _read(file, members[name]) for name in members if name in known}
    except FileNotFoundError as error:
        raise UserError(f"no trace at {path}: check the path, or write it first") from error
    except OSError as error:
        raise UserError(f"cannot read {path} ({error}): check the path") from error
    except _BROKEN as error:
        mend = "write it with `np.savez`, without objects"
        raise UserError(f"{path} is no .npz of plain arrays: {mend}") from error


def _check_sizes(path: str | Path, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Raises a ValueError at entries that claim more than the file can hold."""
    have = os.path.getsize(path)
    if sum(entry.compress_size for entry in entries) > have:
        raise ValueError("entries are longer than the file")
    for entry in entries:
        grows = INFLATED if entry.compress_type == zipfile.ZIP_DEFLATED else 1
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError("NumPy compresses by deflate alone")
        if entry.file_size > grows * entry.compress_size:
            raise ValueError("an entry is longer than its bytes can make it")


def _read(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> np.ndarray:
    """One array; its shape is believed if it has just so many bytes."""
    with file.open(entry) as stream:
        version = npy.read_magic(stream)
        heads = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
        shape, by_columns, dtype = heads[version](stream, max_header_size=HEAD)
        data = stream.read()  # to the end, where the checksum is
    if dtype.hasobject or math.prod(shape) * dtype.itemsize != len(data):
        raise ValueError("the shape is not that of the bytes")
    array = np.frombuffer(data, dtype) if data else np.empty(0, dtype)
    return array.reshape(shape, order="F" if by_columns else "C")


def write_npz(path: str | Path, columns: Columns, header: dict[str, Any]) -> None:
    """Writes the file beside its place and moves it there."""
    text = np.array(json.dumps({**header, **HEADER}))
    try:
        with replacing(Path(path)) as part, part.open("wb") as file:
            np.savez(file, allow_pickle=False, header=text, **columns)
    except OSError as error:
        mend = "make room or change its rights, or choose another path"
        raise UserError(f"cannot write {path} ({error}): {mend}") from error


def _is_deep(value: Any, levels: int = 50) -> bool:
    """Whether JSON is nested further than anybody writes by hand."""
    parts = value.values() if isinstance(value, dict) else value
    nested = isinstance(value, dict | list)
    return nested and (levels == 0 or any(_is_deep(part, levels - 1) for part in parts))


def read_header(column: np.ndarray | None, name: str) -> dict[str, Any]:
    """The header in a column of a trace, `{}` where there is none."""
    if column is None:
        return {}
    try:
        header = json.loads(str(column)) if column.dtype.kind == "U" else None
        json.dumps(header, ensure_ascii=False).encode()  # half a character is none
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or _is_deep(header):
        mend = "write a JSON object, or leave it out"
        raise UserError(f"{name}: column `header` is no JSON object: {mend}")
    found = {key: header.get(key, value) for key, value in HEADER.items()}
    if found != HEADER:
        what = f"column `header` says {json.dumps(found):.120}"
        raise UserError(f"{name}: {what}: this version reads {json.dumps(HEADER)}")
    return header
