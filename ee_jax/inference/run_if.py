"""Parts of a compiled program that do not run."""

from collections.abc import Callable
from typing import TypeVar

import jax
from jaxtyping import Array, Bool

C = TypeVar("C")


def run_if(predicate: Bool[Array, ""], body: Callable[[C], C], carry: C) -> C:
    """`body(carry)` where the predicate holds, else `carry` as it is.

    A loop of at most one turn: XLA updates what a loop carries in place, while `lax.cond`
    would copy the whole cache to return it. The barrier keeps XLA from computing outside of
    the loop, and so always, what each turn would compute alike.
    """

    def once(state: tuple[Array, C]) -> tuple[Array, C]:
        go, carry = jax.lax.optimization_barrier(state)
        return ~go, body(carry)

    return jax.lax.while_loop(lambda state: state[0], once, (predicate, carry))[1]
