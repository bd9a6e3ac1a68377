"""What a run ran on."""

import platform
from importlib import metadata

import jax

import ee_jax

PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")


def versions() -> dict[str, str]:
    """Versions of Python, of ee_jax and of what its numbers depend on."""
    found = {package: metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version(), "ee_jax": ee_jax.__version__, **found}


def device() -> str:
    """The devices in words, e.g. `1 x cpu: Intel(R) Xeon(R) Processor, 2 cores`."""
    devices = jax.devices()
    kind = devices[0].device_kind
    if devices[0].platform == "cpu":
        kind = f"{_processor()}, {jax.local_device_count()} device(s)"
    return f"{len(devices)} x {devices[0].platform}: {kind}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            names = [line.split(":", 1)[1].strip() for line in lines if "model name" in line]
        return f"{names[0]}, {len(names)} cores"
    except (OSError, IndexError):
        return platform.processor() or platform.machine()
