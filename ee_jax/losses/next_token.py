"""Next-token losses at every exit of a language model, in little memory.

The logits of all exits at once would be E * B * T * V numbers: 8 exits of a batch of 32 rows of
512 tokens over a vocabulary of 32,000 take 17 GB. Here a scan over chunks of positions makes
the logits of all exits on one chunk at a time, and `jax.checkpoint` makes them again in the
backward pass rather than keep them. So what is held at any time is the logits of one chunk,
their gradient, and the features, E * B * T * D numbers; the price is one more product with the
output projection for each chunk. Losses that compare exits with the last find its logits there.
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
    exits, batch, time, _ = feature_EBTD.shape
    vocabulary = jax.eval_shape(project, feature_EBTD[0, 0, 0]).shape[-1]
    size = max(1, min(time, chunk // (exits * batch * vocabulary)))
    piece = jax.checkpoint(partial(_chunk_losses, project, tuple(losses)))

    feature_PEBSD = jnp.moveaxis(jax.vmap(partial(_cut, size=size))(feature_EBTD), 1, 0)
    pieces = feature_PEBSD, _cut(next_BT, size)
    _, losses_PEBS = jax.lax.scan(lambda _, given: (None, piece(*given)), None, pieces)
    return jax.tree.map(partial(_join, time=time), losses_PEBS)


def _chunk_losses(
    project: Project,
    losses: tuple[Loss, ...],
    feature_EBSD: Float[Array, "E B S D"],
    next_BS: Int[Array, "B S"],
) -> TokenLosses:
    """All exits on one chunk, in which every token has its logits."""
    logits_EBSV = project(feature_EBSD)
    last_BSV = jax.lax.stop_gradient(logits_EBSV[-1])

    def found(loss: Loss) -> Float[Array, "E B S"]:
        of_tokens = jax.vmap(jax.vmap(loss.of))
        return jax.vmap(of_tokens, (0, None, None))(logits_EBSV, last_BSV, next_BS)

    return TokenLosses(tuple(map(found, losses)), logits_EBSV.argmax(-1))


def _cut(x_BT: Array, size: int) -> Array:
    """[B, T, ...] to pieces [P, B, size, ...]; the last one is filled up."""
    batch, time = x_BT.shape[:2]
    pieces = math.ceil(time / size)
    fill = [(0, 0), (0, pieces * size - time)] + [(0, 0)] * (x_BT.ndim - 2)
    padded = jnp.pad(x_BT, fill)
    return jnp.moveaxis(padded.reshape(batch, pieces, size, *x_BT.shape[2:]), 1, 0)


def _join(x_PEBS: Array, time: int) -> Array:
    """Pieces [P, E, B, S] to [E, B, T]."""
    _, exits, batch, _ = x_PEBS.shape
    return jnp.moveaxis(x_PEBS, 0, 2).reshape(exits, batch, -1)[..., :time]


def mean_over_tokens(
    value_EBT: Float[Array, "E B T"], mask_BT: Bool[Array, "B T"]
) -> Float[Array, " E"]:
    """The mean over the tokens that count; 0 where there are none.

    What padding makes of a value, infinite or none, does not reach it.
    """
    kept_EBT = jnp.where(mask_BT[None], value_EBT, 0.0)
    return kept_EBT.sum((1, 2)) / jnp.maximum(mask_BT.sum(), 1)
