"""Norms over a hidden state's last axis."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.models.architecture import Architecture


def mean(x: Float[Array, "*B D"]) -> Float[Array, "*B 1"]:
    """The mean over D, as a matrix product: as a reduction it costs CPUs much more."""
    share = jnp.full((x.shape[-1], 1), 1.0 / x.shape[-1], x.dtype)
    return jnp.matmul(x, share, precision=jax.lax.Precision.HIGHEST)


def across(value_D: nnx.Param, x: Float[Array, "*B D"]) -> Float[Array, "... D"]:
    """The parameter with as many axes as `x`."""
    return jnp.expand_dims(value_D.get_value(), range(x.ndim - 1))


class LayerNorm(nnx.Module):
    """Zero mean, unit variance, then scale and bias (Ba et al. 2016)."""

    def __init__(self, width: int, eps: float, *, rngs: nnx.Rngs):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones(width))
        self.bias = nnx.Param(jnp.zeros(width))

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """Normalises over D."""
        center = mean(x)
        variance = jnp.maximum(mean(x * x) - center * center, 0.0)
        gain = jax.lax.rsqrt(variance + self.eps) * across(self.scale, x)
        return (x - center) * gain + across(self.bias, x)


class RMSNorm(nnx.Module):
    """Unit root mean square, then scale (Zhang & Sennrich 2019)."""

    def __init__(self, width: int, eps: float, *, rngs: nnx.Rngs):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones(width))

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """Normalises over D."""
        return x * jax.lax.rsqrt(mean(x * x) + self.eps) * across(self.scale, x)


Norm = LayerNorm | RMSNorm
NORMS: dict[str, type[Norm]] = {"layer": LayerNorm, "rms": RMSNorm}


def make_norm(config: Architecture, width: int, rngs: nnx.Rngs) -> Norm:
    """The architecture's norm, over `width`."""
    return NORMS[config.norm](width, config.norm_eps, rngs=rngs)
