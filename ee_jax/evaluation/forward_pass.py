"""A full forward pass over a split: what every exit reads and says of every example."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from jaxtyping import Float

from ee_jax.compilation import Program
from ee_jax.exits.output import ExitOutput
from ee_jax.models.exit_model import ExitModel
from ee_jax.models.parameters import Parameters, bind
from ee_jax.sharding import replicate, split_batch
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
