"""One token through the exits: segments run until every row has stopped.

The exits are unrolled, each a turn that runs or does not: a `lax.while_loop` over segments with
a `lax.switch` inside costs as much, but its branches must all return the same arrays, and so
everything that any of them writes.
"""

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ee_jax.exits.layouts import LAYOUTS, Turn, run_if, run_turns
from ee_jax.exits.loop import Stopped
from ee_jax.exits.output import ExitOutput
from ee_jax.exits.rules import Rule, choose, exit_update
from ee_jax.inference.kv_policies import Policy
from ee_jax.inference.missing_kv import MissingKV, fill, is_full, push, with_token
from ee_jax.inference.segment import TokenState, embed, fill_segment, run_segment
from ee_jax.models.kv_cache import KV, Cache, seen_by
from ee_jax.models.language import LanguageModel
from ee_jax.models.token_heads import LastKV


class Memory(NamedTuple):
    """What one token leaves to the next."""

    cache: Cache
    pending: MissingKV


class Running(NamedTuple):
    """What goes from exit to exit."""

    hidden_B1D: Float[Array, "B 1 D"]
    done_B: Bool[Array, " B"]
    rule_state: Any
    feature_BD: Float[Array, "B D"]  # what the projection reads where the row stopped
    out: Stopped


Both = tuple[Cache, Running]


