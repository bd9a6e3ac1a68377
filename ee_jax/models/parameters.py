"""A model's parameters as a flat dictionary, by dotted path, and back."""

from typing import TypeVar

from flax import nnx
from jaxtyping import Array

Parameters = dict[str, Array]
M = TypeVar("M", bound=nnx.Module)


def parameters(module: nnx.Module) -> Parameters:
    """Every parameter by its dotted path, e.g. `backbone.blocks.0.mlp.up.kernel`."""
    flat = nnx.to_flat_state(nnx.state(module, nnx.Param))
    return {".".join(map(str, keys)): variable.get_value() for keys, variable in flat}


def bind(module: M, values: Parameters) -> M:
    """A copy of `module`, which may be abstract, with these parameters in it."""
    graph, state = nnx.split(module)
    flat = nnx.to_flat_state(state)
    filled = [(keys, old.replace(values[".".join(map(str, keys))])) for keys, old in flat]
    return nnx.merge(graph, nnx.from_flat_state(filled))
