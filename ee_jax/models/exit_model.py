"""A backbone with exits: what is trained, traced and compiled."""

from collections.abc import Callable
from dataclasses import replace

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.exits.output import ExitOutput
from ee_jax.models.architecture import Architecture
from ee_jax.models.exit_features import PLAIN, Forward, Keys, exit_features
from ee_jax.models.heads import ExitDesign, ExitHeads, pool
from ee_jax.models.transformer import Parameters, State, Transformer, parameters
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


def exit_model_shapes(config: Architecture, design: ExitDesign) -> ExitModel:
    """The model as shapes only, to be bound to parameters."""

    def make() -> ExitModel:
        rngs = nnx.Rngs(0)
        return ExitModel(Transformer(config, rngs=rngs), design, rngs=rngs)

    made = nnx.eval_shape(make)
    return jax.tree.map(lambda a: jax.ShapeDtypeStruct(a.shape, a.dtype), made)


def with_last_head(
    model: ExitModel, values: Parameters, layers: tuple[int, ...]
) -> tuple[ExitModel, Parameters]:
    """A model whose every exit answers by the head of another's last one.

    Args:
      model: the other, which may be shapes only.
      values: its parameters.
      layers: where the exits are; blocks after the last of them are left out.

    Returns:
      The model as shapes, and its parameters, which are arrays of `values`.
    """
    config = replace(model.backbone.config, blocks=layers[-1])
    design = replace(model.design, layers=layers, learned=False, shared_score=False)
    made, heads = exit_model_shapes(config, design), "exits.heads."
    last = f"{heads}{len(model.exits.heads) - 1}."

    def theirs(path: str) -> str:
        if not path.startswith(heads):
            return path
        return last + path.removeprefix(heads).partition(".")[2]

    return made, {path: values[theirs(path)] for path in parameters(made)}


def static_logits(
    model: ExitModel,
    tokens: Tokens,
    depth: int | None = None,
) -> Float[Array, "B C"]:
    """The static program: `depth` blocks (None: all), and only the head that answers there."""
    depth = depth or model.design.layers[-1]
    state = model.backbone.segment(model.backbone.embed(tokens), 0, depth)
    return model.exits(model.design.layers.index(depth), model.feature(state)).logits
