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
from ee_jax.models.heads import Answer


def fit_temperatures(answer: Answer, label_N: Int[np.ndarray, " N"]) -> Float[np.ndarray, " E"]:
    """A temperature for each exit; [E, N] leads the answer's arrays."""
    return np.array([fit_temperature(logits_NC, label_N) for logits_NC in answer.logits])


def trace_of(
    answer: Answer,
    label_N: Real[np.ndarray, " N"],
    layers: Sequence[int],
    confidence: str,
    temperature_E: Float[np.ndarray, " E"],
    label_range: tuple[float, float] | None = None,
    **header: Any,
) -> Trace:
    """The trace of all exits' answers, with confidences after the temperatures.

    Losses are 0 or 1. A regression has one logit, the answer itself, and a `label_range`; its
    losses are `risks.squared_loss`, in [0, 1].
    """
    confidence_EN = _confidences(confidence, answer, np.asarray(temperature_E, np.float32))
    columns = {
        "confidence_NE": np.asarray(confidence_EN).T,
        "depth_E": np.asarray(layers, np.int32),
        "label_N": label_N,
    }
    if label_range is None:
        prediction_NE = np.asarray(answer.logits).argmax(-1).T.astype(np.int32)
        loss_NE = zero_one_loss(prediction_NE, label_N)
    else:
        header["label_range"] = list(label_range)
        prediction_NE = np.asarray(answer.logits)[..., 0].T
        loss_NE = squared_loss(prediction_NE, label_N, label_range)
    header = {"confidence": confidence, **header}
    return Trace(**columns, prediction_NE=prediction_NE, loss_NE=loss_NE, header=header)


_confidences = jax.jit(confidences, static_argnums=0)
