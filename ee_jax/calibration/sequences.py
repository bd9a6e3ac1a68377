"""Traces of whole sequences, where each threshold needs a generation of its own.

What a decoder writes after an early exit depends on that exit, so the exits of one pass do not
tell what another threshold would have written. Such a trace is one `.npz` of N sequences and K
thresholds, with a header if you like, as in `trace`:

    threshold_K   float   falling from 1, the full model
    loss_NK       float   in [0, 1], of the sequence written at that threshold: 1 - ROUGE, or
                          how far it is from the full model's sequence
    depth_NK      float   its tokens' mean depth
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from ee_jax.calibration.choice import Outcomes
from ee_jax.calibration.columns import (
    SEQUENCES,
    Columns,
    read_header,
    read_npz,
    validate,
    write_npz,
)
from ee_jax.calibration.risks import RISKS, performance_gap, signed_gap
from ee_jax.calibration.trace import Trace


@dataclass(frozen=True, eq=False)
class SequenceTrace:
    """Such a trace in memory."""

    threshold_K: Float[np.ndarray, " K"]
    loss_NK: Float[np.ndarray, "N K"]
    depth_NK: Float[np.ndarray, "N K"]
    header: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, columns: Mapping[str, Any], name: str = "trace") -> "SequenceTrace":
        """A trace of what `np.asarray` takes; `name` is what an error calls it."""
        arrays = {key: np.asarray(column) for key, column in columns.items()}
        header = read_header(arrays.pop("header", None), name)
        validate(arrays, name)
        return cls(**{key: arrays[key].astype(float) for key in SEQUENCES}, header=header)

    def save(self, path: str | Path) -> None:
        """Writes a valid trace to `path`, the whole file or nothing."""
        validate(self.columns(), f"the trace for {path}")
        write_npz(path, self.columns(), self.header)

    def columns(self) -> Columns:
        """The arrays, by name."""
        return {name: getattr(self, name) for name in SEQUENCES}

    def outcomes(self, risk: str = "gap") -> Outcomes:
        """The candidates, with what each sequence loses against the full model's.

        Args:
          risk: a name in RISKS; of one that may be below 0 the gap is signed.
        """
        low = RISKS[risk].low
        gap = signed_gap if low < 0 else performance_gap
        risk_KN = gap(self.loss_NK[:, ::-1])[:, ::-1].T  # both have the full model last
        return Outcomes(self.threshold_K, self.depth_NK.T, risk_KN, low)


def load_trace(path: str | Path) -> Trace | SequenceTrace:
    """Reads a trace of either kind, told by whether it has `threshold_K`."""
    columns = read_npz(path)
    kind = SequenceTrace if "threshold_K" in columns else Trace
    return kind.of(columns, str(path))
