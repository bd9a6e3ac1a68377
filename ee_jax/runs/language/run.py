"""The story of a language model's run: weights, rows, training, thresholds, report."""

import time
from pathlib import Path
from typing import Any

from ee_jax.config.language import LanguageExperiment, Pretrained, Text
from ee_jax.display import SILENT, Display
from ee_jax.report.language import write
from ee_jax.runs.folder import RunFolder
from ee_jax.runs.language.evaluate import LanguageEvaluator
from ee_jax.runs.language.inputs import (
    Rows,
    Sources,
    Weights,
    check,
    make_language_model,
)
from ee_jax.runs.language.language_task import LanguageModelingTask
from ee_jax.runs.language.thresholds import LanguageCalibrator
from ee_jax.runs.train import Trainer
from ee_jax.sharding import data_mesh


def run(
    experiment: LanguageExperiment, output: Path, display: Display = SILENT
) -> dict[str, Any]:
    """Runs an experiment into the folder `output`, and returns what `results.json` holds.

    A run that was cut short goes on from its last checkpoint; one that has finished is read
    back. A folder that holds another experiment is left alone.

    Raises:
        UserError: anything that a user can mend, before long work where it can be known.
    """
    folder = RunFolder(output, experiment)
    if (results := folder.read_back(display)) is not None:
        return results
    weights = check(experiment)
    folder.claim()
    return _run(experiment, folder, weights, display)


def _run(
    experiment: LanguageExperiment, folder: RunFolder, weights: Weights, display: Display
) -> dict[str, Any]:
    start = time.perf_counter()
    rows = _rows(experiment, folder, weights, display)
    seconds = {"data": time.perf_counter() - start}
    model, values = make_language_model(experiment, weights)
    task = LanguageModelingTask(
        experiment, model, rows.splits["train"], folder.hash, folder.path
    )
    pause = experiment.checkpoint_seconds
    trainer = Trainer(task, experiment.seed, pause, data_mesh(), folder.hash, display)
    calibrator = LanguageCalibrator(experiment, model.design.layers, rows, folder, display)
    evaluate = LanguageEvaluator(experiment, model, rows.splits["test"], calibrator, display)
    strategies = {}
    for strategy in experiment.strategies:
        trained = trainer.train(strategy, values, folder.path / strategy.name)
        found = evaluate.evaluate(strategy.name, trained.values)
        strategies[strategy.name] = {**found, "train_seconds": trained.seconds}
    seconds["total"] = time.perf_counter() - start
    results = {
        **folder.heading(),
        "kind": "language",
        "data": rows.record,
        "model": _described(experiment, weights, values),
        "seconds": seconds,
        "strategies": strategies,
    }
    write(results, folder.path)
    folder.write("results.json", results)  # last: it says that the run has finished
    return results


def _rows(
    experiment: LanguageExperiment, folder: RunFolder, weights: Weights, display: Display
) -> Rows:
    sources = Sources(experiment, weights, folder.path, display)
    model, data = experiment.model, experiment.data
    if isinstance(data, Text):
        return sources.text(data)
    assert isinstance(model, Pretrained)  # the config's own check
    return sources.self_generated(data, model)


def _described(
    experiment: LanguageExperiment, weights: Weights, values: dict[str, Any]
) -> dict[str, Any]:
    config = weights.config
    return {
        "weights": getattr(experiment.model, "weights", "random"),
        "blocks": config.blocks,
        "width": config.width,
        "vocabulary": config.vocabulary,
        "parameters": sum(value.size for value in values.values()),
    }
