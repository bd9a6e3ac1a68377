"""`ee-jax compile CONFIG [--target TOPOLOGY] [overrides]`."""

import json
import os
from argparse import Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_config_command

USAGE = "ee-jax compile CONFIG [--target TOPOLOGY] [--json] [overrides]"
MORE = (
    "This is the dry run: it compiles every program that `ee-jax run` would. Nothing is "
    "trained, and nothing written but a data set that is not there yet. `ee-jax run --check` "
    "reads and checks everything and compiles nothing. Bytes are those of one device; FLOPs "
    "count a loop's body once, of branches the dearest. Overrides are those of `ee-jax run`."
)
COLUMNS = (
    "compile s", "arguments", "temporary", "outputs", "of memory", "FLOPs", "while", "cond",
)  # fmt: skip


def add(commands: Any) -> None:
    """Adds the command."""
    text = "compile every program of a run, for this machine or for TPUs that are elsewhere"
    command = add_config_command(commands, "compile", compile_programs, text, USAGE, MORE)
    target = "TPUs such as v5e:2x2 or v6e:4x4; needs pip install 'ee_jax[tpu-compiler]'"
    command.add_argument("--target", metavar="TOPOLOGY", help=target)
    command.add_argument("--json", action="store_true", help="print a JSON object a program")


def compile_programs(config: Path, overrides: list[str], arguments: Namespace) -> None:
    """Compiles the programs of a config file, and prints a row for each."""
    mesh = _mesh(arguments.target)
    from ee_jax.config.load import load

    compile_experiment(load(config, overrides), mesh, arguments.json)


def compile_experiment(experiment: Any, mesh: Any, as_json: bool) -> None:
    """Compiles the programs of an experiment, and prints a row for each."""
    from ee_jax.display import Display
    from ee_jax.runs.compile import compile_all, plan

    display = Display()
    programs = plan(experiment, mesh, display)
    rows = compile_all(programs, mesh, display)
    if as_json:
        for row in rows:
            print(json.dumps(row._asdict()), flush=True)
        return
    _print_table(rows, max(len(planned.name) for planned in programs), mesh)


def _mesh(target: str | None) -> Any:
    """The devices of this machine, or of a topology."""
    if target is None:
        from ee_jax.compilation import data_mesh

        return data_mesh()
    from ee_jax.devices import WITHOUT_TPU

    os.environ.update(WITHOUT_TPU)
    from ee_jax.devices import topology_mesh

    return topology_mesh(target)


def _print_table(rows: Any, wide: int, mesh: Any) -> None:
    """A row as soon as it is known, and what they come to."""
    from ee_jax.display import print_line

    print_line(f"{'program':<{wide}}" + "".join(f"{name:>11}" for name in COLUMNS))
    seconds, most, count = 0.0, 0.0, 0
    for row in rows:
        print_line(f"{row.program:<{wide}}" + "".join(f"{cell:>11}" for cell in _cells(row)))
        seconds, count = seconds + row.seconds, count + 1
        most = max(most, row.needed_bytes)
    what = f"{mesh.size} x {mesh.devices.flat[0].device_kind}"
    needs = f"the largest needs {_bytes(most)} of each device's memory"
    print_line(f"{count} programs compile for {what}, in {seconds:.0f} s; {needs}")


def _cells(row: Any) -> list[str]:
    share = "" if row.memory_bytes is None else f"{row.needed_bytes / row.memory_bytes:.1%}"
    sizes = [_bytes(n) for n in (row.argument_bytes, row.temporary_bytes, row.output_bytes)]
    counts = f"{row.flops:.3g}", str(row.loops), str(row.branches)
    return [f"{row.seconds:.1f}", *sizes, share, *counts]


def _bytes(count: float) -> str:
    """Such as 16.2 MiB."""
    units = ("B", "KiB", "MiB", "GiB", "TiB")
    power = next((n for n in range(4) if count < 1024 ** (n + 1)), 4)
    return f"{count / 1024**power:.{1 if power else 0}f} {units[power]}"
