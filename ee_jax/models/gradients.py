"""Functions that change gradients and nothing else."""

from functools import partial

import jax
from jaxtyping import Array, Float


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def scale_gradient(scale: float, x: Float[Array, "..."]) -> Float[Array, "..."]:
    """x itself; its cotangent is multiplied by `scale` (ElasticBERT's gradient rescaling)."""
    return x


def _forward(scale: float, x: Array) -> tuple[Array, None]:
    return x, None


def _backward(scale: float, _: None, cotangent: Array) -> tuple[Array]:
    return (scale * cotangent,)


scale_gradient.defvjp(_forward, _backward)
