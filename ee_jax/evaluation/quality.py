"""How good the answers are and how deep the model went for them, on given examples."""

from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Bool, Float, Int

from ee_jax.calibration.scores import auroc, expected_calibration_error


def accuracy(prediction_N: Int[np.ndarray, " N"], label_N: Int[np.ndarray, " N"]) -> float:
    """The share of right answers."""
    chex.assert_equal_shape([prediction_N, label_N])
    return float(np.mean(np.asarray(prediction_N) == np.asarray(label_N)))


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
    """One exit, had it answered every example."""

    depth: int
    accuracy: float
    ece: float  # of its confidence
    auroc: float  # of its confidence, for its answer being right; nan if all are, or none


def exit_table(
    confidence_NE: Float[np.ndarray, "N E"],
    correct_NE: Bool[np.ndarray, "N E"],
    exit_layers: tuple[int, ...],
) -> list[ExitQuality]:
    """A row an exit."""
    chex.assert_equal_shape([confidence_NE, correct_NE])
    columns = zip(exit_layers, confidence_NE.T, correct_NE.T, strict=True)
    return [
        ExitQuality(
            depth,
            float(np.mean(correct_N)),
            expected_calibration_error(confidence_N, correct_N),
            auroc(confidence_N, correct_N),
        )
        for depth, confidence_N, correct_N in columns
    ]
