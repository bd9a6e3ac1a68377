"""A run of any task: config to data, training, traces, thresholds, wall clock, report."""

import time
from dataclasses import replace
from pathlib import Path

from ee_jax.compilation import data_mesh
from ee_jax.config import Experiment
from ee_jax.display import SILENT, Display
from ee_jax.report.report import write
from ee_jax.results import Results, to_json
from ee_jax.run_folder import RunFolder
from ee_jax.runs.train import Trainer
from ee_jax.tasks.task import Task, check_described, find_task


def run(experiment: Experiment, output: str | Path, display: Display = SILENT) -> Results:
    """Runs an experiment into a folder.

    A run that was cut short goes on from its last checkpoint; one that has finished is read
    back. A folder that holds another experiment is left alone.

    Args:
      experiment: of any task.
      output: the folder.
      display: where progress is shown.

    Returns:
      What was found, as `results.json` holds it.

    Raises:
      UserError: anything that a user can mend, before long work where it can be known.
    """
    folder = RunFolder(Path(output), experiment)
    if (results := folder.read_back(display)) is not None:
        return results
    task = find_task(experiment.task)(experiment, folder, data_mesh(), display)
    task.check()
    folder.claim()
    results = _run(experiment, task, folder, display)
    write(task.report(results), folder.path)
    folder.write("results.json", to_json(results))  # last: it says that the run has finished
    return results


def _run(experiment: Experiment, task: Task, folder: RunFolder, display: Display) -> Results:
    start = time.perf_counter()
    task.prepare()
    described = task.describe()
    check_described(experiment.task, described)
    seconds = {"data": time.perf_counter() - start}
    trainer = Trainer(task, experiment.seed, experiment.checkpoint_seconds, folder.hash)
    strategies = {}
    for strategy in experiment.strategies:
        trained = trainer.train(strategy, task.values, folder.path / strategy.name)
        found = task.evaluate(strategy.name, trained.values)
        strategies[strategy.name] = replace(found, train_seconds=trained.seconds)
    for program, spent in task.compile_seconds.items():
        seconds[f"compile_{program}"] = spent
    seconds["total"] = time.perf_counter() - start
    return Results(
        **folder.heading(),
        task=experiment.task,
        **described,
        seconds=seconds,
        strategies=strategies,
    )
