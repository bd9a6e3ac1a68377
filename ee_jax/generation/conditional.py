"""Parts of a compiled program that do not run."""

from collections.abc import Callable
from typing import TypeVar

import jax
from jaxtyping import Array, Bool

C = TypeVar("C")


def when(predicate: Bool[Array, ""], turn: Callable[[C], C], carry: C) -> C:
    """`turn(carry)` where the predicate holds, else `carry` as it is.

    A loop of at most one turn: XLA updates what a loop carries in place, while `lax.cond`
    would copy the whole cache to return it. The barrier keeps XLA from computing outside of
    the loop, and so always, what each turn would compute alike.
    """

    def body(state: tuple[Array, C]) -> tuple[Array, C]:
        go, carry = jax.lax.optimization_barrier(state)
        return ~go, turn(carry)

    return jax.lax.while_loop(lambda state: state[0], body, (predicate, carry))[1]
