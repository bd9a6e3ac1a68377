"""Prompt lookup: what followed when the last tokens came before is drafted to follow again.

Saxena 2023 (prompt lookup decoding), Yang et al. 2023 (LLMA): text that repeats its prompt or
itself is drafted from there. It costs nothing beside a pass, and needs no model.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

LONGEST = 4  # tokens that are matched; a longer match tells hardly more


class Lookup(NamedTuple):
    """What each row finds in its own tokens."""

    ids_Bk: Int[Array, "B k"]
    match_B: Int[Array, " B"]  # tokens that matched before them; 0: none did


def look_up(
    context_BS: Int[Array, "B S"],
    last_B: Int[Array, " B"],
    drafts: int,
    longest: int = LONGEST,
) -> Lookup:
    """Drafts that follow the longest earlier match of a row's last tokens, the latest of them.

    A match that ends d tokens before the row does is followed by d known tokens; where more are
    drafted, these come again and again, as they do in a text that repeats itself.

    Args:
      context_BS: tokens by position.
      last_B: the position of a row's last token.
      drafts: k.
      longest: tokens that are compared at most.
    """

    def one(context_S: Array, last: Array) -> tuple[Array, Array]:
        match_S = _matches(context_S, last, longest)
        end = match_S.size - 1 - match_S[::-1].argmax()  # the latest of the longest
        apart = jnp.maximum(last - end, 1)
        ids_k = context_S[end + 1 + jnp.arange(drafts) % apart]
        return ids_k, match_S[end]

    return Lookup(*jax.vmap(one)(context_BS, last_B))


def _matches(
    context_S: Int[Array, " S"], last: Int[Array, ""], longest: int
) -> Int[Array, " S"]:
    """How many tokens up to each position are those up to the last, which itself gets none."""
    position_S = jnp.arange(context_S.size)
    same_S: Bool[Array, " S"] = position_S < last
    match_S = jnp.zeros(context_S.size, jnp.int32)
    for back in range(longest):
        shifted_S = jnp.roll(context_S, back)
        known_S = (position_S >= back) & (last >= back)
        same_S = same_S & known_S & (shifted_S == context_S[last - back])
        match_S = match_S + same_S
    return match_S
