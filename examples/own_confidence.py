"""A confidence and an exit head of one's own, in a config that uses them.

Task:      that of configs/quickstart.py, on fewer exits.
Hardware:  2 CPU cores, a few minutes.
Command:   ee-jax run examples/own_confidence.py
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.config import Data, Evaluation, Exits, Experiment, Frozen, OptimizerConfig
from ee_jax.exits import CONFIDENCES, Confidence, ExitOutput, memoryless
from ee_jax.models.heads import HEADS


def unlikely_rest(output: ExitOutput) -> Float[Array, ""]:
    """1 - the probability of all classes but the two likeliest."""
    top = jax.lax.top_k(jax.nn.softmax(output.logits), 2)[0]
    return jnp.minimum(top.sum(), 1.0)


def make_unlikely_rest(exits: int, tolerance: object) -> Confidence:
    """The same at every exit, whatever the exits before it put out."""
    return memoryless(unlikely_rest)


class Bottleneck(nnx.Module):
    """An exit head that sees an eighth of the hidden state's dimensions."""

    def __init__(self, width: int, classes: int, *, rngs: nnx.Rngs):
        self.down = nnx.Linear(width, max(1, width // 8), rngs=rngs)
        self.out = nnx.Linear(max(1, width // 8), classes, rngs=rngs)

    def __call__(self, feature: Float[Array, "*B D"]) -> Float[Array, "*B C"]:
        """Logits."""
        return self.out(jax.nn.relu(self.down(feature)))


CONFIDENCES.register("unlikely_rest", make_unlikely_rest)
HEADS.register("bottleneck", Bottleneck)


def get_config() -> Experiment:
    """The experiment, which names both."""
    return Experiment(
        name="own_confidence",
        data=Data("stdlib_docstrings", lengths=(16, 32, 64, 96)),
        exits=Exits(layers=(2, 4, 6), head="bottleneck", confidence="unlikely_rest"),
        strategies=(Frozen(fit=OptimizerConfig(10.0, head_learning_rate=1e-2)),),
        evaluation=Evaluation(thresholds=(0.7, 0.8, 0.9, 1.0), rounds=1),
    )
