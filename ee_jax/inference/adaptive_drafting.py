"""Speculative decoding that chooses, pass by pass, how many tokens to draft and by whom.

One compiled program holds a round for each choice, of which a pass runs one. What a lookup
would have drafted is known whatever was chosen, so its acceptance is counted in every pass, at
no cost; that of an exit where it drafts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from ee_jax.exits.layouts import run_if
from ee_jax.inference.decode_loop import Ends, Request
from ee_jax.inference.draft_choice import (
    EXIT,
    Acceptance,
    Spent,
    choose,
    count_drafts,
    expected_tokens,
    fade,
    no_acceptance,
    row_weights,
)
from ee_jax.inference.drafting import Drafter, ExitDrafter, LookupDrafter
from ee_jax.inference.prompt_lookup import Lookup, look_up
from ee_jax.inference.sampling import Sampling
from ee_jax.inference.self_speculation import goes_on, run_round
from ee_jax.inference.speculation_state import (
    SpeculatedText,
    SpeculationState,
    begin_speculation,
)
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel


class PassCosts(NamedTuple):
    """What a round of each drafter costs, beside each other."""

    cost_A: Float[Array, " A"] | Float[np.ndarray, " A"]
    only: Int[Array, ""] | np.int32 = np.int32(-1)  # who drafts in all passes; -1: is chosen


class AdaptiveState(NamedTuple):
    """Where every row is, and what is known of the drafts."""

    speculation: SpeculationState
    acceptance: Acceptance
    spent: Spent

    @property
    def cache(self) -> Cache:
        """Of all blocks."""
        return self.speculation.cache

    @property
    def position_B(self) -> Int[Array, " B"]:
        """Of the tokens to feed next."""
        return self.speculation.position_B

    @property
    def out(self) -> SpeculatedText:
        """What has come out."""
        return self.speculation.out

    @property
    def ended_B(self) -> Bool[Array, " B"]:
        """Which rows have ended."""
        return self.speculation.ended_B


def begin_adaptive(speculation: SpeculationState) -> AdaptiveState:
    """Before the first pass."""
    spent = Spent(jnp.float32(0), jnp.float32(0))
    return AdaptiveState(speculation, no_acceptance(), spent)


def speculate_adaptively(
    model: LanguageModel,
    drafters: Sequence[Drafter],
    costs: PassCosts,
    state: AdaptiveState,
    ends: Ends,
    sampling: Sampling,
    until: Int[Array, ""],
) -> AdaptiveState:
    """Round after round, until every row has ended or has `until` tokens or a few more.

    Args:
      model: whose tokens come out.
      drafters: to choose from; the first drafts nothing.
      costs: of a round of each.
      state: where the rows are.
      ends: where they end.
      sampling: how tokens are drawn.
      until: see above.
    """
    cost_A = jnp.asarray(costs.cost_A) / costs.cost_A[0]
    # Who runs blocks to draft, does so for the rows that find nothing.
    runs_A = [drafter.depth(model.design.layers) > 0 for drafter in drafters]

    def body(state: AdaptiveState) -> AdaptiveState:
        before, acceptance, spent = state
        going_B = goes_on(before, until)
        longest = max(drafter.drafts for drafter in drafters) + 1
        found = look_up(before.context_BS, before.position_B, longest)
        chosen, trial = _choose(drafters, runs_A, cost_A, found, state, ends, going_B)
        chosen = jnp.where(costs.only < 0, chosen, costs.only)

        after = before
        for number, drafter in enumerate(drafters):
            run = partial(
                run_round, model, drafter, ends=ends, sampling=sampling, going_B=going_B,
                number=number,
            )  # fmt: skip
            after = run_if(chosen == number, run, after)
        acceptance = _count(fade(acceptance), found, before, after, jnp.array(runs_A)[chosen])
        spent = Spent(spent.passes + cost_A[chosen], spent.trials + trial)
        return AdaptiveState(after, acceptance, spent)

    return jax.lax.while_loop(lambda at: goes_on(at.speculation, until).any(), body, state)


def _choose(
    drafters: Sequence[Drafter],
    runs_A: Sequence[bool],
    cost_A: Array,
    found: Lookup,
    state: AdaptiveState,
    ends: Ends,
    going_B: Array,
) -> tuple[Int[Array, ""], Float[Array, ""]]:
    length_B = state.out.length_B
    left_B, rate_C = ends.limit_B - length_B, state.acceptance.rate_C
    hit_B = found.match_B > 0
    found_B = jnp.where(hit_B, rate_C[found.match_B - 1], 0.0)

    def tokens(exit_rate: Array | float) -> Float[Array, "A B"]:
        or_exit_B = jnp.where(hit_B, found_B, exit_rate)
        rates = [or_exit_B if runs else found_B for runs in runs_A]
        pairs = zip(rates, drafters, strict=True)
        return jnp.stack([expected_tokens(a_B, d.drafts, left_B - 1) for a_B, d in pairs])

    tokens_AB, best_AB = tokens(rate_C[EXIT]), tokens(1.0)
    behind = jnp.where(going_B, length_B, ends.limit_B).min()
    weight_B, limit = row_weights(left_B, going_B), ends.limit_B.max()
    return choose(tokens_AB, best_AB, cost_A, weight_B, state.spent, behind, limit)


def _count(
    acceptance: Acceptance,
    found: Lookup,
    before: SpeculationState,
    after: SpeculationState,
    by_exit: Bool[Array, ""],
) -> Acceptance:
    """What the pass tells of the lookup, and of the exit if that drafted."""
    new_B = after.out.length_B - before.out.length_B  # 0 in rows that took no part
    step_1k = jnp.arange(found.ids_Bk.shape[1])[None]
    position_Bk = before.position_B[:, None] + 1 + step_1k
    came_Bk = jnp.take_along_axis(after.context_BS, position_Bk, axis=1, mode="clip")
    right_Bk = (came_Bk == found.ids_Bk) & (step_1k < new_B[:, None])
    right_B = jnp.cumprod(right_Bk.astype(jnp.int32), axis=1).sum(1)
    acceptance = count_drafts(
        acceptance, found.match_B - 1, right_B, jnp.minimum(right_B + 1, new_B)
    )

    drafted_B = after.out.drafted_B - before.out.drafted_B
    taken_B = after.out.accepted_B - before.out.accepted_B
    tested_B = jnp.minimum(taken_B + 1, drafted_B)
    class_B = jnp.where(by_exit & (found.match_B == 0), EXIT, -1)
    return count_drafts(acceptance, class_B, taken_B, tested_B)


@dataclass(frozen=True)
class AdaptiveSpeculation:
    """Drafts are looked up in the text so far, or made by an exit, or there are none.

    Pass by pass it chooses what is worth its cost; the `PassCosts` are what is shared, and are
    measured where none are given. Which tokens come out by sampling may depend on the choices,
    their distribution does not.
    """

    exit: int | None = None  # number of the exit that may draft where nothing is found
    drafts: tuple[int, ...] = (1, 3, 7)  # in a pass, so many at most

    @property
    def spare(self) -> int:
        """See `ee_jax.inference.methods.DecodingMethod`."""
        return max(self.drafts)

    @property
    def measured(self) -> int:
        """See `ee_jax.inference.methods.DecodingMethod`."""
        return len(self.drafters)

    @property
    def drafters(self) -> dict[str, Drafter]:
        """To choose from, by name; the first drafts nothing."""
        plain: Drafter = LookupDrafter(0)
        found: dict[str, Drafter] = {f"lookup {k}": LookupDrafter(k) for k in self.drafts}
        if (exit := self.exit) is None:
            return {"plain": plain, **found}
        made = {f"exit {k}": ExitDrafter(exit, k, lookup=True) for k in self.drafts}
        return {"plain": plain, **found, **made}

    def begin(
        self, model: LanguageModel, cache: Cache, request: Request, tokens: int
    ) -> AdaptiveState:
        """See `ee_jax.inference.methods.DecodingMethod`."""
        drafters = len(self.drafters)
        return begin_adaptive(begin_speculation(cache, request, tokens, drafters))

    def go_on(
        self,
        model: LanguageModel,
        shared: PassCosts,
        at: AdaptiveState,
        ends: Ends,
        draw: Sampling,
        until: Int[Array, ""],
    ) -> AdaptiveState:
        """See `ee_jax.inference.methods.DecodingMethod`."""
        drafters = tuple(self.drafters.values())
        return speculate_adaptively(model, drafters, shared, at, ends, draw, until)
