"""A run of any task: config to data, training, traces, thresholds, wall clock, report."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ee_jax.compilation import Program, data_mesh
from ee_jax.compile_cache import saved_seconds
from ee_jax.config import Experiment
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.models.precision import cast
from ee_jax.owned_folder import held, resolve_output
from ee_jax.report.report import write
from ee_jax.results import Results, check_described
from ee_jax.run_folder import RunFolder
from ee_jax.runs.preflight import preflight
from ee_jax.runs.train import Trainer
from ee_jax.tasks.task import Task, find_task


def run(experiment: Experiment, output: str | Path, display: Display = SILENT) -> Results:
    """Runs an experiment into a folder.

    A run that was cut short goes on from its last checkpoint; one that has finished is read
    back. A folder that holds another experiment is left alone, and so is one that another
    command is writing.

    Args:
      experiment: of any task.
      output: the folder.
      display: where progress is shown.

    Returns:
      What was found, as `results.json` holds it.

    Raises:
      UserError: anything that a user can mend, before long work where it can be known.
    """
    folder = RunFolder(resolve_output(output), experiment)
    if (results := folder.read_back(display)) is not None:
        return results
    start = time.perf_counter()
    task = find_task(experiment.task)(experiment, folder, data_mesh(), display)
    preflight(experiment, task, folder.path)
    with held(folder.path):
        if (results := folder.read_back(display)) is not None:  # by whoever held it before
            return results
        new = folder.claim(task.inputs(), display)
        try:
            described = _prepare(experiment, task)
        except UserError:
            if new:  # the mended config may go into the same folder
                folder.abandon()
            raise
        results = _run(experiment, task, folder, described, start)
        folder.wrote(*write(task.report(results), folder.path))
        folder.finish(results)
    return results


def check(
    experiment: Experiment, output: str | Path, display: Display = SILENT
) -> Mapping[str, str]:
    """All that `run` looks at before its first long step; nothing is written into the folder.

    Args:
      experiment: of any task.
      output: the folder that it would run into.
      display: where progress is shown.

    Returns:
      What was looked at, and what was found, in words.

    Raises:
      UserError: something is wrong.
    """
    folder = RunFolder(resolve_output(output), experiment)
    folder.check()
    task = find_task(experiment.task)(experiment, folder, data_mesh(), display)
    return preflight(experiment, task, folder.path)


def _prepare(experiment: Experiment, task: Task) -> Mapping[str, Any]:
    """What else must be there before training; what the task says of data and model."""
    task.prepare()
    described = task.describe()
    try:
        check_described(described)
    except ValueError as error:
        raise UserError(f"task `{experiment.task}`: describe() {error}") from None
    return described


def _run(
    experiment: Experiment,
    task: Task,
    folder: RunFolder,
    described: Mapping[str, Any],
    start: float,
) -> Results:
    seconds = {"data": time.perf_counter() - start}
    before, compiled = saved_seconds(), Program.compiled
    strategies = {}
    for strategy in experiment.strategies:
        own = task.of(strategy)
        trainer = Trainer(own, experiment.seed, experiment.checkpoint_seconds, folder.hash)
        trained = trainer.train(strategy, own.values, folder.path / strategy.name)
        values = cast(trained.values, experiment.precision)
        found = own.evaluate(strategy.name, values)
        strategies[strategy.name] = replace(found, train_seconds=trained.seconds)
        folder.seal()
    for program, spent in task.compile_seconds.items():
        seconds[f"compile_{program}"] = spent
    if saved := saved_seconds() - before:
        seconds["compile_saved"] = saved
        task.display.say(f"programs that were compiled before saved {saved:.1f} s")
    seconds["total"] = time.perf_counter() - start
    return Results(
        **folder.heading(),
        task=experiment.task,
        **described,
        seconds=seconds,
        programs=Program.compiled - compiled,
        strategies=strategies,
        against_static=task.against_static(strategies),
    )
