"""In what a model computes: float32, or bfloat16 with float32 where digits are lost otherwise.

The parameters say it: a model computes in what its projections and embeddings are kept in, and
so does its cache. Norms, softmax, logits, confidences and what exits have of their own stay
float32.
"""

from typing import TypeVar

import jax.numpy as jnp
from flax import nnx

from ee_jax.errors import UserError
from ee_jax.models.transformer import Parameters, bind, parameters

PRECISIONS = {"float32": jnp.float32, "bfloat16": jnp.bfloat16}
M = TypeVar("M", bound=nnx.Module)


def check_precision(name: str) -> None:
    """Raises the UserError of a name that is not in PRECISIONS."""
    if name not in PRECISIONS:
        raise UserError(f"no precision {name!r}: it is one of {', '.join(PRECISIONS)}")


def in_precision(model: M, name: str) -> M:
    """A copy of the model, to answer with, that computes in this precision.

    Args:
      model: of parameters in float32.
      name: one of PRECISIONS.

    Raises:
      UserError: there is none of this name.
    """
    check_precision(name)
    kind = PRECISIONS[name]
    values: Parameters = {
        path: value if _is_exact(path) else value.astype(kind)
        for path, value in parameters(model).items()
    }
    return bind(model, values)


def _is_exact(path: str) -> bool:
    """Whether a parameter stays float32: of a norm, a head or a learned confidence."""
    parts = path.split(".")
    return parts[0] in ("exits", "scores") or any("norm" in part for part in parts)
