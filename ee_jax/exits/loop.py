"""The compiled exit loop: segments and heads in, each example's answer and exit out.

It knows no Transformer. Segments and heads are functions over a state, any pytree of arrays
that B leads; shapes are static, and one `lax.while_loop` runs until every example has stopped.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import Rule, choose, exit_update

State = Any  # a pytree in which B leads every array
Segment = Callable[[State], State]
Head = Callable[[State], ExitOutput]


class Stopped(NamedTuple):
    """What came out for each example."""

    logits_BC: Float[Array, "B C"]
    exit_B: Int[Array, " B"]  # number of the exit that answered
    confidence_B: Float[Array, " B"]  # of that exit


class Carry(NamedTuple):
    """What goes round the loop."""

    exit: Int[Array, ""]  # the segment to run next
    running: Int[Array, ""]  # examples that have not stopped
    done_B: Bool[Array, " B"]
    state: State
    rule_state: Any
    out: Stopped


def run_exits(
    segments: Sequence[Segment],
    heads: Sequence[Head],
    rule: Rule,
    state: State,
    sizes: Sequence[int] = (),
) -> Stopped:
    """Runs segment after segment until the rule has stopped every example.

    Args:
        segments: E functions from state to state, applied in turn.
        heads: E functions from state to `ExitOutput`, one after each segment.
        rule: who stops where; whoever is left at the last exit stops there.
        state: the state before the first segment.
        sizes: static batch sizes for compaction: the examples still running are gathered and
            run at the smallest size that holds them. Without any, the whole batch runs, masked,
            until its last example stops.

    Returns:
        Logits, exit and confidence of each example where it stopped.
    """
    batch = jax.tree.leaves(state)[0].shape[0]
    answer = jax.eval_shape(lambda state: heads[0](segments[0](state)), state)
    advance = _advance(segments, heads, batch, sizes)
    last = len(segments) - 1

    def step(carry: Carry) -> Carry:
        exit = carry.exit
        state, answer = advance(exit, carry.done_B, carry.state)
        now = exit_update(rule, exit, exit == last, answer, carry.done_B, carry.rule_state)
        new = Stopped(answer.logits, jnp.full(batch, exit), now.confidence_B)
        out = choose(now.here_B, new, carry.out)
        running = jnp.sum(~now.done_B)
        return Carry(exit + 1, running, now.done_B, state, now.rule_state, out)

    start = _start(rule, answer, batch, state)
    return jax.lax.while_loop(lambda carry: carry.running > 0, step, start).out


def _start(rule: Rule, answer: ExitOutput, batch: int, state: State) -> Carry:
    logits_BC = jnp.zeros(answer.logits.shape, answer.logits.dtype)
    out = Stopped(logits_BC, jnp.zeros(batch, jnp.int32), jnp.zeros(batch))
    done_B = jnp.zeros(batch, bool)
    return Carry(jnp.int32(0), jnp.int32(batch), done_B, state, rule.init(answer), out)


def _advance(
    segments: Sequence[Segment], heads: Sequence[Head], batch: int, sizes: Sequence[int]
) -> Callable[[Array, Array, State], tuple[State, ExitOutput]]:
    """A segment and its head on those who run; the other rows' results mean nothing."""
    sizes = sorted({size for size in sizes if size < batch} | {batch})
    branches = [
        _branch(segment, head, size, batch)
        for segment, head in zip(segments, heads, strict=True)
        for size in sizes
    ]

    def advance(exit: Array, done_B: Array, state: State) -> tuple[State, ExitOutput]:
        if len(sizes) == 1:
            return jax.lax.switch(exit, branches, done_B, state)
        order_B = jnp.argsort(done_B, stable=True)  # those who run first
        fit = jnp.searchsorted(jnp.asarray(sizes), jnp.sum(~done_B))
        return jax.lax.switch(exit * len(sizes) + fit, branches, order_B, state)

    return advance


def _branch(
    segment: Segment, head: Head, size: int, batch: int
) -> Callable[[Array, State], tuple[State, ExitOutput]]:
    def run(order_B: Array, state: State) -> tuple[State, ExitOutput]:
        if size == batch:
            state = segment(state)
            return state, head(state)
        rows = order_B[:size]
        part = segment(jax.tree.map(lambda whole: whole[rows], state))

        def put(part: Array, whole: Array) -> Array:
            return whole.at[rows].set(part, unique_indices=True)

        def spread(part: Array) -> Array:
            return put(part, jnp.zeros((batch, *part.shape[1:]), part.dtype))

        return jax.tree.map(put, part, state), jax.tree.map(spread, head(part))

    return run
