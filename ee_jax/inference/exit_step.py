"""One token through the exits: segments run until every row has stopped.

The exits are unrolled, each a part that runs or does not: a `lax.while_loop` over segments with
a `lax.switch` inside costs as much, but its branches must all return the same arrays, and so
everything that any of them writes.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.exits.loop import Stopped
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import Rule, choose, exit_update
from ee_jax.inference.kv_policies import Policy
from ee_jax.inference.missing_kv import MissingKV, fill, is_full, push
from ee_jax.inference.segment import TokenState, embed, run_if, run_segment
from ee_jax.models.kv_cache import Cache
from ee_jax.models.language import LanguageModel


class Memory(NamedTuple):
    """What one token leaves to the next."""

    cache: Cache
    pending: MissingKV


class Running(NamedTuple):
    """What goes from exit to exit."""

    hidden_B1D: Float[Array, "B 1 D"]
    done_B: Bool[Array, " B"]
    rule_state: Any
    feature_BD: Float[Array, "B D"]  # what the exit read where the row stopped
    out: Stopped


def exit_step(
    model: LanguageModel,
    policy: Policy,
    rule: Rule,
    memory: Memory,
    token_B: Int[Array, " B"],
    position_B: Int[Array, " B"],
    ended_B: Bool[Array, " B"],
) -> tuple[Memory, Stopped]:
    """Runs each row's token to its exit; rows that have ended hold nobody up.

    A segment that no row runs is left out, with the keys and values that it would make.
    """
    hidden_B1D = embed(model, token_B[:, None], position_B[:, None])
    running = _start(model, rule, hidden_B1D, ended_B)
    cache, pending = memory
    full, ran = is_full(pending), []
    for exit in range(len(model.design.layers)):
        going = ~running.done_B.all()
        if exit > 0:
            cache, pending = fill(model, policy, cache, pending, position_B, exit, going | full)
        cache, running = _advance(model, policy, rule, cache, running, position_B, exit, going)
        ran.append(going)
    pending = push(pending, running.hidden_B1D[:, 0], jnp.stack(ran))
    if not rule.reads_logits:
        logits_BV = model.logits(running.feature_BD)
        running = running._replace(out=running.out._replace(logits_BC=logits_BV))
    return Memory(cache, pending), running.out


def _start(
    model: LanguageModel, rule: Rule, hidden_B1D: Array, ended_B: Bool[Array, " B"]
) -> Running:
    answer = jax.eval_shape(lambda hidden: _answer(model, rule, 0, hidden), hidden_B1D)
    assert answer.feature is not None
    batch = hidden_B1D.shape[0]
    logits_BV = jnp.zeros(answer.logits.shape)
    out = Stopped(logits_BV, jnp.zeros(batch, jnp.int32), jnp.zeros(batch))
    feature_BD = jnp.zeros(answer.feature.shape)
    return Running(hidden_B1D, ended_B, rule.init(answer), feature_BD, out)


def _answer(model: LanguageModel, rule: Rule, exit: int, hidden_B1D: Array) -> ExitOutput:
    if rule.reads_logits:
        return model.answer(exit, hidden_B1D[:, 0])
    feature_BD = model.feature(exit, hidden_B1D[:, 0])
    none_B0 = jnp.zeros((feature_BD.shape[0], 0))
    return ExitOutput(none_B0, feature_BD, model.score(exit, feature_BD))


def _advance(
    model: LanguageModel,
    policy: Policy,
    rule: Rule,
    cache: Cache,
    running: Running,
    position_B: Int[Array, " B"],
    exit: int,
    going: Bool[Array, ""],
) -> tuple[Cache, Running]:
    """The segment of exit number `exit` and its answer, if any row is still going."""
    layers = model.design.layers
    start = (0, *layers)[exit]
    below = cache[max(start - 1, 0)]

    def body(carry: tuple[Cache, Running]) -> tuple[Cache, Running]:
        part, was = carry
        tokens = TokenState(was.hidden_B1D, position_B[:, None], was.done_B[:, None])
        part, hidden_B1D = run_segment(model, policy, part, below, tokens, start)
        answer = _answer(model, rule, exit, hidden_B1D)
        is_last = exit == len(layers) - 1
        number = jnp.int32(exit)
        now = exit_update(rule, number, is_last, answer, was.done_B, was.rule_state)
        exit_B = jnp.full(was.done_B.shape, number)
        new = Stopped(answer.logits, exit_B, now.confidence_B), answer.feature
        out, feature_BD = choose(now.here_B, new, (was.out, was.feature_BD))
        return part, Running(hidden_B1D, now.done_B, now.rule_state, feature_BD, out)

    part, running = run_if(going, body, (cache[start : layers[exit]], running))
    return (*cache[:start], *part, *cache[layers[exit] :]), running
