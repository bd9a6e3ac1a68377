"""Whether a part that a user registered is what its kind must be, before it is compiled."""

from typing import Any

import jax
import jax.numpy as jnp

from ee_jax.errors import UserError

WORDS: dict[Any, str] = {jnp.bool_: "a truth value", jnp.floating: "a fraction"}


def check_step(what: str, made: Any, first: Any, given: Any, wanted: Any) -> None:
    """Raises the UserError of an `init` and a `step` that do not fit together.

    Args:
      what: names the thing in the message.
      made: has `init(first)`, a memory, and `step(given, memory)`, a value and a memory.
      first: what `init` reads, as shapes.
      given: what `step` reads, as shapes.
      wanted: the type of the value: `jnp.bool_` or `jnp.floating`.
    """
    value = WORDS[wanted]
    try:
        memory = jax.eval_shape(made.init, first)
        found = jax.eval_shape(made.step, given, memory)
    except Exception as error:  # a user's code: whatever it raises is the message
        line = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{what} cannot be run on one example: {line[0]}") from error
    if not (isinstance(found, tuple) and len(found) == 2):
        raise UserError(f"{what}: step returned {_kind(found)}, not {value} and a memory")
    if found[0].shape or not jnp.issubdtype(found[0].dtype, wanted):
        kind = _kind(found[0])
        raise UserError(f"{what}: step returned {kind} of one example, not {value}")
    if jax.tree.map(_layout, found[1]) != jax.tree.map(_layout, memory):
        raise UserError(
            f"{what}: step returned another memory than init: keep its shapes and types"
        )


def _kind(found: Any) -> str:
    if getattr(found, "shape", None) is None:
        return type(found).__name__
    return f"an array of shape {found.shape}" if found.shape else f"a number ({found.dtype})"


def _layout(part: jax.ShapeDtypeStruct) -> tuple:
    return part.shape, part.dtype
