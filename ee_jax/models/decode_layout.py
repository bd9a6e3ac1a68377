"""Projections of few vectors at a time, as decoding has them.

XLA multiplies a few rows on CPUs faster where a kernel lies [outputs, inputs] and the vectors
are columns. How a kernel lies is a property of the compiled program: checkpoints and training
keep theirs.
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from ee_jax.models.language import LanguageModel


def project(x: Float[Array, "*B I"], weight_OI: Float[Array, "O I"]) -> Float[Array, "*B O"]:
    """x W^T. The barriers keep XLA from taking the transposes into the product."""
    columns_IN = jax.lax.optimization_barrier(x.reshape(-1, x.shape[-1]).T)
    product_ON = jax.lax.optimization_barrier(jnp.matmul(weight_OI, columns_IN))
    return product_ON.T.reshape(*x.shape[:-1], -1)


class DecodeLayout(nnx.Module):
    """A linear layer whose kernel lies transposed."""

    def __init__(self, linear: nnx.Linear):
        self.weight = nnx.Param(linear.kernel.get_value().T)
        self.bias = None if linear.bias is None else nnx.Param(linear.bias.get_value())

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        """W x + b."""
        product = project(x, self.weight.get_value())
        if self.bias is None:
            return product
        return product + jnp.expand_dims(self.bias.get_value(), range(x.ndim - 1))


def in_decode_layout(model: LanguageModel) -> LanguageModel:
    """A copy of the model, to decode with: every projection holds its kernel transposed."""
    model = nnx.clone(model)
    modules = [node for _, node in nnx.iter_graph(model) if isinstance(node, nnx.Module)]
    for module in modules:
        for name, part in list(vars(module).items()):
            if isinstance(part, nnx.Linear):
                setattr(module, name, DecodeLayout(part))
    return model
