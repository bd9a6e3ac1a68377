"""Metrics of quality, how good each exit is, and how deep the model went.

Each is a function of predictions and labels, in the same order and the larger the better. A
data set names its own (`RowsBuilder.METRICS`), the main one first.
"""

from typing import NamedTuple

import chex
import numpy as np
from jaxtyping import Int, Real
from scipy.stats import rankdata

from ee_jax.calibration.empirical import Quality
from ee_jax.calibration.scores import auroc, expected_calibration_error
from ee_jax.calibration.trace import Trace
from ee_jax.registry import Registry


def accuracy(prediction_N: Int[np.ndarray, " N"], label_N: Int[np.ndarray, " N"]) -> float:
    """The share of right answers."""
    chex.assert_equal_shape([prediction_N, label_N])
    return float(np.mean(np.asarray(prediction_N) == np.asarray(label_N)))


def f1(prediction_N: Int[np.ndarray, " N"], label_N: Int[np.ndarray, " N"]) -> float:
    """2 TP / (2 TP + FP + FN) of class 1; 0 where there is no right answer of that class."""
    chex.assert_equal_shape([prediction_N, label_N])
    said_N, is_N = np.asarray(prediction_N) == 1, np.asarray(label_N) == 1
    both = said_N.sum() + is_N.sum()
    return float(2 * (said_N & is_N).sum() / both) if both else 0.0


def matthews(prediction_N: Int[np.ndarray, " N"], label_N: Int[np.ndarray, " N"]) -> float:
    """Matthews' correlation (1975), for any number of classes (Gorodkin 2004, eq. 8).

    (c N - sum_k p_k t_k) / sqrt((N^2 - sum_k p_k^2) (N^2 - sum_k t_k^2)), where c answers are
    right, and class k is predicted p_k times and right t_k times. 0 where the predictions, or
    the labels, are all of one class.
    """
    chex.assert_equal_shape([prediction_N, label_N])
    both = np.asarray(prediction_N), np.asarray(label_N)
    classes = 1 + max(map(np.max, both))
    said_C, is_C = (np.bincount(column, minlength=classes) for column in both)
    total, right = len(both[0]), int((both[0] == both[1]).sum())
    spread = float(total**2 - said_C @ said_C) * float(total**2 - is_C @ is_C)
    return (right * total - int(said_C @ is_C)) / spread**0.5 if spread else 0.0


def pearson(prediction_N: Real[np.ndarray, " N"], label_N: Real[np.ndarray, " N"]) -> float:
    """Pearson's correlation; nan, as in SciPy, where either is the same for every example."""
    chex.assert_equal_shape([prediction_N, label_N])
    if np.ptp(prediction_N) == 0 or np.ptp(label_N) == 0:
        return float("nan")
    return float(np.corrcoef(prediction_N, label_N, dtype=np.float64)[0, 1])


def spearman(prediction_N: Real[np.ndarray, " N"], label_N: Real[np.ndarray, " N"]) -> float:
    """Spearman's correlation: Pearson's of the ranks, ties sharing theirs."""
    return pearson(rankdata(prediction_N), rankdata(label_N))


METRICS: Registry[Quality] = Registry(
    "metric", accuracy=accuracy, f1=f1, matthews=matthews, pearson=pearson, spearman=spearman
)


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
