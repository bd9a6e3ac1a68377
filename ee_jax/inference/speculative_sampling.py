"""Which drafted tokens the full model takes: speculative sampling.

Leviathan et al. 2023 (alg. 1) and Chen et al. 2023 (alg. 2): the tokens that come out are
distributed as the full model's own, whatever drafted them. Greedy decoding is the case of
distributions with all their weight on one token, where it means that drafts are taken as long
as they are the full model's choice. A draft that nobody drew, such as one found in the prompt,
has all its weight on one token too.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ee_jax.inference.sampling import Sampling, draw, log_probabilities


class Accepted(NamedTuple):
    """How many drafts are taken, and the token that the full model puts after them."""

    count: Int[Array, ""]
    token: Int[Array, ""]


def verify(
    key: PRNGKeyArray,
    draft_k: Int[Array, " k"],
    drafted: Int[Array, ""],
    log_draft_kV: Float[Array, "k V"] | None,
    log_full_jV: Float[Array, "j V"],
) -> Accepted:
    """Takes drafts from the first on until one is refused.

    Args:
        key: for this decision alone.
        draft_k: the drafts, of which the first `drafted` count; at least one.
        drafted: how many there are.
        log_draft_kV: log-probabilities that each was drawn from; None: each was certain.
        log_full_jV: the full model's at the same places and, j = k + 1, after the last.
    """
    chex.assert_axis_dimension(log_full_jV, 0, draft_k.size + 1)
    key_take, key_token = jax.random.split(key)
    each = jnp.arange(draft_k.size)
    log_draft_k = 0.0 if log_draft_kV is None else log_draft_kV[each, draft_k]
    ratio_k = jnp.exp(log_full_jV[each, draft_k] - log_draft_k)
    good_k = (jax.random.uniform(key_take, each.shape) < ratio_k) & (each < drafted)
    taken = jnp.cumprod(good_k.astype(jnp.int32)).sum()

    full_V = jnp.exp(log_full_jV[taken])
    at = jnp.minimum(taken, draft_k.size - 1)
    if log_draft_kV is None:
        draft_V = jax.nn.one_hot(draft_k[at], full_V.size)
    else:
        draft_V = jnp.exp(log_draft_kV[at])
    left_V = jnp.where(taken < drafted, jnp.maximum(full_V - draft_V, 0.0), full_V)
    # What is left can only vanish by rounding, where both distributions are the same.
    left_V = jnp.where(left_V.sum() > 0, left_V, full_V)
    token = jax.random.categorical(key_token, jnp.log(left_V)).astype(jnp.int32)
    return Accepted(taken, token)


def verify_greedy(
    draft_k: Int[Array, " k"], drafted: Int[Array, ""], full_j: Int[Array, " j"]
) -> Accepted:
    """`verify` of certain drafts where the full model's choices, j = k + 1, are certain too."""
    good_k = (draft_k == full_j[:-1]) & (jnp.arange(draft_k.size) < drafted)
    taken = jnp.cumprod(good_k.astype(jnp.int32)).sum()
    return Accepted(taken, full_j[taken])


def verify_rows(
    key_B: PRNGKeyArray,
    ids_Bk: Int[Array, "B k"],
    drafted_B: Int[Array, " B"],
    log_draft_BkV: Float[Array, "B k V"] | None,
    logits_BjV: Float[Array, "B j V"],
    sampling: Sampling,
) -> Accepted:
    """`verify` for each row of a batch, from the full model's logits."""
    if sampling.temperature == 0:
        full_Bj = logits_BjV.argmax(-1).astype(jnp.int32)
        return jax.vmap(verify_greedy)(ids_Bk, drafted_B, full_Bj)
    if ids_Bk.shape[1] == 0:
        draw_B = jax.vmap(lambda key, logits_V: draw(key, logits_V, sampling))
        return Accepted(drafted_B, draw_B(key_B, logits_BjV[:, 0]))
    log_p = jax.vmap(jax.vmap(lambda logits_V: log_probabilities(logits_V, sampling)))
    none = log_draft_BkV is None
    rows = jax.vmap(verify, in_axes=(0, 0, 0, None if none else 0, 0))
    return rows(key_B, ids_Bk, drafted_B, log_draft_BkV, log_p(logits_BjV))
