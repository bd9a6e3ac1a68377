"""Columns and a JSON header in one `.npz`, without pickles; written whole or not at all."""

import contextlib
import json
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from ee_jax.calibration.columns import Columns
from ee_jax.errors import UserError

HEADER = {"format": "ee_jax trace", "version": 1}

# What NumPy raises at text, one array, a pickle, and half a file.
_BROKEN = (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)


def read_npz(path: str | Path) -> dict[str, np.ndarray]:
    """The columns of a file; a UserError if there are none."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError as error:
        raise UserError(f"no trace at {path}: check the path, or write it first") from error
    except OSError as error:
        raise UserError(f"cannot read {path} ({error}): check the path") from error
    except _BROKEN as error:
        mend = "write it with `np.savez`, without objects"
        raise UserError(f"{path} is no .npz of plain arrays: {mend}") from error


def write_npz(path: str | Path, columns: Columns, header: dict[str, Any]) -> None:
    """Writes the file beside its place and moves it there."""
    path = Path(path)
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    text = np.array(json.dumps({**header, **HEADER}))
    try:
        with scratch.open("wb") as file:
            np.savez(file, allow_pickle=False, header=text, **columns)
        os.replace(scratch, path)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error}): choose another path") from error
    finally:
        with contextlib.suppress(OSError):
            scratch.unlink()


def read_header(column: np.ndarray | None, name: str) -> dict[str, Any]:
    """The header in a column of a trace, `{}` where there is none."""
    if column is None:
        return {}
    try:
        header = json.loads(str(column))
    except ValueError:
        header = None
    if not isinstance(header, dict):
        mend = "write a JSON object, or leave it out"
        raise UserError(f"{name}: column `header` is no JSON object: {mend}")
    found = {key: header.get(key, value) for key, value in HEADER.items()}
    if found != HEADER:
        what = f"column `header` says {json.dumps(found)}"
        raise UserError(f"{name}: {what}: this version reads {json.dumps(HEADER)}")
    return header
