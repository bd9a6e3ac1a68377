"""Tokens whose keys and values some blocks still lack.

What a policy makes for a skipped block is only needed when a later token runs that block. Until
then it waits in a window of the last W tokens, and is made for all of them at once: the
weights, which a CPU reads more slowly than it multiplies, are read once for many tokens. Every
row takes a token a step and a segment runs for all rows or for none, so a count a segment says
how many of the last tokens it lacks; deeper segments never lack fewer. A row has counts of its
own, since one that begins among others lacks nothing.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.exits.layouts import run_if
from ee_jax.inference.kv_policies import Policy
from ee_jax.inference.segment import TokenState, fill_segment
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel

WINDOW = 16  # tokens that may wait, W


class MissingKV(NamedTuple):
    """The last W tokens, and how many of them each segment lacks."""

    hidden_BWD: Float[Array, "B W D"]  # after the last block that each has run
    missing_BE: Int[Array, "B E"]


def no_missing_kv(model: LanguageModel, batch: int, window: int = WINDOW) -> MissingKV:
    """Every segment has seen every token."""
    backbone = model.backbone
    hidden_BWD = jnp.zeros((batch, window, backbone.config.width), backbone.dtype)
    return MissingKV(hidden_BWD, jnp.zeros((batch, len(model.design.layers)), jnp.int32))


def is_full(pending: MissingKV) -> Bool[Array, ""]:
    """Whether the next token that stops early would push one out that some segment lacks."""
    return (pending.missing_BE[:, -1] == pending.hidden_BWD.shape[1]).any()


def fill(
    model: LanguageModel,
    policy: Policy,
    cache: Cache,
    pending: MissingKV,
    position_B: Int[Array, " B"],
    exit: int,
    wanted: Bool[Array, ""],
) -> tuple[Cache, MissingKV]:
    """Gives the segment of exit number `exit` what it lacks, where that is wanted.

    `cache` is the whole cache, `position_B` that of the token after those in the window.
    """
    start, stop = model.design.layers[exit - 1], model.design.layers[exit]
    window = pending.hidden_BWD.shape[1]
    missing_B1 = pending.missing_BE[:, exit, None]
    missing_BW = jnp.arange(window)[None] >= window - missing_B1

    def body(carry: tuple[Cache, Array]) -> tuple[Cache, Array]:
        layers, hidden_BWD = carry
        position_BW = position_B[:, None] + jnp.arange(-window, 0)[None]
        tokens = TokenState(hidden_BWD, position_BW, missing_BW)
        return fill_segment(model, policy, layers, cache[start - 1], tokens, start)

    needed = wanted & (missing_B1 > 0).any()
    layers, hidden_BWD = run_if(needed, body, (cache[start:stop], pending.hidden_BWD))
    return (*cache[:start], *layers, *cache[stop:]), pending._replace(hidden_BWD=hidden_BWD)


def with_token(
    pending: MissingKV,
    hidden_B1D: Float[Array, "B 1 D"],
    position_B: Int[Array, " B"],
    exit: int,
) -> TokenState:
    """What the segment of an exit lacks, and behind it the token at `position_B`."""
    window = pending.hidden_BWD.shape[1]
    missing_Bj = jnp.arange(window + 1)[None] >= window - pending.missing_BE[:, exit, None]
    position_Bj = position_B[:, None] + jnp.arange(-window, 1)[None]
    hidden_BjD = jnp.concatenate([pending.hidden_BWD, hidden_B1D], axis=1)
    return TokenState(hidden_BjD, position_Bj, missing_Bj)


def push(
    pending: MissingKV, hidden_BD: Float[Array, "B D"], ran_E: Bool[Array, " E"]
) -> MissingKV:
    """The window one token later; `ran_E` says which segments have seen that token."""
    missing_BE = jnp.where(is_full(pending), 0, pending.missing_BE)
    kept_BWD = pending.hidden_BWD[:, 1:]
    hidden_BWD = jnp.concatenate([kept_BWD, hidden_BD[:, None]], axis=1)
    return MissingKV(hidden_BWD, jnp.where(ran_E[None], 0, missing_BE + 1))
