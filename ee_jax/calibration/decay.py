"""Thresholds that depend on a token's position: high at first, where mistakes carry on.

Both are of CALM (Schuster et al. 2022), whose paper and code differ. A threshold of 1 means the
full model and stays 1, which neither formula says.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from ee_jax.registry import Registry


def paper(
    threshold: ArrayLike, position: ArrayLike, length: ArrayLike, tau: ArrayLike
) -> Float[Array, "..."]:
    """clip(0.9 threshold + 0.1 exp(-tau position / length), 0, 1).

    Args:
      threshold: of the first token, in [0, 1].
      position: tokens drawn so far.
      length: tokens over which it decays.
      tau: how fast.

    Returns:
      The threshold of this token; 1 stays 1.
    """
    decayed = 0.9 * jnp.asarray(threshold) + 0.1 * _fading(position, length, tau)
    return _keep_full(threshold, jnp.clip(decayed, 0, 1))


def released_code(
    threshold: ArrayLike, position: ArrayLike, length: ArrayLike, tau: ArrayLike
) -> Float[Array, "..."]:
    """threshold (0.9 + 0.1 exp(-tau position / length)), as t5x and FREE have it.

    Args:
      threshold: of the first token, in [0, 1].
      position: tokens drawn so far.
      length: tokens over which it decays.
      tau: how fast.

    Returns:
      The threshold of this token; 1 stays 1.
    """
    decayed = jnp.asarray(threshold) * (0.9 + 0.1 * _fading(position, length, tau))
    return _keep_full(threshold, decayed)


def _fading(position: ArrayLike, length: ArrayLike, tau: ArrayLike) -> Float[Array, "..."]:
    return jnp.exp(-jnp.asarray(tau) * jnp.asarray(position) / length)


def _keep_full(threshold: ArrayLike, decayed: Float[Array, "..."]) -> Float[Array, "..."]:
    return jnp.where(jnp.asarray(threshold) >= 1, 1.0, decayed)


DECAYS: Registry[Callable[..., Float[Array, "..."]]] = Registry(
    "decay", calm_paper=paper, calm_released_code=released_code
)
