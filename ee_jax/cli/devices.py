"""`ee-jax devices`."""

import json
import os
from argparse import Namespace
from typing import Any

from ee_jax.cli.parser import add_command


def add(commands: Any) -> None:
    """Adds the command."""
    text = "the devices that JAX finds here, and how it compiles for them"
    command = add_command(commands, "devices", devices, text)
    command.set_defaults(keeps_programs=True)  # it says where they are kept
    command.add_argument("--json", action="store_true", help="print JSON")


def devices(arguments: Namespace) -> None:
    """Prints devices, versions, precision and cache."""
    from dataclasses import asdict

    from ee_jax.devices import GIB, describe
    from ee_jax.display import print_line

    found = describe()
    if arguments.json:
        return print(json.dumps(asdict(found)))
    for each in found.devices:
        memory = each["memory_bytes"]
        room = "unknown memory" if memory is None else f"{memory / GIB:,.1f} GiB each"
        kind = f"{each['number']} x {each['platform']}: {each['kind']}"
        print_line(f"{'devices:':<18} {kind}, {room}")
    print_line(f"{'versions:':<18} {', '.join(map(' '.join, found.versions.items()))}")
    print_line(f"{'matmul precision:':<18} {found.matmul_precision}")
    print_line(f"{'compile cache:':<18} {found.compile_cache or 'none'}")
    for name in found.idle:
        asked = os.environ.get("JAX_PLATFORMS")
        why = f" (JAX_PLATFORMS is {asked})" if asked else ""
        print_line(f"{'idle:':<18} {name} is installed, but finds no device{why}")