class ExitStep(NamedTuple):
    """How a token goes through the exits of a model.

    What a policy makes for the blocks that a token skips is made when a later token runs them,
    where the layout costs nothing for asking, or where making it is running the blocks; else at
    once, in place of the blocks, so that a token asks once an exit.
    """

    model: LanguageModel
    policy: Policy
    rule: Rule
    layout: str = "loops"  # a name in LAYOUTS

    def __call__(
        self,
        memory: Memory,
        token_B: Int[Array, " B"],
        position_B: Int[Array, " B"],
        ended_B: Bool[Array, " B"],
    ) -> tuple[Memory, Stopped]:
        """Runs each row's token to its exit; rows that have ended hold nobody up.

        A segment that no row runs is left out, with the keys and values that it would make.
        """
        hidden_B1D = embed(self.model, token_B[:, None], position_B[:, None])
        running = self._start(hidden_B1D, memory.cache[0], position_B, ended_B)
        if not LAYOUTS[self.layout].skips:
            memory, running = self._later(memory, running, position_B)
        elif self.policy.runs_on:
            memory, running = self._together(memory, running, position_B)
        else:
            memory, running = self._at_once(memory, running, position_B)
        if not self.rule.reads_logits:
            logits_BV = self.model.logits(running.feature_BD)
            running = running._replace(out=running.out._replace(logits_BC=logits_BV))
        return memory, running.out

    @property
    def _exits(self) -> range:
        return range(len(self.model.design.layers))

    def _blocks(self, exit: int) -> slice:
        layers = self.model.design.layers
        return slice((0, *layers)[exit], layers[exit])

    def _later(
        self, memory: Memory, running: Running, position_B: Int[Array, " B"]
    ) -> tuple[Memory, Running]:
        """Segments get what they lack when they run, or when the window of it is full."""
        cache, pending = memory
        full, ran = is_full(pending), []
        for exit in self._exits:
            going = ~running.done_B.all()
            if exit > 0:
                cache, pending = fill(
                    self.model, self.policy, cache, pending, position_B, exit, going | full
                )
            here = self._blocks(exit)
            below = cache[max(here.start - 1, 0)]

            def body(both: Both, exit: int = exit, below: Any = below) -> Both:
                return self._advance(*both, below, position_B, exit)

            part, running = run_if(going, body, (cache[here], running))
            cache = _with_part(cache, here, part)
            ran.append(going)
        return Memory(cache, push(pending, running.hidden_B1D[:, 0], jnp.stack(ran))), running

    def _at_once(
        self, memory: Memory, running: Running, position_B: Int[Array, " B"]
    ) -> tuple[Memory, Running]:
        """A segment runs, or the policy makes what it lacks of this token."""

        def turn(exit: int) -> Turn:
            here = self._blocks(exit)

            def run(both: Both) -> Both:
                cache, running = both
                below = cache[max(here.start - 1, 0)]
                part, running = self._advance(cache[here], running, below, position_B, exit)
                return _with_part(cache, here, part), running

            def skip(both: Both) -> Both:
                cache, running = both
                all_B1 = jnp.ones((len(position_B), 1), bool)
                tokens = TokenState(running.hidden_B1D, position_B[:, None], all_B1)
                below = cache[here.start - 1]
                filled = (self.model, self.policy, cache[here], below, tokens, here.start)
                return _with_part(cache, here, fill_segment(*filled)[0]), running

            return Turn(lambda both: ~both[1].done_B.all(), run, skip)

        turns = [turn(exit) for exit in self._exits]
        cache, running = run_turns(self.layout, turns, (memory.cache, running))
        return Memory(cache, memory.pending), running

    def _together(
        self, memory: Memory, running: Running, position_B: Int[Array, " B"]
    ) -> tuple[Memory, Running]:
        """A segment runs on what it lacks and on this token, in one pass."""
        full = is_full(memory.pending)

        def turn(exit: int) -> Turn:
            here = self._blocks(exit)

            def run(carry: tuple[Cache, MissingKV, Array, Running]) -> Any:
                cache, pending, ran_E, running = carry
                tokens = with_token(pending, running.hidden_B1D, position_B, exit)
                below = cache[max(here.start - 1, 0)]
                given = (self.model, self.policy, cache[here], below, tokens, here.start)
                part, hidden_BjD = fill_segment(*given)
                pending = pending._replace(hidden_BWD=hidden_BjD[:, :-1])
                running = self._settle(running, hidden_BjD[:, -1:], part[-1], position_B, exit)
                return _with_part(cache, here, part), pending, ran_E.at[exit].set(True), running

            return Turn(lambda carry: full | ~carry[-1].done_B.all(), run)

        start = (*memory, jnp.zeros(len(self._exits), bool), running)
        turns = [turn(exit) for exit in self._exits]
        cache, pending, ran_E, running = run_turns(self.layout, turns, start)
        return Memory(cache, push(pending, running.hidden_B1D[:, 0], ran_E)), running

    def _start(self, hidden_B1D: Array, kv: KV, position_B: Array, ended_B: Array) -> Running:
        at_first = partial(self._answer, 0)
        answer = jax.eval_shape(at_first, hidden_B1D, self._seen(0, kv, position_B))
        zero_B = jnp.zeros(len(hidden_B1D))
        out = Stopped(jnp.zeros(answer.logits.shape), zero_B.astype(jnp.int32), zero_B)
        feature_BD = jnp.zeros_like(hidden_B1D[:, 0])
        return Running(hidden_B1D, ended_B, self.rule.init(answer), feature_BD, out)

    def _seen(self, exit: int, kv: KV, position_B: Array) -> LastKV:
        last = self._blocks(exit).stop - 1
        return seen_by(self.model.backbone, last, position_B[:, None], kv)

    def _answer(self, exit: int, hidden_B1D: Array, last: LastKV) -> ExitOutput:
        feature_BD = None
        if self.rule.reads_logits:
            feature_BD = self.model.feature(exit, hidden_B1D, last)[:, 0]
        return self.model.answer(exit, hidden_B1D[:, 0], feature_BD)

    def _advance(
        self, part: Cache, was: Running, below: Any, position_B: Int[Array, " B"], exit: int
    ) -> Both:
        """The segment of an exit on every row that has not stopped, and its answer."""
        tokens = TokenState(was.hidden_B1D, position_B[:, None], was.done_B[:, None])
        start = self._blocks(exit).start
        part, hidden_B1D = run_segment(self.model, self.policy, part, below, tokens, start)
        return part, self._settle(was, hidden_B1D, part[-1], position_B, exit)

    def _settle(
        self, was: Running, hidden_B1D: Array, kv: KV, position_B: Array, exit: int
    ) -> Running:
        """Who stops at this exit, and with what; `kv` is the cache of its last block."""
        last = self._seen(exit, kv, position_B)
        answer = self._answer(exit, hidden_B1D, last)
        number, is_last = jnp.int32(exit), exit == self._exits[-1]
        now = exit_update(self.rule, number, is_last, answer, was.done_B, was.rule_state)
        exit_B = jnp.full(was.done_B.shape, number)
        new = Stopped(answer.logits, exit_B, now.confidence_B)
        out, feature_BD = choose(now.here_B, new, was.out), was.feature_BD
        if not self.rule.reads_logits:
            feature_BD = self._feature(exit, hidden_B1D, last, now.here_B, feature_BD)
        return Running(hidden_B1D, now.done_B, now.rule_state, feature_BD, out)

    def _feature(
        self, exit: int, hidden_B1D: Array, last: LastKV, here_B: Array, was_BD: Array
    ) -> Array:
        """What the projection will read of the rows that stop here.

        A head that multiplies runs only where one does.
        """

        def taken(was_BD: Array) -> Array:
            feature_BD = self.model.feature(exit, hidden_B1D, last)[:, 0]
            return choose(here_B, feature_BD, was_BD)

        is_last = exit == self._exits[-1]
        if is_last or not self.model.heads_multiply:
            return taken(was_BD)
        return run_if(here_B.any(), taken, was_BD)


def _with_part(cache: Cache, here: slice, part: Cache) -> Cache:
    return (*cache[: here.start], *part, *cache[here.stop :])
