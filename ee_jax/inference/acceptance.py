"""Which drafted tokens the full model takes: speculative sampling.

Leviathan et al. 2023 (alg. 1) and Chen et al. 2023 (alg. 2): the tokens that come out are
distributed as the full model's own, whatever drafted them. Greedy decoding is the case of
distributions with all their weight on one token, where it means that drafts are taken as long
as they are the full model's choice.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray


class Accepted(NamedTuple):
    """How many drafts are taken, and the token that the full model puts after them."""

    count: Int[Array, ""]
    token: Int[Array, ""]


def verify(
    key: PRNGKeyArray,
    draft_k: Int[Array, " k"],
    drafted: Int[Array, ""],
    log_draft_kV: Float[Array, "k V"],
    log_full_jV: Float[Array, "j V"],
) -> Accepted:
    """Takes drafts from the first on until one is refused.

    Args:
        key: for this decision alone.
        draft_k: the drafts, of which the first `drafted` count.
        drafted: how many there are.
        log_draft_kV: log-probabilities that each was drawn from.
        log_full_jV: the full model's at the same places and, j = k + 1, after the last.
    """
    chex.assert_shape(log_full_jV, (draft_k.size + 1, log_draft_kV.shape[1]))
    key_take, key_token = jax.random.split(key)
    each = jnp.arange(draft_k.size)
    ratio_k = jnp.exp(log_full_jV[each, draft_k] - log_draft_kV[each, draft_k])
    good_k = (jax.random.uniform(key_take, each.shape) < ratio_k) & (each < drafted)
    taken = jnp.cumprod(good_k.astype(jnp.int32)).sum()

    full_V = jnp.exp(log_full_jV[taken])
    refused = taken < drafted
    draft_V = jnp.exp(log_draft_kV[jnp.minimum(taken, draft_k.size - 1)])
    left_V = jnp.where(refused, jnp.maximum(full_V - draft_V, 0.0), full_V)
    # What is left can only vanish by rounding, where both distributions are the same.
    left_V = jnp.where(left_V.sum() > 0, left_V, full_V)
    token = jax.random.categorical(key_token, jnp.log(left_V)).astype(jnp.int32)
    return Accepted(taken, token)
