"""The one mesh, and how arrays lie on it."""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from ee_jax.errors import UserError

DATA = "data"


def data_mesh(devices: int | None = None) -> Mesh:
    """All devices (or the first `devices`) along one axis, the batch's."""
    chosen = np.array(jax.devices()[:devices])
    # JAX's default, explicit axes, is not what Flax's embeddings take.
    return Mesh(chosen, (DATA,), axis_types=(AxisType.Auto,))


def check_batch(batch: int, mesh: Mesh, field: str) -> None:
    """A batch must divide among the devices."""
    if batch % mesh.size:
        raise UserError(
            f"`{field}` is {batch}, which {mesh.size} devices cannot share evenly: "
            f"take a multiple of {mesh.size}"
        )


def replicate(tree: Any, mesh: Mesh) -> Any:
    """A copy on every device."""
    return jax.device_put(tree, NamedSharding(mesh, P()))


def split_batch(tree: Any, mesh: Mesh) -> Any:
    """The leading axis of every array over the devices."""
    return jax.device_put(tree, NamedSharding(mesh, P(DATA)))


def over_data(function: Callable, mesh: Mesh) -> Callable:
    """`function(shared, batch)` with the batch's rows over the devices, each on its own.

    A loop in it ends on each device when that device's rows are done: under plain `jit` every
    device would wait for the slowest, and for a collective in each iteration.
    """
    if mesh.size == 1:
        return function
    return jax.shard_map(
        function, mesh=mesh, in_specs=(P(), P(DATA)), out_specs=P(DATA), check_vma=False
    )
