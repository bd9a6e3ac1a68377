"""One full forward pass that stops at every exit to be read, as training and traces need it.

Functions that change gradients and nothing else.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ee_jax.models.transformer import State, Transformer
from ee_jax.tokens import Tokens


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def scale_gradient(scale: float, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x itself; its cotangent is multiplied by `scale` (ElasticBERT's gradient rescaling)."""
    return x


def _forward(scale: float, x: Array) -> tuple[Array, None]:
    return x, None


def _backward(scale: float, _: None, cotangent: Array) -> tuple[Array]:
    return (scale * cotangent,)


scale_gradient.defvjp(_forward, _backward)


class Forward(NamedTuple):
    """How the blocks run: by default all of them, with nothing dropped."""

    dropout: float = 0.0  # on embeddings and on each block's two outputs, where there is a key
    key: Array | None = None
    kept_LB: Bool[Array, "L B"] | None = None  # which rows run which block; None: all
    equilibrium: bool = False  # is a segment's gradient the mean of the exits' after it?


PLAIN = Forward()


def exit_features(
    backbone: Transformer,
    layers: Sequence[int],
    read: Callable[[int, State], Float[Array, "B ... D"]],
    tokens: Tokens,
    forward: Forward = PLAIN,
) -> Float[Array, "E B ... D"]:
    """What the exits read, in one full forward pass.

    With `equilibrium` a segment's gradient is the mean of those of the exits after it, not
    their sum (Li et al. 2019; ElasticBERT, Liu et al. 2022): scaled by 1 / (E - e) below exit
    e = 0, 1, ..., and by E - e - 1 above it.

    Args:
      backbone: the blocks.
      layers: blocks run at each exit; the last is L.
      read: from an exit's number and the state there to what it reads.
      tokens: what goes in.
      forward: how the blocks run.
    """
    key, exits = forward.key, len(layers)
    keys = (None, None) if key is None else jax.random.split(key)
    state = backbone.embed(tokens, forward.dropout, keys[0])
    features = []
    for exit, bounds in enumerate(itertools.pairwise((0, *layers))):
        state = backbone.segment(state, *bounds, forward.dropout, keys[1], forward.kept_LB)
        if forward.equilibrium:
            state = _scaled(state, 1 / (exits - exit))
        features.append(read(exit, state))
        if forward.equilibrium:
            state = _scaled(state, exits - exit - 1)
    return jnp.stack(features)


def _scaled(state: State, scale: float) -> State:
    return state._replace(hidden_BTD=scale_gradient(scale, state.hidden_BTD))
