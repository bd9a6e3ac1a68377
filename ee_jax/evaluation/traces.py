"""From a full forward pass to a trace."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int, Real

from ee_jax.calibration.risks import squared_loss, zero_one_loss
from ee_jax.calibration.scores import fit_temperature
from ee_jax.calibration.trace import Trace
from ee_jax.exits.confidence import confidences
from ee_jax.exits.output import ExitOutput, prediction


def fit_temperatures(
    answer: ExitOutput, label_N: Int[np.ndarray, " N"]
) -> Float[np.ndarray, " E"]:
    """A temperature for each exit; [E, N] leads the answer's arrays."""
    return np.array([fit_temperature(logits_NC, label_N) for logits_NC in answer.logits])


def trace_of(
    answer: ExitOutput,
    label_N: Real[np.ndarray, " N"],
    layers: Sequence[int],
    confidence: str,
    temperature_E: Float[np.ndarray, " E"],
    label_range: tuple[float, float] | None = None,
    *,
    tolerance: float = 0.1,
    **header: Any,
) -> Trace:
    """The trace of all exits' answers, with confidences after the temperatures.

    Losses are 0 or 1. A regression has one logit, the answer itself, and a `label_range`; its
    losses are `risks.squared_loss`, in [0, 1]. `tolerance` is that of `exits`, for the
    confidence `patience` in a regression.
    """
    cool_E = np.asarray(temperature_E, np.float32)
    confidence_EN = _confidences(confidence, answer, cool_E, tolerance)
    prediction_NE = np.asarray(prediction(answer.logits)).T
    if label_range is None:
        prediction_NE = prediction_NE.astype(np.int32)
        loss_NE = zero_one_loss(prediction_NE, label_N)
    else:
        header["label_range"] = list(label_range)
        loss_NE = squared_loss(prediction_NE, label_N, label_range)
    return Trace(
        confidence_NE=np.asarray(confidence_EN).T,
        loss_NE=loss_NE,
        depth_E=np.asarray(layers, np.int32),
        prediction_NE=prediction_NE,
        label_N=label_N,
        header={"confidence": confidence, **header},
    )


_confidences = jax.jit(confidences, static_argnums=0)
