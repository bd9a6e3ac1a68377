"""Weights of exits, and how they follow the step."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

# From the number of steps taken, which may be traced, to the exits' weights.
Weights = Callable[[ArrayLike], Float[Array, " E"]]


def always(weight_E: np.ndarray) -> Weights:
    """The same weights at every step."""
    return lambda step: jnp.asarray(weight_E, jnp.float32)


def last(exits: int) -> Float[np.ndarray, " E"]:
    """1 for the last exit, 0 for the early ones."""
    return np.eye(exits)[-1]


def lower(exits: int) -> Float[np.ndarray, " E"]:
    """1 for the early exits, 0 for the last: their sum."""
    return 1 - last(exits)


def lower_mean(exits: int) -> Float[np.ndarray, " E"]:
    """1 / (E - 1) for the early exits, 0 for the last: their mean."""
    return lower(exits) / max(exits - 1, 1)


def in_turn(first_E: np.ndarray, second_E: np.ndarray) -> Weights:
    """`first_E` at the first step, `second_E` at the second, and so on."""

    pair_2E = np.stack([first_E, second_E]).astype(np.float32)
    return lambda step: jnp.asarray(pair_2E)[jnp.asarray(step) % 2]
