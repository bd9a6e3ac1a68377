"""The devices that programs are compiled for: this machine's, or TPUs that are elsewhere.

A device is what JAX calls one: a chip, or one of the two cores of a TPU v2, v3, v4 or 7x.
"""

import importlib.util
import os
import re
from collections import Counter
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import Any

import jax
from jax.sharding import Mesh

from ee_jax.compilation import MATMUL_PRECISION, mesh_of
from ee_jax.errors import UserError

GIB = 2**30
Device = Any  # one of those that `jax.devices` lists

# Memory of TPUs that are elsewhere, in GiB a device.
TPU_MEMORY = {
    "TPU v2": 8,
    "TPU v3": 16,
    "TPU v4": 16,
    "TPU v5 lite": 16,  # v5e
    "TPU v5": 95,  # v5p
    "TPU v6 lite": 32,  # v6e
    "TPU7x": 96,
}

# What the TPU compiler must be told where it would look for a TPU, and find none.
WITHOUT_TPU = {
    "JAX_PLATFORMS": "cpu",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    # Compiling uses no device that another process could hold.
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
}


def host_bytes() -> int:
    """Memory of this machine."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def memory_of(device: Device) -> int | None:
    """Bytes of a device's memory: all there is on the host, where it is a CPU.

    Returns:
      None where neither the device nor the table says.
    """
    if device.platform == "cpu":
        return host_bytes()
    if device in jax.local_devices():
        return (device.memory_stats() or {}).get("bytes_limit")
    known = TPU_MEMORY.get(device.device_kind)
    return None if known is None else known * GIB


@dataclass(frozen=True)
class Devices:
    """What JAX finds on this machine."""

    devices: list[dict[str, Any]]  # platform, kind, how many, and bytes of memory of each
    versions: dict[str, str]
    matmul_precision: str  # of products of float32
    compile_cache: str | None  # JAX's folder of compiled programs
    idle: list[str]  # plugins of accelerators that are installed and find none


def describe() -> Devices:
    """The devices, by kind, and what decides how programs are compiled for them."""
    settings: Any = jax.config
    found = Counter((d.platform, d.device_kind, memory_of(d)) for d in jax.devices())
    here = {platform for platform, *_ in found}
    return Devices(
        devices=[
            {"platform": platform, "kind": kind, "number": number, "memory_bytes": memory}
            for (platform, kind, memory), number in found.items()
        ],
        versions={name: version(name) for name in ("jax", "jaxlib")},
        matmul_precision=MATMUL_PRECISION,
        compile_cache=settings.jax_compilation_cache_dir,
        idle=[name for name, platform in _plugins().items() if platform not in here],
    )


def _plugins() -> dict[str, str]:
    """Installed plugins of accelerators, and the platform of each."""
    found = {entry.name: "gpu" for entry in entry_points(group="jax_plugins")}
    if importlib.util.find_spec("libtpu") is not None:
        found["libtpu"] = "tpu"
    return found


def topology_mesh(name: str) -> Mesh:
    """The TPUs of a topology along the batch's axis; none of them need be here.

    Args:
      name: such as `v5e:2x2`: a kind, and how its chips are laid out.

    Raises:
      UserError: the TPU compiler is not installed, or knows no such topology.
    """
    if importlib.util.find_spec("libtpu") is None:
        raise UserError(
            "`--target` needs the TPU compiler, libtpu, which is not installed: "
            "pip install 'ee_jax[tpu-compiler]'"
        )
    from jax.experimental import topologies

    chips = re.fullmatch(r"[^:]+:([0-9x]+)", name)
    # A host has four chips where nothing else is said, and one alone is less than that.
    alone = chips is not None and set(chips[1]) <= {"1", "x"}
    options: Any = {"chips_per_host_bounds": (1, 1, 1)} if alone else {}
    try:
        found = topologies.get_topology_desc(name, "tpu", **options)
    except RuntimeError as error:
        raise UserError(
            f"no TPU topology `{name}`: {_first_line(error)}; give one such as v5e:2x2, "
            "v6e:4x4, v5p:2x2x1 or, one chip alone, v5e:1x1"
        ) from None
    return mesh_of(found.devices)


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].removeprefix("INVALID_ARGUMENT: ")
