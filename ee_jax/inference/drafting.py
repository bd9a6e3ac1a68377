"""Who drafts tokens: the first blocks, a lookup in the text so far, one of both, or nobody.

A drafter is plain data that says how many tokens it drafts at most, which blocks have run on
them when they are drafted, and how. The blocks after these verify, whoever drafted: another
drafter, such as an exit with parameters of its own, is another class with these three.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ee_jax.exits.layouts import run_if
from ee_jax.exits.output import ExitOutput
from ee_jax.inference.decode_loop import Ends, is_stop
from ee_jax.inference.prompt_lookup import Lookup, look_up
from ee_jax.inference.rules import RuleAt
from ee_jax.inference.sampling import Sampling, draw, keys_at, log_probabilities
from ee_jax.inference.segment import embed, run_blocks
from ee_jax.inference.speculation_state import SpeculationState
from ee_jax.models.kv_cache import Cache, seen_by
from ee_jax.models.language import LanguageModel


class Draft(NamedTuple):
    """What the rows draft in a round."""

    cache: Cache  # of all blocks; those that drafted have written their layers
    hidden_BjD: Float[Array, "B j D"]  # of the token to feed and the drafts; j = k + 1
    ids_Bk: Int[Array, "B k"]
    log_p_BkV: Float[Array, "B k V"] | None  # that they were drawn from; None: each was certain
    drafted_B: Int[Array, " B"]  # how many of them count


class Drafter(Protocol):
    """Who drafts."""

    @property
    def drafts(self) -> int:
        """Tokens a round at most, k."""
        ...

    def depth(self, layers: tuple[int, ...]) -> int:
        """Blocks that have run on what is drafted, of a model with exits after `layers`."""
        ...

    def draft(
        self,
        model: LanguageModel,
        sampling: Sampling,
        state: SpeculationState,
        ends: Ends,
        going_B: Bool[Array, " B"],
    ) -> Draft:
        """Drafts for the rows that go on, none of them beyond its limit or a stop token."""
        ...


@dataclass(frozen=True)
class LookupDrafter:
    """What followed the row's last tokens where they came before; nothing where they did not.

    With no drafts it is plain decoding.
    """

    drafts: int

    def depth(self, layers: tuple[int, ...]) -> int:
        """See `Drafter`."""
        return 0

    def draft(
        self,
        model: LanguageModel,
        sampling: Sampling,
        state: SpeculationState,
        ends: Ends,
        going_B: Bool[Array, " B"],
    ) -> Draft:
        """See `Drafter`."""
        found = look_up(state.context_BS, state.position_B, self.drafts)
        ids_Bj = jnp.concatenate([state.token_B[:, None], found.ids_Bk], axis=1)
        position_Bj = state.position_B[:, None] + jnp.arange(self.drafts + 1)[None]
        hidden_BjD = embed(model, ids_Bj, position_Bj)
        drafted_B = jnp.where(going_B, count_lookup(found, state.out.length_B, ends), 0)
        return Draft(state.cache, hidden_BjD, found.ids_Bk, None, drafted_B)


def count_lookup(found: Lookup, length_B: Int[Array, " B"], ends: Ends) -> Int[Array, " B"]:
    """How many drafts count: up to the first stop token, and one less than there is room."""
    drafts = found.ids_Bk.shape[1]
    stop_Bk, step_1k = is_stop(found.ids_Bk, ends.stop_S), jnp.arange(drafts)[None]
    to_stop_B = jnp.where(stop_Bk, step_1k + 1, drafts).min(1, initial=drafts)
    count_B = jnp.minimum(to_stop_B, ends.limit_B - length_B - 1)
    return jnp.where(found.match_B > 0, count_B, 0)


@dataclass(frozen=True)
class ExitDrafter:
    """Token after token through the blocks of an exit."""

    exit: int  # its number
    drafts: int
    # A row's draft ends before the first token of which this rule is not sure; None: at k.
    rule_at: RuleAt | None = None
    lookup: bool = False  # rows that find drafts in their text take these

    def depth(self, layers: tuple[int, ...]) -> int:
        """See `Drafter`."""
        return layers[self.exit]

    def draft(
        self,
        model: LanguageModel,
        sampling: Sampling,
        state: SpeculationState,
        ends: Ends,
        going_B: Bool[Array, " B"],
    ) -> Draft:
        """Drafts until no row goes on.

        The first blocks run on each row's last draft too, but for a stop token, so that the
        others can go on from there.
        """
        found = None
        if self.lookup:
            found = look_up(state.context_BS, state.position_B, self.drafts)
            found = found._replace(match_B=count_lookup(found, state.out.length_B, ends))
        return _Drafting(model, self, sampling, state, ends, found).run(going_B)


class _Going(NamedTuple):
    cache: Cache  # of the first blocks
    token_B: Int[Array, " B"]  # to feed next
    at: Int[Array, ""]
    going_B: Bool[Array, " B"]
    hidden_BjD: Float[Array, "B j D"]
    ids_Bk: Int[Array, "B k"]
    log_p_BkV: Float[Array, "B k V"] | None
    drafted_B: Int[Array, " B"]


@dataclass(frozen=True)
class _Drafting:
    """One round of an exit's drafting, in which all these stay as they are."""

    model: LanguageModel
    drafter: ExitDrafter
    sampling: Sampling
    state: SpeculationState
    ends: Ends
    found: Lookup | None  # in place of what the exit says; `match_B` is how many a row has

    def run(self, going_B: Bool[Array, " B"]) -> Draft:
        depth = self.model.design.layers[self.drafter.exit]

        def unfinished(going: _Going) -> Array:
            return (going.at <= self.drafter.drafts) & going.going_B.any()

        begun = self._begin(self.state.cache[:depth], going_B)
        end = jax.lax.while_loop(unfinished, self._step, begun)
        cache = (*end.cache, *self.state.cache[depth:])
        return Draft(cache, end.hidden_BjD, end.ids_Bk, end.log_p_BkV, end.drafted_B)

    def _begin(self, cache: Cache, going_B: Array) -> _Going:
        config, token_B = self.model.backbone.config, self.state.token_B
        batch, drafts = token_B.shape[0], self.drafter.drafts
        zero, zero_B = jnp.int32(0), jnp.zeros(batch, jnp.int32)
        dtype = self.model.backbone.dtype
        hidden_BjD = jnp.zeros((batch, drafts + 1, config.width), dtype)
        ids_Bk = jnp.zeros((batch, drafts), jnp.int32)
        certain = self.sampling.temperature == 0
        log_p_BkV = None if certain else jnp.zeros((batch, drafts, config.vocabulary))
        return _Going(cache, token_B, zero, going_B, hidden_BjD, ids_Bk, log_p_BkV, zero_B)

    def _step(self, going: _Going) -> _Going:
        drafter, model = self.drafter, self.model
        at_B1 = (self.state.position_B + going.at)[:, None]
        hidden_B1D = embed(model, going.token_B[:, None], at_B1)
        depth = model.design.layers[drafter.exit]
        cache, hidden_B1D = run_blocks(model, going.cache, hidden_B1D, at_B1, 0, depth)
        hidden_BjD = _put(going.hidden_BjD, hidden_B1D, going.at)
        going = going._replace(cache=cache, hidden_BjD=hidden_BjD)

        def propose(going: _Going) -> _Going:
            last = seen_by(model.backbone, depth - 1, at_B1, cache[-1])
            feature_BD = model.feature(drafter.exit, hidden_B1D, last)[:, 0]
            answer = model.answer(drafter.exit, hidden_B1D[:, 0], feature_BD)
            here_B = keys_at(self.state.key_B, at_B1[:, 0])
            return self._propose(going, answer, here_B)

        going = run_if(going.at < drafter.drafts, propose, going)
        return going._replace(at=going.at + 1)

    def _propose(self, going: _Going, answer: ExitOutput, key_B: PRNGKeyArray) -> _Going:
        count_B = self.state.out.length_B + going.at
        key_B = jax.vmap(jax.random.fold_in, (0, None))(key_B, 0)
        draw_B = jax.vmap(lambda key, logits_V: draw(key, logits_V, self.sampling))
        token_B = draw_B(key_B, answer.logits)
        # A token follows the drafts.
        goes_on_B = self._is_sure(answer, count_B) & (count_B < self.ends.limit_B - 1)
        token_B, goes_on_B, certain_B = self._or_found(going.at, token_B, goes_on_B)
        going_B, log_p_BkV = going.going_B & goes_on_B, going.log_p_BkV
        if log_p_BkV is not None:
            log_p_BV = jax.vmap(lambda x: log_probabilities(x, self.sampling))(answer.logits)
            is_it_BV = jax.nn.one_hot(token_B, log_p_BV.shape[1], dtype=bool)
            certain_BV = jnp.where(is_it_BV, 0.0, -jnp.inf)
            log_p_BV = jnp.where(certain_B[:, None], certain_BV, log_p_BV)
            log_p_BkV = _put(log_p_BkV, log_p_BV[:, None], going.at)
        return going._replace(
            token_B=token_B,
            going_B=going_B & ~is_stop(token_B, self.ends.stop_S),
            ids_Bk=_put(going.ids_Bk, token_B[:, None], going.at),
            log_p_BkV=log_p_BkV,
            drafted_B=going.drafted_B + going_B,
        )

    def _is_sure(self, answer: ExitOutput, count_B: Array) -> Bool[Array, " B"]:
        if self.drafter.rule_at is None:
            return jnp.ones(count_B.shape, bool)
        rule = self.drafter.rule_at(count_B)
        return rule.step(jnp.int32(self.drafter.exit), answer, rule.init(answer))[0].stop_B

    def _or_found(
        self, at: Array, token_B: Array, goes_on_B: Array
    ) -> tuple[Array, Array, Bool[Array, " B"]]:
        """The token, whether it counts, and whether it is certain: the row's own, or found."""
        if self.found is None:
            return token_B, goes_on_B, jnp.zeros(token_B.shape, bool)
        certain_B = self.found.match_B > 0
        found_B = jax.lax.dynamic_index_in_dim(self.found.ids_Bk, at, 1, keepdims=False)
        token_B = jnp.where(certain_B, found_B, token_B)
        goes_on_B = jnp.where(certain_B, at < self.found.match_B, goes_on_B)
        return token_B, goes_on_B, certain_B


def _put(whole: Array, part: Array, at: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(whole, part, at, axis=1)
