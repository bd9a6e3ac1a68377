"""Self-speculation: the first blocks draft tokens, the other blocks verify them in one pass.

LayerSkip (Elhoushi et al. 2024, sec. 4.3): draft and full model share the first blocks, so what
these have written and made of the drafts is not computed again. What comes out is the full
model's, whatever is drafted. Each row takes its own count of drafts and moves on by it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, PRNGKeyArray

from ee_jax.inference.decode_loop import Ends, Request, is_stop
from ee_jax.inference.drafting import Draft, Drafter, draft_tokens, verify
from ee_jax.inference.sampling import Sampling, keys_at, log_probabilities, row_keys
from ee_jax.inference.segment import run_blocks
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel


class SpeculatedText(NamedTuple):
    """What came out, N tokens at most a row; beyond `length_B` ids are 0."""

    ids_BN: Int[Array, "B N"]  # a stop token is among them
    length_B: Int[Array, " B"]
    drafted_B: Int[Array, " B"]
    accepted_B: Int[Array, " B"]  # the acceptance rate is accepted / drafted
    rounds_B: Int[Array, " B"]  # verifying passes


class SpeculationState(NamedTuple):
    """Where every row is."""

    cache: Cache
    token_B: Int[Array, " B"]  # to feed next
    position_B: Int[Array, " B"]
    ended_B: Bool[Array, " B"]
    key_B: PRNGKeyArray
    out: SpeculatedText


def begin_speculation(cache: Cache, request: Request, tokens: int) -> SpeculationState:
    """Before the first of at most `tokens` new tokens; the cache holds the prompts.

    It needs room for the new tokens and a draft.
    """
    batch = request.ids_BP.shape[0]
    zero_B = jnp.zeros(batch, jnp.int32)
    ids_BN = jnp.zeros((batch, tokens), jnp.int32)
    out = SpeculatedText(ids_BN, zero_B, zero_B, zero_B, zero_B)
    ended_B, key_B = request.ends.limit_B <= 0, row_keys(request.key, batch)
    return SpeculationState(cache, request.last_B, request.length_B - 1, ended_B, key_B, out)


def speculate(
    model: LanguageModel,
    drafter: Drafter,
    state: SpeculationState,
    ends: Ends,
    sampling: Sampling,
    until: Int[Array, ""],
) -> SpeculationState:
    """Round after round, until every row has ended or has `until` tokens or a few more."""
    depth = model.design.layers[drafter.exit]

    def cond(state: SpeculationState) -> Bool[Array, " B"]:
        return ~state.ended_B & (state.out.length_B < until)

    def body(state: SpeculationState) -> SpeculationState:
        going_B = cond(state)
        draft = draft_tokens(
            model, drafter, sampling, state.cache[:depth], state.token_B, state.position_B,
            state.out.length_B, ends, going_B, state.key_B,
        )  # fmt: skip
        return _settle(model, depth, state, draft, going_B, ends, sampling)

    return jax.lax.while_loop(lambda state: cond(state).any(), body, state)


def _settle(
    model: LanguageModel,
    depth: int,
    state: SpeculationState,
    draft: Draft,
    going_B: Bool[Array, " B"],
    ends: Ends,
    sampling: Sampling,
) -> SpeculationState:
    """Runs the other blocks on all drafts at once, and takes what they confirm."""
    layers, step_1j = model.design.layers, jnp.arange(draft.hidden_BjD.shape[1])[None]
    position_Bj = state.position_B[:, None] + step_1j
    deep, hidden_BjD = run_blocks(
        model, state.cache[depth:], draft.hidden_BjD, position_Bj, depth, layers[-1]
    )
    logits_BjV = model.logits(model.feature(len(layers) - 1, hidden_BjD))
    log_p = jax.vmap(jax.vmap(lambda logits_V: log_probabilities(logits_V, sampling)))
    key_B = jax.vmap(jax.random.fold_in, (0, None))(keys_at(state.key_B, state.position_B), 1)
    taken_B, token_B = jax.vmap(verify)(
        key_B, draft.ids_Bk, draft.drafted_B, draft.log_p_BkV, log_p(logits_BjV)
    )
    drafts_Bj = jnp.pad(draft.ids_Bk, ((0, 0), (0, 1)))
    ids_Bj = jnp.where(step_1j == taken_B[:, None], token_B[:, None], drafts_Bj)

    count_B, ended_B = _count(state.out.length_B, ids_Bj, taken_B, ends)
    count_B = jnp.where(going_B, count_B, 0)
    return SpeculationState(
        cache=(*draft.cache, *deep),
        token_B=jnp.where(going_B, token_B, state.token_B),
        position_B=state.position_B + count_B,
        ended_B=state.ended_B | (going_B & ended_B),
        key_B=state.key_B,
        out=_append(state.out, ids_Bj, count_B, taken_B, draft.drafted_B, going_B),
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
    out: SpeculatedText,
    ids_Bj: Int[Array, "B j"],
    count_B: Int[Array, " B"],
    taken_B: Int[Array, " B"],
    drafted_B: Int[Array, " B"],
    going_B: Bool[Array, " B"],
) -> SpeculatedText:
    step_1j, end = jnp.arange(ids_Bj.shape[1])[None], out.ids_BN.shape[1]
    slot_Bj = jnp.where(step_1j < count_B[:, None], out.length_B[:, None] + step_1j, end)
    row_B1 = jnp.arange(count_B.size)[:, None]
    return SpeculatedText(
        out.ids_BN.at[row_B1, slot_Bj].set(ids_Bj, mode="drop"),
        out.length_B + count_B,
        out.drafted_B + jnp.where(going_B, drafted_B, 0),
        out.accepted_B + jnp.minimum(taken_B, count_B),
        out.rounds_B + going_B,
    )
