"""Risks: what an early answer costs, for each example and exit; 0 at the last exit.

The full model is the measure, so a threshold of 1 has a risk of 0, whatever the full model's
own mistakes. Risks lie in [0, 1], but for those that say otherwise.
"""

from collections.abc import Callable
from dataclasses import dataclass

import chex
import numpy as np
from jaxtyping import Float, Int, Real

from ee_jax.calibration.trace import Range, Trace
from ee_jax.errors import UserError
from ee_jax.registry import Registry


def performance_gap(loss_NE: Float[np.ndarray, "N E"]) -> Float[np.ndarray, "N E"]:
    """max(0, loss - the full model's loss) (CALM, Schuster et al. 2022: risk consistency).

    For any loss in [0, 1]. Where an early answer is better than the full model's, that makes
    up for nothing elsewhere, so the mean loss grows by no more than this risk.

    Args:
      loss_NE: of every exit on every example, in [0, 1].

    Returns:
      Risks in [0, 1]; 0 at the last exit.
    """
    chex.assert_rank(loss_NE, 2)
    return np.maximum(0, loss_NE - loss_NE[:, -1:])


def signed_gap(loss_NE: Float[np.ndarray, "N E"]) -> Float[np.ndarray, "N E"]:
    """Loss - the full model's loss, the performance gap of RC-EENN (Jazbec et al. 2024).

    An early answer that is better than the full model's makes up for one that is worse, so the
    mean is by how much the mean loss grows; it may be below 0.

    Args:
      loss_NE: of every exit on every example, in [0, 1].

    Returns:
      Risks in [-1, 1]; 0 at the last exit.
    """
    chex.assert_rank(loss_NE, 2)
    return loss_NE - loss_NE[:, -1:]


def inconsistency(
    prediction_NE: Real[np.ndarray, "N E"], label_range: Range | None = None
) -> Float[np.ndarray, "N E"]:
    """1 where an exit answers unlike the full model; needs no labels (CALM: consistency).

    Of a regression, which has a `label_range`: the `squared_loss` of the exit's answer, had the
    full model's been the label.

    Args:
      prediction_NE: every exit's answers.
      label_range: of a regression.

    Returns:
      Risks in [0, 1]; 0 at the last exit.
    """
    chex.assert_rank(prediction_NE, 2)
    if label_range is not None:
        return squared_loss(prediction_NE, prediction_NE[:, -1], label_range)
    return (prediction_NE != prediction_NE[:, -1:]).astype(float)


def brier_inconsistency(prob_NEC: Float[np.ndarray, "N E C"]) -> Float[np.ndarray, "N E"]:
    """|p - q|^2 / 2, where q are the full model's probabilities; needs no labels.

    If labels were drawn from q, that is how much an exit's mean `brier_loss` lies above the
    full model's (Jazbec et al. 2024).

    Args:
      prob_NEC: every exit's probabilities.

    Returns:
      Risks in [0, 1]; 0 at the last exit.
    """
    chex.assert_rank(prob_NEC, 3)
    return ((prob_NEC - prob_NEC[:, -1:]) ** 2).sum(-1) / 2


def zero_one_loss(
    prediction_NE: Int[np.ndarray, "N E"], label_N: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N E"]:
    """1 where the answer is wrong.

    Args:
      prediction_NE: every exit's answers.
      label_N: classes.

    Returns:
      Losses of 0 and 1.
    """
    chex.assert_equal_shape_prefix([prediction_NE, label_N], 1)
    return (prediction_NE != label_N[:, None]).astype(float)


def squared_loss(
    prediction_NE: Float[np.ndarray, "N E"],
    label_N: Float[np.ndarray, " N"],
    label_range: Range,
) -> Float[np.ndarray, "N E"]:
    """min(1, ((answer - label) / (high - low))^2), for labels that lie in [low, high].

    The range is the data set's, e.g. 0 to 5 in STS-B. An answer beyond it may be further off
    than the range is wide: that is a loss of 1 too.

    Args:
      prediction_NE: every exit's answers.
      label_N: numbers.
      label_range: the least and the largest label.

    Returns:
      Losses in [0, 1].
    """
    chex.assert_equal_shape_prefix([prediction_NE, label_N], 1)
    low, high = label_range
    off_NE = np.asarray(prediction_NE, np.float64) - np.asarray(label_N, np.float64)[:, None]
    return np.minimum(1, (off_NE / (high - low)) ** 2)


def brier_loss(
    prob_NEC: Float[np.ndarray, "N E C"], label_N: Int[np.ndarray, " N"]
) -> Float[np.ndarray, "N E"]:
    """|p - the label's unit vector|^2 / 2 (Brier 1950), halved to lie in [0, 1].

    Args:
      prob_NEC: every exit's probabilities.
      label_N: classes.

    Returns:
      Losses in [0, 1].
    """
    chex.assert_equal_shape_prefix([prob_NEC, label_N], 1)
    label_N1C = np.eye(prob_NEC.shape[-1])[label_N][:, None]
    return ((prob_NEC - label_N1C) ** 2).sum(-1) / 2


def _consistency(trace: Trace) -> Float[np.ndarray, "N E"]:
    if trace.prediction_NE is None:
        raise UserError("consistency needs `prediction_NE`: write it, or use the risk `gap`")
    return inconsistency(trace.prediction_NE, trace.label_range)


@dataclass(frozen=True)
class Risk:
    """A risk of a trace: what it counts, and the least that it can be.

    Attributes:
      of: from a trace to what each exit costs on each example, at most 1.
      words: what it counts, as reports say it.
      low: the least that it can be; methods need to know it, as they test in [0, 1].
    """

    of: Callable[[Trace], Float[np.ndarray, "N E"]]
    words: str
    low: float = 0.0

    def __call__(self, trace: Trace) -> Float[np.ndarray, "N E"]:
        """What each exit costs on each example of the trace."""
        return self.of(trace)


# Risks by the names that the command line knows.
RISKS: Registry[Risk] = Registry(
    "risk",
    gap=Risk(lambda trace: performance_gap(trace.loss_NE), "loss beyond the full model's"),
    signed_gap=Risk(
        lambda trace: signed_gap(trace.loss_NE), "loss less the full model's", low=-1.0
    ),
    consistency=Risk(_consistency, "answers unlike the full model's"),
)
LOSS = "mean loss above the full model's"  # what is told of a budget, which keeps to no risk
