"""Speculative decoding: a drafter drafts tokens, the blocks that it did not run verify them.

LayerSkip (Elhoushi et al. 2024, sec. 4.3): an exit and the full model share the first blocks,
so what these have written and made of the drafts is not computed again. What comes out is the
full model's, whatever is drafted. Each row takes its own count of drafts and moves on by it.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int

from ee_jax.inference.decode_loop import Ends
from ee_jax.inference.drafting import Draft, Drafter
from ee_jax.inference.sampling import Sampling, keys_at
from ee_jax.inference.segment import run_blocks
from ee_jax.inference.speculation_state import Outcome, SpeculationState, add_tokens
from ee_jax.inference.speculative_sampling import verify_rows
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel


def speculate(
    model: LanguageModel,
    drafter: Drafter,
    state: SpeculationState,
    ends: Ends,
    sampling: Sampling,
    until: Int[Array, ""],
) -> SpeculationState:
    """Round after round, until every row has ended or has `until` tokens or a few more."""

    def body(state: SpeculationState) -> SpeculationState:
        going_B = goes_on(state, until)
        return run_round(model, drafter, state, ends, sampling, going_B)

    return jax.lax.while_loop(lambda state: goes_on(state, until).any(), body, state)


def goes_on(state: SpeculationState, until: Int[Array, ""]) -> Bool[Array, " B"]:
    """Which rows have neither ended nor `until` tokens."""
    return ~state.ended_B & (state.out.length_B < until)


def run_round(
    model: LanguageModel,
    drafter: Drafter,
    state: SpeculationState,
    ends: Ends,
    sampling: Sampling,
    going_B: Bool[Array, " B"],
    number: int = 0,
) -> SpeculationState:
    """Drafts, verifies in one pass, and takes what the full model confirms.

    Args:
      model: whose tokens come out.
      drafter: who drafts.
      state: where the rows are.
      ends: where they end.
      sampling: how tokens are drawn.
      going_B: the rows that take part.
      number: of the drafter, under which its rounds are counted.
    """
    draft = drafter.draft(model, sampling, state, ends, going_B)
    depth = drafter.depth(model.design.layers)
    cache, outcome = _verify(model, depth, state, draft, sampling)
    return add_tokens(state, cache, outcome, going_B, ends, number)


def _verify(
    model: LanguageModel, depth: int, state: SpeculationState, draft: Draft, sampling: Sampling
) -> tuple[Cache, Outcome]:
    """Runs the blocks beyond `depth` on all drafts at once."""
    layers, step_1j = model.design.layers, jnp.arange(draft.hidden_BjD.shape[1])[None]
    position_Bj = state.position_B[:, None] + step_1j
    deep, hidden_BjD = run_blocks(
        model, draft.cache[depth:], draft.hidden_BjD, position_Bj, depth, layers[-1]
    )
    logits_BjV = model.logits(model.feature(len(layers) - 1, hidden_BjD))
    key_B = jax.vmap(jax.random.fold_in, (0, None))(keys_at(state.key_B, state.position_B), 1)
    taken_B, token_B = verify_rows(
        key_B, draft.ids_Bk, draft.drafted_B, draft.log_p_BkV, logits_BjV, sampling
    )
    drafts_Bj = jnp.pad(draft.ids_Bk, ((0, 0), (0, 1)))
    ids_Bj = jnp.where(step_1j == taken_B[:, None], token_B[:, None], drafts_Bj)
    return (*draft.cache[:depth], *deep), Outcome(ids_Bj, taken_B, draft.drafted_B)
