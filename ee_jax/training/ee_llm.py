"""EE-LLM (Chen et al. 2024, arXiv:2312.04916): exit weights that change over training."""

from collections.abc import Sequence

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, Float


def warmed_up(
    first_E: Sequence[float],
    last_E: Sequence[float],
    step: ArrayLike,
    steps: int,
    shape: str,
) -> Float[Array, " E"]:
    """w(t) = w0 + (w - w0) r, from `first_E` at the first step to `last_E` after the last.

    With r = t / T `linear`, or (cos(pi (r + 1)) + 1) / 2 of it, `cosine`: slow at both ends.
    """
    share = jnp.asarray(step, jnp.float32) / steps
    if shape == "cosine":
        share = 0.5 * (jnp.cos(jnp.pi * (share + 1)) + 1)
    start_E, end_E = jnp.asarray(first_E, jnp.float32), jnp.asarray(last_E, jnp.float32)
    return start_E + (end_E - start_E) * share
