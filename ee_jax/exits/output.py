"""What an exit puts out, and streaks of equal answers."""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int, Num


class ExitOutput(NamedTuple):
    """What an exit says; batched or not, and `None` where nothing reads the part."""

    logits: Float[Array, "*B C"]
    feature: Float[Array, "*B D"] | None = None  # what the head read, for `saturation`
    score: Float[Array, "*B"] | None = None  # logit of "stopping here is right"


def prediction(logits: Float[Array | np.ndarray, "*B C"]) -> Any:
    """The likeliest class; with a single output, a regression, the output itself.

    Args:
      logits: over classes; or one output, of a regression.

    Returns:
      Classes, or in a regression numbers, without the last axis.
    """
    return logits[..., 0] if logits.shape[-1] == 1 else logits.argmax(-1)


class Streak(NamedTuple):
    """The answer before this one, and for how many exits it has been the same."""

    prediction: Num[Array, "*B"]  # classes, or in a regression numbers
    length: Int[Array, "*B"]


def no_streak(prediction: Any) -> Streak:
    """The streak before the first exit; reads shape and type of a prediction."""
    shape, dtype = prediction.shape, prediction.dtype
    none = jnp.nan if jnp.issubdtype(dtype, jnp.floating) else -1  # like no answer
    return Streak(jnp.full(shape, none, dtype), jnp.zeros(shape, jnp.int32))


def extend_streak(
    streak: Streak, prediction: Num[Array, "*B"], tolerance: ArrayLike = 0.1
) -> Streak:
    """Counts the exits in a row that answered like the exit before them (PABEE, sec. 3.2).

    Args:
      streak: up to the exit before.
      prediction: this exit's answers.
      tolerance: in a regression, answers that are closer are the same.

    Returns:
      The streak with this exit.
    """
    same = agree(streak.prediction, prediction, tolerance)
    return Streak(prediction, jnp.where(same, streak.length + 1, 0))


def agree(
    before: Num[Array, "*B"], now: Num[Array, "*B"], tolerance: ArrayLike
) -> Bool[Array, "*B"]:
    """The same class; in a regression |y_i - y_(i-1)| < tolerance (PABEE, sec. 3.2).

    Args:
      before: the exit before's answers.
      now: this exit's answers.
      tolerance: in a regression, answers that are closer are the same.

    Returns:
      Whether the two are the same.
    """
    if jnp.issubdtype(now.dtype, jnp.floating):
        return jnp.abs(now - before) < tolerance
    return now == before
