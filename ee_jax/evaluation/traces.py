"""From a full forward pass to a trace.

A full forward pass over a split: what every exit reads and says of every example.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float, Int, Real

from ee_jax.calibration.risks import squared_loss, zero_one_loss
from ee_jax.calibration.scores import fit_temperature
from ee_jax.calibration.trace import Trace
from ee_jax.compilation import (
    Planned,
    Program,
    first_of,
    replicate,
    replicated,
    split,
    split_batch,
)
from ee_jax.data.batches import Split
from ee_jax.exits.confidence import confidences
from ee_jax.exits.output import ExitOutput, prediction
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.transformer import Parameters, bind
from ee_jax.tokens import Tokens

DEVICE_BATCH = 64  # examples on a device at a time


class ForwardPass:
    """The full forward pass of a model, compiled once and used for any parameters."""

    def __init__(self, model: ExitModel, mesh: Mesh):
        def features(values: Parameters, tokens: Tokens) -> Any:
            return bind(model, values).features(tokens)

        def answers(values: Parameters, feature_END: Any) -> ExitOutput:
            return bind(model, values).answers(feature_END)

        self._features, self._answers = Program(features), Program(answers)
        self._mesh = mesh
        self.batch = DEVICE_BATCH * mesh.size  # examples in each of the batches it takes

    def features(
        self,
        values: Parameters,
        batches: Iterable[Any],
        examples: int,
        tick: Callable[[], None] = lambda: None,
    ) -> Float[np.ndarray, "E N D"]:
        """What the heads read, in the order of the examples; `batches` hold each once."""
        values, out = replicate(values, self._mesh), None
        for batch in batches:
            tokens = split_batch(batch.tokens, self._mesh)
            feature_EBD = np.asarray(self._features(values, tokens))
            if out is None:
                exits, _, width = feature_EBD.shape
                out = np.empty((exits, examples, width), np.float32)
            out[:, batch.index_B[batch.valid_B]] = feature_EBD[:, batch.valid_B]
            tick()
        assert out is not None, "no batches"
        return out

    def answers(
        self, values: Parameters, feature_END: Float[np.ndarray, "E N D"]
    ) -> ExitOutput:
        """The answers of all exits; [E, N] leads every array."""
        return jax.device_get(self._answers(values, jnp.asarray(feature_END)))

    def features_shape(self, values: Parameters, examples: Split) -> jax.ShapeDtypeStruct:
        """The shape of what `features` would give, feature_END."""
        tokens = examples.one_of_each(self.batch)[0].tokens
        exits, _, width = self._features.shape(values, tokens).shape
        return jax.ShapeDtypeStruct((exits, len(examples.rows), width), np.float32)

    def plan(self, values: Parameters, examples: Split, answers: bool) -> Iterator[Planned]:
        """What it would compile for a split: features, and where asked for all its answers."""
        shared = replicated(values, self._mesh)
        for batch in examples.one_of_each(self.batch):
            name = f"features {self.batch} x {batch.tokens.ids_BT.shape[1]}"
            tokens = split(batch.tokens, self._mesh)
            yield Planned(name, self._features, (shared, tokens))
        if answers:
            given = values, self.features_shape(values, examples)
            arguments = replicated(given, first_of(self._mesh))
            yield Planned(f"answers of {len(examples.rows)}", self._answers, arguments)


def fit_temperatures(
    answer: ExitOutput, label_N: Int[np.ndarray, " N"]
) -> Float[np.ndarray, " E"]:
    """A temperature for each exit; [E, N] leads the answer's arrays."""
    return np.array([fit_temperature(each, label_N) for each in np.asarray(answer.logits)])


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
