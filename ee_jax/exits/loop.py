"""The compiled exit loop: segments and heads in, each example's answer and exit out.

It knows no Transformer. Segments and heads are functions over a state, any pytree of arrays
that B leads; shapes are static, and segments run until every example has stopped.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.exits.layouts import Turn, run_turns
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
    """What goes from exit to exit."""

    running: Int[Array, ""]  # examples that have not stopped
    done_B: Bool[Array, " B"]
    state: State
    rule_state: Any
    out: Stopped


# The rows of an order to run, how many they are, and the state: the state and answers after.
Advance = Callable[[Array, Array, State], tuple[State, ExitOutput]]


def run_exits(
    segments: Sequence[Segment],
    heads: Sequence[Head],
    rule: Rule,
    state: State,
    sizes: Sequence[int] = (),
    layout: str = "loops",
) -> Stopped:
    """Runs segment after segment until the rule has stopped every example.

    Args:
        segments: E functions from state to state, applied in turn.
        heads: E functions from state to `ExitOutput`, one after each segment.
        rule: who stops where; whoever is left at the last exit stops there.
        state: the state before the first segment.
        sizes: static batch sizes for compaction. Where the whole batch is among them, the
            examples still running are gathered and run at the smallest size that holds them;
            else in pieces, each of the largest size that those who are left fill. Without any,
            the whole batch runs, masked, until its last example stops.
        layout: of the compiled program, a name in `ee_jax.exits.layouts.LAYOUTS`.

    Returns:
        Logits, exit and confidence of each example where it stopped.
    """
    batch = jax.tree.leaves(state)[0].shape[0]
    answer = jax.eval_shape(lambda state: heads[0](segments[0](state)), state)
    last = len(segments) - 1
    sizes = sorted({size for size in sizes if size <= batch})
    sizes = [] if sizes == [batch] else sizes

    def turn(exit: int) -> Turn:
        advance = _advance(_together(segments[exit], heads[exit]), sizes)

        def run(carry: Carry) -> Carry:
            state, answer = advance(carry.done_B, carry.running, carry.state)
            now = exit_update(
                rule, jnp.int32(exit), exit == last, answer, carry.done_B, carry.rule_state
            )
            new = Stopped(answer.logits, jnp.full(batch, exit), now.confidence_B)
            out = choose(now.here_B, new, carry.out)
            return Carry(jnp.sum(~now.done_B), now.done_B, state, now.rule_state, out)

        return Turn(lambda carry: carry.running > 0, run)

    start = _start(rule, answer, batch, state)
    return run_turns(layout, [turn(exit) for exit in range(len(segments))], start).out


def _start(rule: Rule, answer: ExitOutput, batch: int, state: State) -> Carry:
    logits_BC = jnp.zeros(answer.logits.shape, answer.logits.dtype)
    out = Stopped(logits_BC, jnp.zeros(batch, jnp.int32), jnp.zeros(batch))
    return Carry(jnp.int32(batch), jnp.zeros(batch, bool), state, rule.init(answer), out)


Part = Callable[[State], tuple[State, ExitOutput]]


def _advance(part: Part, sizes: Sequence[int]) -> Advance:
    """A segment and its head on those who run; the other rows' results mean nothing."""
    if not sizes:
        return lambda done_B, running, state: part(state)

    def advance(done_B: Array, running: Array, state: State) -> tuple[State, ExitOutput]:
        order_B = jnp.argsort(done_B, stable=True)  # those who run first
        pieces = Pieces(part, sizes, order_B)
        run = pieces.one if sizes[-1] == len(order_B) else pieces.several
        return run(running, state)

    return advance


def _together(segment: Segment, head: Head) -> Part:
    def part(state: State) -> tuple[State, ExitOutput]:
        state = segment(state)
        return state, head(state)

    return part


class Pieces:
    """A part of the program on the first rows of an order, so many at a time."""

    def __init__(self, part: Part, sizes: Sequence[int], order_B: Int[Array, " B"]):
        self._part, self._size_S = part, jnp.asarray(sizes)
        # Beyond the order's end there are no rows; what is computed for them is dropped.
        batch, most = len(order_B), sizes[-1]
        self._order = jnp.concatenate([order_B, jnp.arange(batch, batch + most)])
        self._pieces = [self._piece(size) for size in sizes]

    def one(self, running: Int[Array, ""], state: State) -> tuple[State, ExitOutput]:
        """All who run, at the smallest size that holds them."""
        size = jnp.searchsorted(self._size_S, running)
        return jax.lax.switch(size, self._pieces, (jnp.int32(0), state, self._out(state)))[1:]

    def several(self, running: Int[Array, ""], state: State) -> tuple[State, ExitOutput]:
        """All who run, in pieces of the largest size that they fill, then of the next.

        The last piece may hold more than are left, where that is less than half of them more.
        """

        def step(carry: tuple[Array, State, ExitOutput]) -> Any:
            left = running - carry[0]
            holds = jnp.minimum(jnp.searchsorted(self._size_S, left), len(self._pieces) - 1)
            wasteful = self._size_S[holds] > left + left // 2
            return jax.lax.switch(jnp.maximum(holds - wasteful, 0), self._pieces, carry)

        start = (jnp.int32(0), state, self._out(state))
        return jax.lax.while_loop(lambda carry: carry[0] < running, step, start)[1:]

    def _out(self, state: State) -> ExitOutput:
        answer = jax.eval_shape(lambda state: self._part(state)[1], state)
        return jax.tree.map(lambda a: jnp.zeros(a.shape, a.dtype), answer)

    def _piece(self, size: int) -> Callable:
        def run(carry: tuple[Array, State, ExitOutput]) -> Any:
            start, state, out = carry
            rows = jax.lax.dynamic_slice(self._order, (start,), (size,))
            took = jax.tree.map(lambda whole: whole.at[rows].get(mode="clip"), state)

            def put(whole: Array, part: Array) -> Array:
                return whole.at[rows].set(part, mode="drop", unique_indices=True)

            return start + size, *jax.tree.map(put, (state, out), self._part(took))

        return run
