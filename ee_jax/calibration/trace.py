"""Traces: what every exit says of every example, and how they are kept in a file.

A trace file is one NumPy `.npz` of N examples (or tokens) and E exits. Anybody's will do that
has

    confidence_NE   float   in [0, 1], larger is surer
    loss_NE         float   in [0, 1], e.g. 1 where the exit's answer is wrong
    depth_E         int     blocks run at each exit, rising; the last exit is the full model

and it may have, besides columns of its own that nobody here reads,

    prediction_NE   int     the exits' answers; patience and consistency need them
    label_N         int     the right answers
    header          str     JSON, an object: "format" and "version" (those of `npz.HEADER`), and
                            what the trace is of: "data", "split", "model", "confidence", ...

Nothing in it is pickled. Losses of whole sequences are kept otherwise: see `sequences`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from ee_jax.calibration.columns import EXITS, Columns, validate
from ee_jax.calibration.npz import read_header, read_npz, write_npz

# Confidences as the compiled loop compares them; losses as exact as they came.
DTYPES = {
    "confidence_NE": np.float32,
    "loss_NE": np.float64,
    "depth_E": np.int32,
    "prediction_NE": np.int32,
    "label_N": np.int32,
}


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
        typed = {
            key: arrays[key].astype(dtype) for key, dtype in DTYPES.items() if key in arrays
        }
        return cls(**typed, header=header)

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Reads a trace file; a UserError if it is not there or no valid trace."""
        return cls.of(read_npz(path), str(path))

    def save(self, path: str | Path) -> None:
        """Writes a valid trace to `path`, the whole file or nothing."""
        validate(self.columns(), f"the trace for {path}")
        write_npz(path, self.columns(), self.header)

    def columns(self) -> Columns:
        """The arrays that there are, by name."""
        named = {name: getattr(self, name) for name in EXITS}
        return {name: column for name, column in named.items() if column is not None}

    def take(self, rows: Int[np.ndarray, " M"]) -> "Trace":
        """The examples of these numbers."""
        columns = self.columns()
        taken = {key: columns[key][rows] for key in columns if key != "depth_E"}
        return replace(self, **taken)

    @property
    def full_loss_N(self) -> Float[np.ndarray, " N"]:
        """The full model's losses: those of the last exit."""
        return self.loss_NE[:, -1]
