"""Drafts: token after token through the first blocks only.

Which drafted tokens the full model takes: speculative sampling.

Leviathan et al. 2023 (alg. 1) and Chen et al. 2023 (alg. 2): the tokens that come out are
distributed as the full model's own, whatever drafted them. Greedy decoding is the case of
distributions with all their weight on one token, where it means that drafts are taken as long
as they are the full model's choice.
"""

from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ee_jax.exits.layouts import run_if
from ee_jax.exits.output import ExitOutput
from ee_jax.inference.decode_loop import Ends, is_stop
from ee_jax.inference.rules import RuleAt
from ee_jax.inference.sampling import Sampling, draw, keys_at, log_probabilities
from ee_jax.inference.segment import embed, run_blocks
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel


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


class Drafter(NamedTuple):
    """Who drafts, and how much."""

    exit: int  # number of the exit
    drafts: int  # tokens a round at most, k
    # A row's draft ends before the first token of which this rule is not sure; None: at k.
    rule_at: RuleAt | None = None


class Draft(NamedTuple):
    """What the rows draft in a round."""

    cache: Cache  # of the first blocks
    token_B: Int[Array, " B"]  # to feed next
    at: Int[Array, ""]
    going_B: Bool[Array, " B"]
    hidden_BjD: Float[Array, "B j D"]  # after the first blocks; j = k + 1
    ids_Bk: Int[Array, "B k"]
    log_p_BkV: Float[Array, "B k V"]  # that they were drawn from
    drafted_B: Int[Array, " B"]  # how many of them count


def draft_tokens(
    model: LanguageModel,
    drafter: Drafter,
    sampling: Sampling,
    cache: Cache,
    token_B: Int[Array, " B"],
    position_B: Int[Array, " B"],
    count_B: Int[Array, " B"],
    ends: Ends,
    going_B: Bool[Array, " B"],
    key_B: PRNGKeyArray,
) -> Draft:
    """Drafts until no row goes on, `cache` being that of the exit's blocks.

    A row, which has `count_B` tokens, drafts none beyond its limit or after a stop token: they
    could never be taken. The first blocks run on each row's last draft too, but for a stop
    token, so that the others can go on from there.
    """
    depth = model.design.layers[drafter.exit]
    room_B = ends.limit_B - count_B - 1  # a token follows the drafts

    def body(draft: Draft) -> Draft:
        at_B1 = (position_B + draft.at)[:, None]
        hidden_B1D = embed(model, draft.token_B[:, None], at_B1)
        cache, hidden_B1D = run_blocks(model, draft.cache, hidden_B1D, at_B1, 0, depth)
        draft = draft._replace(
            cache=cache, hidden_BjD=_put(draft.hidden_BjD, hidden_B1D, draft.at)
        )

        def propose(draft: Draft) -> Draft:
            answer = model.answer(drafter.exit, hidden_B1D[:, 0])
            goes_on_B = _is_sure(drafter, answer, count_B + draft.at) & (draft.at < room_B)
            here_B = keys_at(key_B, at_B1[:, 0])
            return _propose(draft, answer, goes_on_B, here_B, sampling, ends.stop_S)

        draft = run_if(draft.at < drafter.drafts, propose, draft)
        return draft._replace(at=draft.at + 1)

    def unfinished(draft: Draft) -> Array:
        return (draft.at <= drafter.drafts) & draft.going_B.any()

    start = _nothing(model, drafter.drafts, cache, token_B, going_B)
    return jax.lax.while_loop(unfinished, body, start)


def _nothing(
    model: LanguageModel, drafts: int, cache: Cache, token_B: Array, going_B: Array
) -> Draft:
    config, batch = model.backbone.config, token_B.shape[0]
    zero, zero_B = jnp.int32(0), jnp.zeros(batch, jnp.int32)
    hidden_BjD = jnp.zeros((batch, drafts + 1, config.width), model.backbone.dtype)
    ids_Bk = jnp.zeros((batch, drafts), jnp.int32)
    log_p_BkV = jnp.zeros((batch, drafts, config.vocabulary))
    return Draft(cache, token_B, zero, going_B, hidden_BjD, ids_Bk, log_p_BkV, zero_B)


def _is_sure(drafter: Drafter, answer: ExitOutput, count_B: Array) -> Bool[Array, " B"]:
    if drafter.rule_at is None:
        return jnp.ones(count_B.shape, bool)
    rule = drafter.rule_at(count_B)
    return rule.step(jnp.int32(drafter.exit), answer, rule.init(answer))[0].stop_B


def _propose(
    draft: Draft,
    answer: ExitOutput,
    goes_on_B: Array,
    key_B: PRNGKeyArray,
    sampling: Sampling,
    stop_S: Array,
) -> Draft:
    key_B = jax.vmap(jax.random.fold_in, (0, None))(key_B, 0)
    token_B = jax.vmap(lambda key, x: draw(key, x, sampling))(key_B, answer.logits)
    log_p_BV = jax.vmap(lambda x: log_probabilities(x, sampling))(answer.logits)
    going_B = draft.going_B & goes_on_B
    return draft._replace(
        token_B=token_B,
        going_B=going_B & ~is_stop(token_B, stop_S),
        ids_Bk=_put(draft.ids_Bk, token_B[:, None], draft.at),
        log_p_BkV=_put(draft.log_p_BkV, log_p_BV[:, None], draft.at),
        drafted_B=draft.drafted_B + going_B,
    )


def _put(whole: Array, part: Array, at: Array) -> Array:
    return jax.lax.dynamic_update_slice_in_dim(whole, part, at, axis=1)
