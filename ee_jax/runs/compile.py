"""Compiling what a run would compile, and nothing else: the dry run of its programs."""

import math
import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
from jax.sharding import Mesh
from jax.stages import Compiled

from ee_jax.compilation import Planned
from ee_jax.config import Experiment
from ee_jax.devices import GIB, Device, memory_of
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.owned_folder import resolve_output
from ee_jax.run_folder import RunFolder
from ee_jax.runs.preflight import check_experiment
from ee_jax.tasks.task import find_task


class CompiledProgram(NamedTuple):
    """What the compiler says of a program; bytes are of one device."""

    program: str  # with its shape
    seconds: float  # that compiling took
    argument_bytes: int
    temporary_bytes: int
    output_bytes: int  # but for those that are written over arguments
    memory_bytes: int | None  # of the device; None where it is not known
    flops: float  # as XLA counts: a loop's body once, of branches the dearest
    loops: int  # `while` in the compiled text
    branches: int  # `conditional` there

    @property
    def needed_bytes(self) -> int:
        """All that the program needs at once."""
        return self.argument_bytes + self.temporary_bytes + self.output_bytes


def plan(experiment: Experiment, mesh: Mesh, display: Display = SILENT) -> list[Planned]:
    """The programs that a run would compile, each once, in the order of the run.

    Config, weights and data are read and checked as `run` does it; nothing is written.

    Args:
      experiment: of any task.
      mesh: the devices, which need not be here.
      display: where progress is shown.

    Raises:
      UserError: something is wrong with the experiment, or its task lists no programs.
    """
    folder = RunFolder(resolve_output(experiment.name), experiment)
    task = find_task(experiment.task)(experiment, folder, mesh, display)
    check_experiment(experiment, task)
    programs = {planned.name: planned for planned in task.programs()}
    if not programs:
        raise UserError(
            f"task `{experiment.task}` lists no programs: define its programs(), as "
            "ee_jax.tasks.task.Task says"
        )
    return [*programs.values()]


def compile_all(
    programs: list[Planned], mesh: Mesh, display: Display = SILENT
) -> Iterator[CompiledProgram]:
    """Compiles programs one after the other: a `CompiledProgram` for each.

    Args:
      programs: as `plan` gives them.
      mesh: what they were planned for.
      display: told which is being compiled.

    Raises:
      UserError: a program does not compile, or does not fit the device.
    """
    device = mesh.devices.flat[0]
    for number, planned in enumerate(programs, 1):
        display.say(f"{number} of {len(programs)}: {planned.name}")
        start = time.perf_counter()
        try:
            compiled = planned.lower().compile()
        except (jax.errors.JaxRuntimeError, NotImplementedError) as error:
            raise _refused(planned, device, error) from None
        row = _row(planned.name, compiled, memory_of(device), time.perf_counter() - start)
        yield row
        if row.memory_bytes and row.needed_bytes > row.memory_bytes:
            raise _too_large(planned, device, row.needed_bytes, row.memory_bytes)


def _row(name: str, compiled: Compiled, memory: int | None, seconds: float) -> CompiledProgram:
    stats: Any = compiled.memory_analysis()
    text = compiled.as_text() or ""
    return CompiledProgram(
        program=name,
        seconds=seconds,
        argument_bytes=stats.argument_size_in_bytes,
        temporary_bytes=stats.temp_size_in_bytes,
        output_bytes=stats.output_size_in_bytes - stats.alias_size_in_bytes,
        memory_bytes=memory,
        flops=_flops(compiled),
        loops=text.count(" while("),
        branches=text.count(" conditional("),
    )


def _flops(compiled: Compiled) -> float:
    found: Any = compiled.cost_analysis() or {}
    return float(found.get("flops", math.nan))


UNITS = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
# "HLO temporaries (74.58G) exceeds available HBM (15.75G)", or "Used 37.3G of 15.75G hbm".
SIZES = re.compile(r"(?:\(|Used |of )([0-9.]+)([KMGT])")


def _refused(planned: Planned, device: Device, error: Exception) -> UserError:
    """What the compiler said in place of a program."""
    said = str(error).partition("\n")[0]
    sizes = [float(size) * UNITS[unit] for size, unit in SIZES.findall(said)]
    if said.startswith("RESOURCE_EXHAUSTED") and len(sizes) >= 2:
        return _too_large(planned, device, int(sizes[0]), int(sizes[1]))
    return UserError(
        f"program `{planned.name}` does not compile for {device.device_kind}: {said}"
    )


def _too_large(planned: Planned, device: Device, needed: int, there: int) -> UserError:
    fits = _batch_that_fits(planned, needed, there)
    smaller = f"a smaller `{planned.field}`" if planned.field else "a smaller batch"
    try_this = f", such as {fits}" if fits else ""
    return UserError(
        f"program `{planned.name}` needs {needed / GIB:,.1f} GiB on a {device.device_kind}, "
        f"which has {there / GIB:,.1f} GiB: take {smaller}{try_this}"
    )


def _batch_that_fits(planned: Planned, needed: int, there: int) -> int:
    """Half as often as it takes, as if memory grew with the batch; 0 where nothing is left."""
    batch = planned.batch
    while batch and needed * batch / planned.batch > there:
        batch //= 2
    return batch
