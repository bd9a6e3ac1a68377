"""How good the exits are and how deep the model went, on given examples."""

from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Int

from ee_jax.calibration.empirical import Quality
from ee_jax.calibration.scores import auroc, expected_calibration_error
from ee_jax.calibration.trace import Trace


def exit_counts(exit_N: Int[np.ndarray, " N"], exits: int) -> Int[np.ndarray, " E"]:
    """How many examples each exit answered."""
    counts_E = np.bincount(exit_N, minlength=exits)
    chex.assert_shape(counts_E, (exits,))
    return counts_E


def mean_depth(exit_counts_E: Int[np.ndarray, " E"], exit_layers: tuple[int, ...]) -> float:
    """Blocks run for an example, on average."""
    return float(np.average(exit_layers, weights=exit_counts_E))


def ideal_speedup(exit_counts_E: Int[np.ndarray, " E"], exit_layers: tuple[int, ...]) -> float:
    """L / mean depth: the speed-up if blocks were all that costs."""
    return exit_layers[-1] / mean_depth(exit_counts_E, exit_layers)


class ExitQuality(NamedTuple):
    """One exit, had it answered every example; nan for what is not defined."""

    depth: int
    quality: float
    ece: float  # of its confidence; nan of a regression, whose answers are not right or wrong
    auroc: float  # of its confidence, for its answer being right; nan if all are, or none


def exit_table(trace: Trace, quality: Quality) -> list[ExitQuality]:
    """A row an exit, of a trace with predictions and labels."""
    assert trace.prediction_NE is not None
    assert trace.label_N is not None
    rows = []
    for exit, depth in enumerate(trace.depth_E.tolist()):
        found = quality(trace.prediction_NE[:, exit], trace.label_N)
        rows.append(ExitQuality(depth, found, *_trust(trace, exit)))
    return rows


def _trust(trace: Trace, exit: int) -> tuple[float, float]:
    """ECE and AUROC."""
    if trace.label_range is not None:
        return float("nan"), float("nan")
    confidence_N, correct_N = trace.confidence_NE[:, exit], trace.loss_NE[:, exit] == 0
    return (
        expected_calibration_error(confidence_N, correct_N),
        auroc(confidence_N, correct_N),
    )
