"""A backbone with exits: what is trained, traced and compiled."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.exits.output import ExitOutput
from ee_jax.models.exit_features import PLAIN, Forward, Keys, exit_features
from ee_jax.models.heads import ExitDesign, ExitHeads, pool
from ee_jax.models.transformer import State, Transformer
from ee_jax.tokens import Tokens


class ExitModel(nnx.Module):
    """A backbone that may answer at the exits of `design`."""

    def __init__(self, backbone: Transformer, design: ExitDesign, *, rngs: nnx.Rngs):
        self.backbone = backbone
        self.design = design
        self.exits = ExitHeads(design, backbone.config.width, rngs=rngs)

    def _segment(self, exit: int) -> tuple[int, int]:
        return (0, *self.design.layers)[exit], self.design.layers[exit]

    def feature(self, state: State) -> Float[Array, "B D"]:
        """What a head reads of a state."""
        return self.backbone.norm(pool(state.hidden_BTD, state.mask_BT, self.design.pooling))

    def features(self, tokens: Tokens, forward: Forward = PLAIN) -> Float[Array, "E B D"]:
        """What the heads read at every exit, in one full forward pass."""

        def read(exit: int, state: State, keys: Keys) -> Array:
            return self.feature(state)

        return exit_features(self.backbone, self.design.layers, read, tokens, forward)

    def answers(self, feature_EBD: Float[Array, "E B D"]) -> ExitOutput:
        """The answers of all exits, E leading every array."""
        answers = [self.exits(exit, feature) for exit, feature in enumerate(feature_EBD)]
        return jax.tree.map(lambda *parts: jnp.stack(parts), *answers)

    def segments(self) -> list[Callable[[State], State]]:
        """The runs of blocks between exits, for the compiled loop."""

        def run(exit: int) -> Callable[[State], State]:
            return lambda state: self.backbone.segment(state, *self._segment(exit))

        return [run(exit) for exit in range(len(self.design.layers))]

    def heads(self) -> list[Callable[[State], ExitOutput]]:
        """The exit heads as functions of a state, for the compiled loop."""

        def answer(exit: int) -> Callable[[State], ExitOutput]:
            return lambda state: self.exits(exit, self.feature(state))

        return [answer(exit) for exit in range(len(self.design.layers))]


def static_logits(
    model: ExitModel,
    tokens: Tokens,
    depth: int | None = None,
) -> Float[Array, "B C"]:
    """The static program: `depth` blocks (None: all), and only the head that answers there."""
    depth = depth or model.design.layers[-1]
    state = model.backbone.segment(model.backbone.embed(tokens), 0, depth)
    return model.exits(model.design.layers.index(depth), model.feature(state)).logits
