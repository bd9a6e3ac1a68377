"""One full forward pass that stops at every exit to be read, as training and traces need it.

Functions that change gradients and nothing else.
"""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ee_jax.models.transformer import State, Transformer, looking_at
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
Keys = Callable[[], tuple[Float[Array, "B T K H"], Float[Array, "B T K H"]]]


def exit_features(
    backbone: Transformer,
    layers: Sequence[int],
    read: Callable[[int, State, Keys], Any],
    tokens: Tokens,
    forward: Forward = PLAIN,
) -> Any:
    """What the exits read, in one full forward pass.

    With `equilibrium` a segment's gradient is the mean of those of the exits after it, not
    their sum (Li et al. 2019; ElasticBERT, Liu et al. 2022): scaled by 1 / (E - e) below exit
    e = 0, 1, ..., and by E - e - 1 above it.

    Args:
      backbone: the blocks.
      layers: blocks run at each exit; the last is L.
      read: from an exit's number, the state there and a function that makes the keys and
        values of the last block before it, to what the exit reads.
      tokens: what goes in.
      forward: how the blocks run.

    Returns:
      What `read` gives, E leading every array.
    """
    key, exits = forward.key, len(layers)
    keys = (None, None) if key is None else jax.random.split(key)
    if tokens.source is not None:
        source_key = None if key is None else jax.random.fold_in(key, 2)
        memory = backbone.remember(tokens.source, forward.dropout, source_key)
        backbone = looking_at(backbone, lambda own: own, memory)
    state = backbone.embed(tokens, forward.dropout, keys[0])
    features = []

    def run(state: State, start: int, stop: int) -> State:
        return backbone.segment(state, start, stop, forward.dropout, keys[1], forward.kept_LB)

    for exit, (start, stop) in enumerate(itertools.pairwise((0, *layers))):
        entered = run(state, start, stop - 1)
        state = run(entered, stop - 1, stop)
        share = 1 / (exits - exit) if forward.equilibrium else 1.0
        state = _scaled(state, share)
        features.append(read(exit, state, partial(_keys, backbone, entered, stop - 1, share)))
        state = _scaled(state, exits - exit - 1 if forward.equilibrium else 1.0)
    return jax.tree.map(lambda *parts: jnp.stack(parts), *features)


def _keys(
    backbone: Transformer, entered: State, index: int, scale: float
) -> tuple[Array, Array]:
    """The keys and values that a block has made of what entered it."""
    position_1T = jnp.arange(entered.hidden_BTD.shape[1])[None]
    key_BTKH, value_BTKH = backbone.block(index).keys(entered.hidden_BTD, position_1T)
    if scale == 1.0:
        return key_BTKH, value_BTKH
    return scale_gradient(scale, key_BTKH), scale_gradient(scale, value_BTKH)


def _scaled(state: State, scale: float) -> State:
    if scale == 1.0:
        return state
    return state._replace(hidden_BTD=scale_gradient(scale, state.hidden_BTD))
