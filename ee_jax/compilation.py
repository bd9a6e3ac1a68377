"""Functions compiled ahead of time, and batches over devices."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jax.stages import Lowered

from ee_jax.errors import UserError

# Products of float32 in float32: accelerators else take TF32 or passes in bfloat16.
MATMUL_PRECISION = "float32"


class Program:
    """A function compiled once for each set of shapes it is called with.

    Matrix products have `MATMUL_PRECISION` on every platform.

    Attributes:
      compiled: how often any program was compiled in this process so far.
    """

    compiled = 0

    def __init__(self, function: Callable, donate: tuple[int, ...] = ()):
        self._jitted = jax.jit(function, donate_argnums=donate)
        self._compiled: dict[Any, Callable] = {}
        self.seconds = 0.0  # spent compiling so far

    def __call__(self, *arguments: Any) -> Any:
        """Runs the function, compiled for these arguments' shapes."""
        return self.at(*arguments)(*arguments)

    def at(self, *arguments: Any) -> Callable:
        """The compiled function for arguments of these shapes, to be called directly."""
        leaves, structure = jax.tree.flatten(arguments)
        key = structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves)
        if key not in self._compiled:
            start = time.perf_counter()
            self._compiled[key] = self.lower(*arguments).compile()
            self.seconds += time.perf_counter() - start
            Program.compiled += 1
        return self._compiled[key]

    def lower(self, *arguments: Any) -> Lowered:
        """The function before it is compiled, for arrays or for shapes alone."""
        with jax.default_matmul_precision(MATMUL_PRECISION):
            return self._jitted.lower(*arguments)

    def shape(self, *arguments: Any) -> Any:
        """The shapes of what it would return."""
        return jax.eval_shape(self._jitted, *arguments)


class Planned(NamedTuple):
    """A program that a run will compile, and the shapes that it compiles it for."""

    name: str  # with its shape, e.g. `static 8 x 96`
    program: Program
    arguments: tuple[Any, ...]  # shapes, and where they lie: see `replicated` and `split`
    field: str = ""  # of the config, which says how large the batch is
    batch: int = 1

    def lower(self) -> Lowered:
        """The program before it is compiled; nothing is computed."""
        return self.program.lower(*self.arguments)


DATA = "data"


def data_mesh(devices: int | None = None) -> Mesh:
    """All devices (or the first `devices`) along one axis, the batch's."""
    return mesh_of(jax.devices()[:devices])


def mesh_of(devices: Any) -> Mesh:
    """These devices along the batch's axis; they need not be here."""
    # JAX's default, explicit axes, is not what Flax's embeddings take.
    return Mesh(np.array(devices), (DATA,), axis_types=(AxisType.Auto,))


def first_of(mesh: Mesh) -> Mesh:
    """The first device of a mesh alone."""
    return mesh_of(mesh.devices.flat[:1])


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


def replicated(tree: Any, mesh: Mesh) -> Any:
    """The shapes of what `replicate` gives, whether or not the devices are here."""
    return _shapes(tree, NamedSharding(mesh, P()))


def split(tree: Any, mesh: Mesh) -> Any:
    """The shapes of what `split_batch` gives, whether or not the devices are here."""
    return _shapes(tree, NamedSharding(mesh, P(DATA)))


def _shapes(tree: Any, sharding: NamedSharding) -> Any:
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding), tree
    )


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
