"""Everything that can be checked before the first long step of a run, as a list.

The task looks at config, weights and data; here follows what every task has in common:
batches on the devices, steps of each stage, and room on the disk.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from ee_jax.compilation import check_batch
from ee_jax.config import Experiment
from ee_jax.errors import UserError
from ee_jax.tasks.task import Task
from ee_jax.training.stage import Stage

MIB = 2**20
CHECKPOINTS = 3  # the two that are kept, and the one that is being written


def preflight(experiment: Experiment, task: Task, output: Path) -> Mapping[str, str]:
    """What was looked at, and what was found, in words.

    Args:
      experiment: of the run.
      task: its task, which has not been checked yet.
      output: the folder that it will run into.

    Raises:
      UserError: something is wrong.
    """
    found = check_experiment(experiment, task)
    found["strategies"] = "; ".join(_strategies(experiment, task))
    found["devices"] = f"{task.mesh.size} x {task.mesh.devices.flat[0].platform}"
    found["disk"] = _disk(experiment, task, output)
    return found


def check_experiment(experiment: Experiment, task: Task) -> dict[str, str]:
    """What the task found of config, weights and data, all of it fit for the devices.

    Args:
      experiment: of the run.
      task: its task, which has not been checked yet.

    Raises:
      UserError: something is wrong.
    """
    found = dict(task.check())
    if lacks := [name for name in ("values", "layout") if not hasattr(task, name)]:
        raise UserError(f"task `{experiment.task}`: check() must set {' and '.join(lacks)}")
    _check_stages(experiment, task)
    return found


def _check_stages(experiment: Experiment, task: Task) -> None:
    """Raises the UserError of a stage whose batch the devices cannot share."""
    for strategy in experiment.strategies:
        for stage in task.of(strategy).stages(strategy):
            field = f"fit.batch of stage {stage.name} of strategy {strategy.name}"
            check_batch(stage.fit.batch, task.mesh, field)


def _strategies(experiment: Experiment, task: Task) -> Iterator[str]:
    for strategy in experiment.strategies:
        stages = task.of(strategy).stages(strategy)
        yield f"{strategy.name}: {', '.join(_stage(stage) for stage in stages)}"


def _stage(stage: Stage) -> str:
    return f"{stage.name} ({stage.fit.epochs:g} epochs in batches of {stage.fit.batch})"


def _disk(experiment: Experiment, task: Task, output: Path) -> str:
    """The room that checkpoints and models take, and what there is."""
    owners = [(strategy, task.of(strategy)) for strategy in experiment.strategies]
    needed = sum(_bytes(own.stages(strategy), own) for strategy, own in owners)
    there = next(path for path in (output, *output.parents) if path.exists())
    done = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    free = shutil.disk_usage(there).free
    if free < (left := max(0, needed - done)):
        raise UserError(
            f"the run needs about {left / MIB:,.0f} MiB in {output}, and {free / MIB:,.0f} MiB "
            "are free there: make room, or give another output folder"
        )
    return f"about {needed / MIB:,.0f} MiB needed, {free / MIB:,.0f} MiB free"


def _bytes(stages: list[Stage], task: Task) -> int:
    """Checkpoints of the largest stage, with two moments of what it trains, and the model."""
    sizes = {path: value.nbytes for path, value in task.values.items()}
    moments = [
        2 * sum(size for path, size in sizes.items() if stage.trains(path)) for stage in stages
    ]
    model = sum(sizes.values())
    return CHECKPOINTS * (model + max(moments)) + model
