"""From a full forward pass to a trace."""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Float, Int

from ee_jax.calibration.scores import fit_temperature
from ee_jax.calibration.trace import Trace
from ee_jax.exits.confidence import confidences
from ee_jax.models.heads import Answer


def fit_temperatures(answer: Answer, label_N: Int[np.ndarray, " N"]) -> Float[np.ndarray, " E"]:
    """A temperature for each exit; [E, N] leads the answer's arrays."""
    return np.array([fit_temperature(logits_NC, label_N) for logits_NC in answer.logits])


def trace_of(
    answer: Answer,
    label_N: Int[np.ndarray, " N"],
    layers: Sequence[int],
    confidence: str,
    temperature_E: Float[np.ndarray, " E"],
    **header: Any,
) -> Trace:
    """The trace of all exits' answers: 0-1 losses, and confidences after the temperatures."""
    confidence_EN = _confidences(confidence, answer, np.asarray(temperature_E, np.float32))
    prediction_EN = np.asarray(answer.logits).argmax(-1)
    return Trace(
        confidence_NE=np.asarray(confidence_EN).T,
        loss_NE=(prediction_EN != label_N).astype(np.float64).T,
        depth_E=np.asarray(layers, np.int32),
        prediction_NE=prediction_EN.T.astype(np.int32),
        label_N=label_N,
        header={"confidence": confidence, **header},
    )


_confidences = jax.jit(confidences, static_argnums=0)
