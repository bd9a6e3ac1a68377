"""The loop over tokens, and its two steps: static, and with exits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, PRNGKeyArray

from ee_jax.exits.loop import Stopped
from ee_jax.inference.exit_step import ExitStep, Memory
from ee_jax.inference.kv_policies import Policy
from ee_jax.inference.missing_kv import WINDOW, no_missing_kv
from ee_jax.inference.rules import RuleAt
from ee_jax.inference.sampling import Sampling, draw, keys_at, row_keys
from ee_jax.inference.segment import embed, run_blocks
from ee_jax.models.kv_cache import Cache, seen_by
from ee_jax.models.language import LanguageModel


class Generated(NamedTuple):
    """What came out, N tokens at most a row; beyond `length_B` all is 0."""

    ids_BN: Int[Array, "B N"]  # a stop token is among them
    exit_BN: Int[Array, "B N"]  # number of the exit that gave the token
    confidence_BN: Float[Array, "B N"]  # of that exit
    length_B: Int[Array, " B"]


class Ends(NamedTuple):
    """Where a row ends."""

    stop_S: Int[Array, " S"]  # ids, any of which is a row's last
    limit_B: Int[Array, " B"]  # tokens at most, N or fewer


def is_stop(ids: Int[Array, "*B"], stop_S: Int[Array, " S"]) -> Bool[Array, "*B"]:
    """Which ids end a row."""
    return (ids[..., None] == jnp.expand_dims(stop_S, range(ids.ndim))).any(-1)


class Request(NamedTuple):
    """What to go on from, and how far."""

    ids_BP: Int[Array, "B P"]  # prompts, padded on the right
    length_B: Int[Array, " B"]
    ends: Ends
    key: PRNGKeyArray

    @property
    def last_B(self) -> Int[Array, " B"]:
        """The prompts' last tokens, which are fed first."""
        return jnp.take_along_axis(self.ids_BP, self.length_B[:, None] - 1, axis=1)[:, 0]


class Stream(NamedTuple):
    """Where every row is: the token to feed next, and what has come out."""

    memory: Any  # what the step carries from token to token
    token_B: Int[Array, " B"]
    position_B: Int[Array, " B"]
    count: Int[Array, ""]  # tokens drawn a row
    ended_B: Bool[Array, " B"]
    key_B: PRNGKeyArray
    out: Generated


# (memory, token_B, position_B, count, ended_B) -> (memory, Stopped)
Step = Callable[[Any, Array, Array, Array, Array], tuple[Any, Stopped]]


def begin(memory: Any, request: Request, tokens: int) -> Stream:
    """Before the first of at most `tokens` new tokens; the memory holds the prompts."""
    batch = request.ids_BP.shape[0]
    ended_B, key_B = request.ends.limit_B <= 0, row_keys(request.key, batch)
    position_B, out = request.length_B - 1, nothing_yet(batch, tokens)
    return Stream(memory, request.last_B, position_B, jnp.int32(0), ended_B, key_B, out)


def nothing_yet(batch: int, tokens: int) -> Generated:
    """Room for so many tokens a row."""
    zero_BN = jnp.zeros((batch, tokens))
    ids_BN = exit_BN = zero_BN.astype(jnp.int32)
    return Generated(ids_BN, exit_BN, zero_BN, jnp.zeros(batch, jnp.int32))


def decode(
    step: Step, stream: Stream, ends: Ends, sampling: Sampling, until: Int[Array, ""]
) -> Stream:
    """Token after token, until every row has ended or has `until` of them."""

    def cond(stream: Stream) -> Array:
        return (stream.count < until) & ~stream.ended_B.all()

    def body(stream: Stream) -> Stream:
        memory, token_B, position_B, count, ended_B, key_B, out = stream
        memory, stopped = step(memory, token_B, position_B, count, ended_B)
        draw_B = jax.vmap(lambda key, logits: draw(key, logits, sampling))
        token_B = draw_B(keys_at(key_B, position_B), stopped.logits_BC)
        out = put_tokens(out, count, ended_B, token_B, stopped)
        stop_B = is_stop(token_B, ends.stop_S)
        ended_B = ended_B | stop_B | (count + 1 >= ends.limit_B)
        return Stream(memory, token_B, position_B + 1, count + 1, ended_B, key_B, out)

    return jax.lax.while_loop(cond, body, stream)


def put_tokens(
    out: Generated, at: Array, ended_B: Array, token_B: Array, stopped: Stopped
) -> Generated:
    """The rows' new tokens, in column `at` of those that have not ended."""

    def put(whole_BN: Array, new_B: Array) -> Array:
        column_B1 = jnp.where(ended_B, 0, new_B)[:, None].astype(whole_BN.dtype)
        return jax.lax.dynamic_update_slice(whole_BN, column_B1, (jnp.int32(0), at))

    return Generated(
        put(out.ids_BN, token_B),
        put(out.exit_BN, stopped.exit_B),
        put(out.confidence_BN, stopped.confidence_B),
        jnp.where(ended_B, out.length_B, at + 1),
    )


def static_step(model: LanguageModel, exit: int) -> Step:
    """Runs every token to exit number `exit`, and no confidence; the memory is the cache."""
    depth = model.design.layers[exit]

    def step(
        cache: Cache, token_B: Any, position_B: Any, count: Any, ended_B: Any
    ) -> tuple[Cache, Stopped]:
        position_B1 = position_B[:, None]
        hidden_B1D = embed(model, token_B[:, None], position_B1)
        part, hidden_B1D = run_blocks(model, cache[:depth], hidden_B1D, position_B1, 0, depth)
        last = seen_by(model.backbone, depth - 1, position_B1, part[-1])
        logits_BV = model.logits(model.feature(exit, hidden_B1D, last)[:, 0])
        exit_B = jnp.full(token_B.shape, exit, jnp.int32)
        stopped = Stopped(logits_BV, exit_B, jnp.zeros(token_B.shape))
        return (*part, *cache[depth:]), stopped

    return step


def exiting_step(
    model: LanguageModel, policy: Policy, rule_at: RuleAt, layout: str = "loops"
) -> Step:
    """Runs each token until its rule stops it; the memory is `start_memory`'s."""

    def step(
        memory: Memory, token_B: Any, position_B: Any, count: Any, ended_B: Any
    ) -> tuple[Memory, Stopped]:
        rule = rule_at(jnp.full(token_B.shape, count))
        return ExitStep(model, policy, rule, layout)(memory, token_B, position_B, ended_B)

    return step


def start_memory(model: LanguageModel, cache: Cache, window: int = WINDOW) -> Memory:
    """After the prompt: no block lacks anything."""
    return Memory(cache, no_missing_kv(model, cache[0].key_BKSH.shape[0], window))
