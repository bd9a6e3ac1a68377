"""Traces: what every exit says of every example, and how they are kept in a file.

A trace file is one NumPy `.npz` of N examples and E exits. Anybody's will do that has

    confidence_NE   float   in [0, 1], larger is surer
    loss_NE         float   in [0, 1], e.g. 1 where the exit's answer is wrong
    depth_E         int     blocks run at each exit, rising; the last exit is the full model

and it may have, besides columns of its own that nobody here reads,

    prediction_NE   int     the exits' answers; patience and consistency need them
    label_N         int     the right answers
    header          str     JSON, an object: "format" and "version" (those of `HEADER`), and
                            what the trace is of: "data", "split", "model", "confidence", ...

Nothing in it is pickled.
"""

import json
import os
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ee_jax.calibration.columns import Columns, validate
from ee_jax.errors import UserError

# What NumPy raises at text, one array, a pickle, and half a file.
_BROKEN = (ValueError, TypeError, EOFError, zipfile.BadZipFile, zlib.error)

HEADER = {"format": "ee_jax trace", "version": 1}


@dataclass(frozen=True, eq=False)
class Trace:
    """A trace in memory."""

    confidence_NE: Float[np.ndarray, "N E"]
    loss_NE: Float[np.ndarray, "N E"]
    depth_E: Int[np.ndarray, " E"]
    prediction_NE: Int[np.ndarray, "N E"] | None = None
    label_N: Int[np.ndarray, " N"] | None = None
    header: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, Any], name: str = "trace") -> "Trace":
        """A trace of what `np.asarray` takes; `name` is what an error calls it."""
        arrays = {key: np.asarray(column) for key, column in columns.items()}
        header = read_header(arrays.pop("header", None), name)
        validate(arrays, name)
        return cls(**_typed(arrays), header=header)

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Reads a trace file; a UserError if it is not there or no valid trace."""
        try:
            with np.load(path, allow_pickle=False) as file:
                columns = dict(file)
        except FileNotFoundError as error:
            raise UserError(f"no trace at {path}: check the path, or write it first") from error
        except OSError as error:
            raise UserError(f"cannot read {path} ({error}): check the path") from error
        except _BROKEN as error:
            mend = "write it with `np.savez`, without objects"
            raise UserError(f"{path} is no .npz of plain arrays: {mend}") from error
        return cls.of(columns, str(path))

    def save(self, path: str | Path) -> None:
        """Writes a valid trace to `path`, the whole file or nothing."""
        columns = self.columns()
        validate(columns, f"the trace for {path}")
        header = np.array(json.dumps({**self.header, **HEADER}))
        path = Path(path)
        scratch = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            with scratch.open("wb") as file:
                np.savez(file, allow_pickle=False, header=header, **columns)
            os.replace(scratch, path)
        except OSError as error:
            raise UserError(f"cannot write {path} ({error}): choose another path") from error
        finally:
            scratch.unlink(missing_ok=True)

    def columns(self) -> Columns:
        """The arrays that there are, by name."""
        named = {name: getattr(self, name) for name in _DTYPES}
        return {name: column for name, column in named.items() if column is not None}

    @property
    def full_loss_N(self) -> Float[np.ndarray, " N"]:
        """The full model's losses: those of the last exit."""
        return self.loss_NE[:, -1]


# Confidences as the compiled loop compares them; losses as exact as they came.
_DTYPES = {
    "confidence_NE": np.float32,
    "loss_NE": np.float64,
    "depth_E": np.int32,
    "prediction_NE": np.int32,
    "label_N": np.int32,
}


def _typed(arrays: Columns) -> dict[str, Any]:
    return {
        name: arrays[name].astype(dtype) for name, dtype in _DTYPES.items() if name in arrays
    }


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
