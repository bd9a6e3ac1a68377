"""Work over many tokens a few at a time, so that [tokens, vocabulary] never exists whole."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

CHUNK = 256  # tokens at a time


def in_chunks(function: Callable[[Any], Any], inputs: Any, size: int = CHUNK) -> Any:
    """`function` of a pytree of arrays that N leads, `size` rows of it at a time.

    The last chunk is filled up with zeros, whose results are dropped.
    """
    rows = jax.tree.leaves(inputs)[0].shape[0]
    size = min(size, rows)
    chunks = -(-rows // size)

    def split(array: jax.Array) -> jax.Array:
        more = [(0, chunks * size - rows)] + [(0, 0)] * (array.ndim - 1)
        return jnp.pad(array, more).reshape(chunks, size, *array.shape[1:])

    def join(array: jax.Array) -> jax.Array:
        return array.reshape(chunks * size, *array.shape[2:])[:rows]

    return jax.tree.map(join, jax.lax.map(function, jax.tree.map(split, inputs)))
