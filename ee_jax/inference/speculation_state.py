"""Where the rows of speculative decoding are, and how a round's tokens are added to them."""

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from ee_jax.inference.decode_loop import Ends, Request, is_stop
from ee_jax.inference.sampling import row_keys
from ee_jax.models.kv_cache import Cache


class SpeculatedText(NamedTuple):
    """What came out, N tokens at most a row; beyond `length_B` ids are 0."""

    ids_BN: Int[Array, "B N"]  # a stop token is among them
    length_B: Int[Array, " B"]
    drafted_B: Int[Array, " B"]
    accepted_B: Int[Array, " B"]  # the acceptance rate is accepted / drafted
    rounds_BA: Int[Array, "B A"]  # verifying passes after each of the A drafters

    @property
    def rounds_B(self) -> Int[Array, " B"]:
        """Verifying passes."""
        return self.rounds_BA.sum(1)


class SpeculationState(NamedTuple):
    """Where every row is."""

    cache: Cache
    token_B: Int[Array, " B"]  # to feed next
    position_B: Int[Array, " B"]
    ended_B: Bool[Array, " B"]
    key_B: PRNGKeyArray
    context_BS: Int[Array, "B S"]  # the tokens by position, up to the one to feed next
    out: SpeculatedText


def begin_speculation(
    cache: Cache, request: Request, tokens: int, drafters: int = 1
) -> SpeculationState:
    """Before the first of at most `tokens` new tokens; the cache holds the prompts.

    It needs room for the new tokens and a draft.
    """
    batch = request.ids_BP.shape[0]
    zero_B = jnp.zeros(batch, jnp.int32)
    ids_BN = jnp.zeros((batch, tokens), jnp.int32)
    rounds_BA = jnp.zeros((batch, drafters), jnp.int32)
    out = SpeculatedText(ids_BN, zero_B, zero_B, zero_B, rounds_BA)
    ended_B, key_B = request.ends.limit_B <= 0, row_keys(request.key, batch)
    context_BS = jnp.pad(request.ids_BP, ((0, 0), (0, tokens)))
    position_B = request.length_B - 1
    return SpeculationState(cache, request.last_B, position_B, ended_B, key_B, context_BS, out)


class Outcome(NamedTuple):
    """What a round gave."""

    ids_Bj: Int[Array, "B j"]  # the drafts, and after those that were taken the full model's
    taken_B: Int[Array, " B"]
    drafted_B: Int[Array, " B"]


def add_tokens(
    state: SpeculationState,
    cache: Cache,
    outcome: Outcome,
    going_B: Bool[Array, " B"],
    ends: Ends,
    drafter: int,
) -> SpeculationState:
    """After a round of drafter number `drafter`, which wrote the cache."""
    ids_Bj, taken_B, drafted_B = outcome
    count_B, ended_B = _count(state.out.length_B, ids_Bj, taken_B, ends)
    count_B = jnp.where(going_B, count_B, 0)
    token_B = jnp.take_along_axis(ids_Bj, taken_B[:, None], axis=1)[:, 0]
    length_B = state.out.length_B
    return SpeculationState(
        cache=cache,
        token_B=jnp.where(going_B, token_B, state.token_B),
        position_B=state.position_B + count_B,
        ended_B=state.ended_B | (going_B & ended_B),
        key_B=state.key_B,
        context_BS=_append(state.context_BS, ids_Bj, state.position_B + 1, count_B),
        out=SpeculatedText(
            _append(state.out.ids_BN, ids_Bj, length_B, count_B),
            length_B + count_B,
            state.out.drafted_B + jnp.where(going_B, drafted_B, 0),
            state.out.accepted_B + jnp.minimum(taken_B, count_B),
            state.out.rounds_BA.at[:, drafter].add(going_B),
        ),
    )


def _count(
    length_B: Int[Array, " B"], ids_Bj: Int[Array, "B j"], taken_B: Array, ends: Ends
) -> tuple[Int[Array, " B"], Bool[Array, " B"]]:
    """How many of the round's tokens stay, up to a stop token or the limit; who has ended."""
    step_1j, room_B = jnp.arange(ids_Bj.shape[1])[None], ends.limit_B - length_B
    stop_Bj = is_stop(ids_Bj, ends.stop_S)
    to_stop_B = jnp.where(stop_Bj, step_1j + 1, step_1j.size + 1).min(1)
    count_B = jnp.minimum(jnp.minimum(taken_B + 1, to_stop_B), room_B)
    return count_B, (count_B == to_stop_B) | (count_B == room_B)


def _append(
    whole_BN: Int[Array, "B N"],
    ids_Bj: Int[Array, "B j"],
    start_B: Int[Array, " B"],
    count_B: Int[Array, " B"],
) -> Int[Array, "B N"]:
    step_1j, end = jnp.arange(ids_Bj.shape[1])[None], whole_BN.shape[1]
    slot_Bj = jnp.where(step_1j < count_B[:, None], start_B[:, None] + step_1j, end)
    return whole_BN.at[jnp.arange(count_B.size)[:, None], slot_Bj].set(ids_Bj, mode="drop")
