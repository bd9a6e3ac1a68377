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

Of a regression answers and labels are float, and the header has the "label_range", the lowest
and the highest label that there can be, e.g. [0, 5]. Nothing in the file is pickled. Losses of
whole sequences are kept otherwise: see `sequences`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, Int, Real

from ee_jax.calibration.columns import (
    EXITS,
    Columns,
    read_header,
    read_npz,
    validate,
    write_npz,
)
from ee_jax.errors import UserError

Range = tuple[float, float]

# Confidences as the compiled loop compares them; losses as exact as they came.
DTYPES = {
    "confidence_NE": np.float32,
    "loss_NE": np.float64,
    "depth_E": np.int32,
    "prediction_NE": np.int32,
    "label_N": np.int32,
}
WIDEST = 1e9  # of a range of labels, which single precision must tell apart
NUMBERS = dict.fromkeys(("prediction_NE", "label_N"), np.float32)  # of a regression


@dataclass(frozen=True, eq=False)
class Trace:
    """A trace in memory."""

    confidence_NE: Float[np.ndarray, "N E"]
    loss_NE: Float[np.ndarray, "N E"]
    depth_E: Int[np.ndarray, " E"]
    prediction_NE: Real[np.ndarray, "N E"] | None = None
    label_N: Real[np.ndarray, " N"] | None = None
    header: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, Any], name: str = "trace") -> "Trace":
        """A trace of what `np.asarray` takes; `name` is what an error calls it."""
        arrays = {key: np.asarray(column) for key, column in columns.items()}
        header = read_header(arrays.pop("header", None), name)
        label_range = _label_range(header, name)
        validate(arrays, name, regression=label_range is not None)
        dtypes = DTYPES | (NUMBERS if label_range else {})
        typed = {
            key: arrays[key].astype(dtype) for key, dtype in dtypes.items() if key in arrays
        }
        return cls(**typed, header=header)

    @classmethod
    def load(cls, path: str | Path) -> "Trace":
        """Reads a trace file; a UserError if it is not there or no valid trace."""
        return cls.of(read_npz(path), str(path))

    def save(self, path: str | Path) -> None:
        """Writes a valid trace to `path`, the whole file or nothing."""
        name = f"the trace for {path}"
        regression = _label_range(self.header, name) is not None
        validate(self.columns(), name, regression=regression)
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
    def label_range(self) -> Range | None:
        """The lowest and the highest label of a regression; None of classes."""
        return _label_range(self.header, "trace")

    @property
    def full_loss_N(self) -> Float[np.ndarray, " N"]:
        """The full model's losses: those of the last exit."""
        return self.loss_NE[:, -1]


def _label_range(header: dict[str, Any], name: str) -> Range | None:
    given = header.get("label_range")
    if given is None:
        return None
    match given:
        case [int() | float() as low, int() | float() as high] if -WIDEST < low < high < WIDEST:
            return low, high
    wanted = "write the lowest and the highest label, e.g. [0, 5]"
    raise UserError(f"{name}: the header's label_range is {given!r:.60}: {wanted}")
