"""Norms over a hidden state's last axis, computed in float32; `Architecture` chooses.

Their gradients are written out. What JAX derives keeps the scale and the root mean square
spread to the size of the hidden state, and takes off the mean twice in the gradient too.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, ArrayLike, Float

from ee_jax.models.architecture import Architecture


def mean(x: Float[Array, "*B D"]) -> Float[Array, "*B 1"]:
    """The mean over D, as a matrix product: as a reduction it costs CPUs much more."""
    share = jnp.full((x.shape[-1], 1), 1.0 / x.shape[-1], x.dtype)
    return jnp.matmul(x, share, precision=jax.lax.Precision.HIGHEST)


@jax.custom_vjp
def scaled_to_unit(
    x: Float[Array, "*B D"], scale_D: Float[Array, " D"], eps: ArrayLike
) -> Float[Array, "*B D"]:
    """x over its root mean square, times a scale (Zhang & Sennrich 2019).

    Args:
      x: float32.
      scale_D: of each of the D numbers.
      eps: added to the mean square.
    """
    return _scaled(x, scale_D, eps)[0]


def _scaled(x: Array, scale_D: Array, eps: ArrayLike) -> tuple[Array, tuple[Array, ...]]:
    inverse = jax.lax.rsqrt(mean(x * x) + eps)
    return x * (inverse * _across(scale_D, x)), (x, inverse, scale_D)


def _scaled_gradient(
    kept: tuple[Array, ...], gradient: Float[Array, "*B D"]
) -> tuple[Array, Array, None]:
    """With n = x / rms(x) and g the gradient of n: (g - n mean(g n)) / rms(x)."""
    x, inverse, scale_D = kept
    unit, of_unit = x * inverse, gradient * _across(scale_D, x)
    of_x = inverse * (of_unit - unit * mean(of_unit * unit))
    return of_x, (gradient * unit).sum(range(x.ndim - 1)), None


scaled_to_unit.defvjp(_scaled, _scaled_gradient)


def _across(value_D: Float[Array, " D"], x: Float[Array, "*B D"]) -> Float[Array, "... D"]:
    """The parameter with as many axes as `x`."""
    return jnp.expand_dims(value_D, range(x.ndim - 1))


@jax.custom_jvp
def centered(x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
    """x without its mean over D, which is taken off twice.

    What rounding left of it the first time would shift every output; the gradient, which is the
    same linear function, loses nothing by once.
    """
    x = x - mean(x)
    return x - mean(x)


@centered.defjvp
def _centered_tangent(primals: tuple[Array], tangents: tuple[Array]) -> tuple[Array, Array]:
    (x,), (tangent,) = primals, tangents
    return centered(x), tangent - mean(tangent)


class LayerNorm(nnx.Module):
    """Zero mean, unit variance, then scale and bias (Ba et al. 2016).

    The variance is that of what is left without the mean: E[x^2] - E[x]^2 loses all digits
    where the mean is large beside the deviation.
    """

    def __init__(self, width: int, eps: float, *, rngs: nnx.Rngs):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones(width))
        self.bias = nnx.Param(jnp.zeros(width))

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """Normalises over D, in float32."""
        kind, x = x.dtype, centered(x.astype(jnp.float32))
        y = scaled_to_unit(x, self.scale.get_value(), self.eps)
        return (y + _across(self.bias.get_value(), x)).astype(kind)


class UnbiasedLayerNorm(nnx.Module):
    """Zero mean, unit variance, then scale, as in ModernBERT (Warner et al. 2024)."""

    def __init__(self, width: int, eps: float, *, rngs: nnx.Rngs):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones(width))

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """Normalises over D, in float32."""
        y = scaled_to_unit(centered(x.astype(jnp.float32)), self.scale.get_value(), self.eps)
        return y.astype(x.dtype)


class RMSNorm(nnx.Module):
    """Unit root mean square, then scale (Zhang & Sennrich 2019)."""

    def __init__(self, width: int, eps: float, *, rngs: nnx.Rngs):
        self.eps = eps
        self.scale = nnx.Param(jnp.ones(width))

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """Normalises over D, in float32."""
        y = scaled_to_unit(x.astype(jnp.float32), self.scale.get_value(), self.eps)
        return y.astype(x.dtype)


class RMSNormPlusOne(nnx.Module):
    """`RMSNorm` whose scale is kept as what it differs from 1 by, as in Gemma (2024)."""

    def __init__(self, width: int, eps: float, *, rngs: nnx.Rngs):
        self.eps = eps
        self.scale = nnx.Param(jnp.zeros(width))

    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        """Normalises over D, in float32."""
        y = scaled_to_unit(x.astype(jnp.float32), 1 + self.scale.get_value(), self.eps)
        return y.astype(x.dtype)


Norm = LayerNorm | UnbiasedLayerNorm | RMSNorm | RMSNormPlusOne
NORMS: dict[str, type[Norm]] = {
    "layer": LayerNorm,
    "layer_unbiased": UnbiasedLayerNorm,
    "rms": RMSNorm,
    "rms_plus_one": RMSNormPlusOne,
}


def make_norm(config: Architecture, width: int, rngs: nnx.Rngs) -> Norm:
    """The architecture's norm, over `width`."""
    return NORMS[config.norm](width, config.norm_eps, rngs=rngs)
