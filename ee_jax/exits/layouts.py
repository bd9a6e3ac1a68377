"""How a compiled program leaves out what nobody wants: one meaning, several layouts.

A turn is a part that runs where it is wanted. What comes out is the same in every layout; what
a layout costs depends on the machine. CPUs read a predicate for nothing, but copy what a
branch returns. On a GPU the host reads every predicate, some 20 us each.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import jax
from jaxtyping import Array, Bool

from ee_jax.errors import UserError
from ee_jax.registry import Registry

C = TypeVar("C")
Carry = Any  # any pytree of arrays


def unchanged(carry: C) -> C:
    """What is skipped changes nothing."""
    return carry


class Turn(NamedTuple):
    """A part of a program.

    The first turn always runs. Once a turn is not wanted, no later one is.
    """

    wanted: Callable[[Carry], Bool[Array, ""]]
    run: Callable[[Carry], Carry]
    skip: Callable[[Carry], Carry] = unchanged  # in its place


def run_if(predicate: Bool[Array, ""], body: Callable[[C], C], carry: C) -> C:
    """`body(carry)` where the predicate holds, else `carry` as it is.

    A loop of at most one turn: XLA updates what a loop carries in place, while on CPUs
    `lax.cond` would copy the whole cache to return it. The barrier keeps XLA from computing
    outside of the loop, and so always, what each turn would compute alike.
    """

    def once(state: tuple[Array, C]) -> tuple[Array, C]:
        go, carry = jax.lax.optimization_barrier(state)
        return ~go, body(carry)

    return jax.lax.while_loop(lambda state: state[0], once, (predicate, carry))[1]


def _loops(turns: Sequence[Turn], carry: Carry) -> Carry:
    carry = turns[0].run(carry)
    for turn in turns[1:]:
        carry = run_if(turn.wanted(carry), turn.run, carry)
    return carry


def _conds(turns: Sequence[Turn], carry: Carry) -> Carry:
    carry = turns[0].run(carry)
    for turn in turns[1:]:
        carry = jax.lax.cond(turn.wanted(carry), turn.run, turn.skip, carry)
    return carry


def _nested(turns: Sequence[Turn], carry: Carry) -> Carry:
    first, *rest = turns
    carry = first.run(carry)
    if not rest:
        return carry

    def go_on(carry: Carry) -> Carry:
        return _nested(rest, carry)

    def stop(carry: Carry) -> Carry:
        for turn in rest:
            carry = turn.skip(carry)
        return carry

    return jax.lax.cond(rest[0].wanted(carry), go_on, stop, carry)


class Layout(NamedTuple):
    """A way to lay turns out."""

    run: Callable[[Sequence[Turn], Carry], Carry]
    most: int | None = None  # turns that it takes
    skips: bool = True  # whether it runs what a turn has in its place


LAYOUTS: Registry[Layout] = Registry(
    "layout",
    loops=Layout(_loops, skips=False),  # a loop of at most one turn for each
    conds=Layout(_conds),  # a branch for each
    # What follows, all in one branch. On an H200 the fastest up to 8 exits, at 1.03 times the
    # static decoder's time where the branch before takes 1.08; with 16 at 3.6 times.
    nested=Layout(_nested, most=8),
)


def check_layout(name: str, exits: int) -> None:
    """Raises the UserError of a layout that is not there, or does not take so many exits."""
    most = LAYOUTS[name].most
    if most is not None and exits > most:
        raise UserError(
            f"layout `{name}` takes at most {most} exits, and the model has {exits}: "
            "use `conds`, or fewer exits"
        )


def run_turns(layout: str, turns: Sequence[Turn], carry: Carry) -> Carry:
    """Runs the turns that are wanted.

    Args:
      layout: a name in LAYOUTS.
      turns: at least one.
      carry: what goes from turn to turn.

    Returns:
      What the last turn that ran left, and those in place of the others made of it.

    Raises:
      UserError: no such layout, or one that does not take so many turns.
    """
    check_layout(layout, len(turns))
    return LAYOUTS[layout].run(turns, carry)


def default_layout(platform: str, exits: int) -> str:
    """The layout that was measured to cost least.

    Args:
      platform: e.g. "cpu", as JAX names it.
      exits: E.

    Returns:
      A name in LAYOUTS.
    """
    if platform == "cpu":
        return "loops"
    most = LAYOUTS["nested"].most
    return "nested" if most is None or exits <= most else "conds"
