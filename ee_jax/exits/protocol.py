"""Whether a part that a user registered is what its kind must be, before it is compiled."""

from typing import Any

import jax

from ee_jax.errors import UserError


def check_step(what: str, made: Any, first: Any, given: Any, wanted: str) -> None:
    """Raises the UserError of an `init` and a `step` that do not fit together.

    Args:
      what: names the thing in the message.
      made: has `init(first)`, a memory, and `step(given, memory)`, a value and a memory.
      first: what `init` reads, as shapes.
      given: what `step` reads, as shapes.
      wanted: what the value is, in words.
    """
    try:
        memory = jax.eval_shape(made.init, first)
        found = jax.eval_shape(made.step, given, memory)
    except Exception as error:  # a user's code: whatever it raises is the message
        line = str(error).strip().splitlines() or [type(error).__name__]
        raise UserError(f"{what} cannot be run on one example: {line[0]}") from error
    if not (isinstance(found, tuple) and len(found) == 2):
        raise UserError(f"{what}: step returned {_kind(found)}, not {wanted} and a memory")
    if _kind(found[0]) != "a number":
        raise UserError(f"{what}: step returned {_kind(found[0])} of one example, not {wanted}")
    if jax.tree.map(_layout, found[1]) != jax.tree.map(_layout, memory):
        raise UserError(
            f"{what}: step returned another memory than init: keep its shapes and types"
        )


def _kind(found: Any) -> str:
    if getattr(found, "shape", None) is None:
        return type(found).__name__
    return "a number" if found.shape == () else f"an array of shape {found.shape}"


def _layout(part: jax.ShapeDtypeStruct) -> tuple:
    return part.shape, part.dtype
