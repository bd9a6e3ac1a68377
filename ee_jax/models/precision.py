"""In what a model computes: float32, or bfloat16 with float32 where digits are lost otherwise.

The parameters say it: a model computes in what its projections and embeddings are kept in, and
so does its cache. Norms, softmax, logits, confidences and heads of classifiers stay float32.
"""

from typing import TypeVar

import jax.numpy as jnp
from flax import nnx
from jax.typing import DTypeLike

from ee_jax.models.transformer import Parameters, bind, parameters
from ee_jax.registry import Registry

PRECISIONS = Registry("precision", float32=jnp.float32, bfloat16=jnp.bfloat16)
M = TypeVar("M", bound=nnx.Module)


def dtype_of(path: str, name: str) -> DTypeLike:
    """What a parameter is kept in by a model that computes in this precision.

    Args:
      path: the parameter's.
      name: one of PRECISIONS.

    Raises:
      UserError: there is none of this name.
    """
    kind = PRECISIONS[name]
    parts = path.split(".")
    exact = parts[0] in ("exits", "scores", "output_bias") or any(
        "norm" in part for part in parts
    )
    return jnp.float32 if exact else kind


def cast(values: Parameters, name: str) -> Parameters:
    """The parameters of a model that answers in this precision.

    Args:
      values: a model's parameters by path.
      name: one of PRECISIONS.

    Raises:
      UserError: there is none of this name.
    """
    return {path: value.astype(dtype_of(path, name)) for path, value in values.items()}


def cast_to_learn(values: Parameters, name: str) -> Parameters:
    """As `cast`, for a training step; the gradient is that of the parameters given.

    Tables and the output projection stay as they are until they are used: their gradients are
    sums over many tokens and chunks of logits, of which bfloat16 would lose most terms.
    """
    summed = {p for p in values if p.endswith(".embedding") or p.startswith("output")}
    return {p: v if p in summed else v.astype(dtype_of(p, name)) for p, v in values.items()}


def in_precision(model: M, name: str) -> M:
    """A copy of the model, to answer with, that computes in this precision.

    Args:
      model: any of this package.
      name: one of PRECISIONS.

    Raises:
      UserError: there is none of this name.
    """
    return bind(model, cast(parameters(model), name))
