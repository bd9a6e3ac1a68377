"""Next-token losses at every exit of a language model, in little memory.

The logits of all exits at once would be E * B * T * V numbers: 8 exits of a batch of 32 rows of
512 tokens over a vocabulary of 32,000 take 17 GB. Here a scan over exits, and in it one over
chunks of positions, makes the logits of one exit and chunk at a time, and `jax.checkpoint`
makes them again in the backward pass rather than keep them. So what is held at any time is the
logits of one chunk, their gradient, and the features, E * B * T * D numbers; the price is one
more product with the output projection for each chunk.
"""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.losses.exit_losses import NLL, Loss

CHUNK = 2**22  # logits that are held at a time: 16 MiB in fp32

Project = Callable[[Float[Array, "*B D"]], Float[Array, "*B V"]]


class TokenLosses(NamedTuple):
    """What every exit says of every token, and what that costs; V is in none of it."""

    losses_EBT: tuple[Float[Array, "E B T"], ...]  # one array for each loss
    prediction_EBT: Int[Array, "E B T"]  # the likeliest next token


def exit_token_losses(
    project: Project,
    feature_EBTD: Float[Array, "E B T D"],
    next_BT: Int[Array, "B T"],
    losses: Sequence[Loss] = (NLL,),
    chunk: int = CHUNK,
) -> TokenLosses:
    """Runs the projection at every exit, and keeps no logits.

    Args:
      project: the projection to the vocabulary, which all exits share.
      feature_EBTD: what it reads at each exit.
      next_BT: the token that follows each position.
      losses: what to compute of each token.
      chunk: logits that are held at a time. A chunk is a run of positions of all rows, so that
        rows stay on the devices where they are.

    Returns:
      The losses of each token at each exit, and what each exit predicts.
    """
    chex.assert_equal_shape_prefix([feature_EBTD[0], next_BT], 2)
    batch, time, _ = feature_EBTD.shape[1:]
    vocabulary = jax.eval_shape(project, feature_EBTD[0, 0, 0]).shape[-1]
    size = max(1, min(time, chunk // (batch * vocabulary)))
    piece = jax.checkpoint(partial(_chunk_losses, project, tuple(losses)))

    feature_EPBSD = jax.vmap(partial(_cut, size=size))(feature_EBTD)
    next_PBS = _cut(next_BT, size)
    compares = any(loss.reads_last for loss in losses)
    last_PBSD = feature_EPBSD[-1] if compares else None

    def exit(_: None, feature_PBSD: Array) -> tuple[None, TokenLosses]:
        pieces = (feature_PBSD, next_PBS, last_PBSD)
        return jax.lax.scan(lambda _, given: (None, piece(*given)), None, pieces)

    _, losses_EPBS = jax.lax.scan(exit, None, feature_EPBSD)
    return jax.tree.map(partial(_join, time=time), losses_EPBS)


def _chunk_losses(
    project: Project,
    losses: tuple[Loss, ...],
    feature_BSD: Float[Array, "B S D"],
    next_BS: Int[Array, "B S"],
    last_BSD: Float[Array, "B S D"] | None,
) -> TokenLosses:
    """One exit on one chunk, in which every token has its logits."""
    logits_BSV = project(feature_BSD)
    last_BSV = logits_BSV if last_BSD is None else project(jax.lax.stop_gradient(last_BSD))
    last_BSV = jax.lax.stop_gradient(last_BSV)
    found = [jax.vmap(jax.vmap(loss.of))(logits_BSV, last_BSV, next_BS) for loss in losses]
    return TokenLosses(tuple(found), logits_BSV.argmax(-1))


def _cut(x_BT: Array, size: int) -> Array:
    """[B, T, ...] to pieces [P, B, size, ...]; the last one is filled up."""
    batch, time = x_BT.shape[:2]
    pieces = math.ceil(time / size)
    fill = [(0, 0), (0, pieces * size - time)] + [(0, 0)] * (x_BT.ndim - 2)
    padded = jnp.pad(x_BT, fill)
    return jnp.moveaxis(padded.reshape(batch, pieces, size, *x_BT.shape[2:]), 1, 0)


def _join(x_EPBS: Array, time: int) -> Array:
    """Pieces [E, P, B, S] to [E, B, T]."""
    exits, _, batch, _ = x_EPBS.shape
    return jnp.moveaxis(x_EPBS, 1, 2).reshape(exits, batch, -1)[..., :time]


def mean_over_tokens(
    value_EBT: Float[Array, "E B T"], mask_BT: Bool[Array, "B T"]
) -> Float[Array, " E"]:
    """The mean over the tokens that count; 0 where there are none.

    What padding makes of a value, infinite or none, does not reach it.
    """
    kept_EBT = jnp.where(mask_BT[None], value_EBT, 0.0)
    return kept_EBT.sum((1, 2)) / jnp.maximum(mask_BT.sum(), 1)
