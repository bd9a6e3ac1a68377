"""The story of a run: config to data, training, traces, thresholds, wall clock, report."""

import time
from pathlib import Path
from typing import Any

from ee_jax.config import Experiment
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.forward_pass import ForwardPass
from ee_jax.models.architecture import Architecture
from ee_jax.models.parameters import Parameters
from ee_jax.report.write import write
from ee_jax.runs.classification_task import ClassificationTask
from ee_jax.runs.evaluate import Evaluator
from ee_jax.runs.folder import RunFolder
from ee_jax.runs.inputs import Corpus, check, load_corpus, make_model
from ee_jax.runs.measure import Measurer
from ee_jax.runs.train import Trainer
from ee_jax.sharding import data_mesh


def run(experiment: Experiment, output: Path, display: Display = SILENT) -> dict[str, Any]:
    """Runs an experiment into the folder `output`, and returns what `results.json` holds.

    A run that was cut short goes on from its last checkpoint; one that has finished is read
    back. A folder that holds another experiment is left alone.

    Raises:
        UserError: anything that a user can mend, before long work where it can be known.
    """
    folder = RunFolder(output, experiment)
    if (results := folder.read_back(display)) is not None:
        return results
    architecture = check(experiment)
    folder.claim()
    return _Run(experiment, folder, display).run(architecture)


class _Run:
    """One run under way."""

    def __init__(self, experiment: Experiment, folder: RunFolder, display: Display):
        self._experiment, self._folder, self._display = experiment, folder, display
        self._seconds: dict[str, float] = {}

    def run(self, architecture: Architecture) -> dict[str, Any]:
        experiment, folder, display = self._experiment, self._folder, self._display
        start = time.perf_counter()
        corpus = load_corpus(experiment)
        self._seconds["data"] = time.perf_counter() - start
        mesh = data_mesh()
        outputs = len(corpus.classes) or 1  # one of a regression
        model, values = make_model(experiment, architecture, outputs)
        forward = ForwardPass(model, mesh)
        task = ClassificationTask(experiment, model, corpus, forward, folder.hash, display)
        pause = experiment.checkpoint_seconds
        trainer = Trainer(task, experiment.seed, pause, mesh, folder.hash, display)
        test, metrics = corpus.splits["test"], corpus.metrics
        measurer = Measurer(experiment, model, test, metrics, mesh, display)
        evaluate = Evaluator(experiment, model, corpus, forward, measurer, folder, display)
        strategies = {}
        for strategy in experiment.strategies:
            trained = trainer.train(strategy, values, folder.path / strategy.name)
            strategies[strategy.name] = {
                **evaluate.evaluate(strategy.name, trained.values),
                "train_seconds": trained.seconds,
            }
        for program, seconds in measurer.compile_seconds.items():
            self._seconds[f"compile_{program}"] = seconds
        self._seconds["total"] = time.perf_counter() - start
        results = self._results(corpus, architecture, values, strategies)
        write(results, folder.path)
        folder.write("results.json", results)  # last: it says that the run has finished
        return results

    def _results(
        self,
        corpus: Corpus,
        architecture: Architecture,
        values: Parameters,
        strategies: dict[str, Any],
    ) -> dict[str, Any]:
        experiment = self._experiment
        return {
            **self._folder.heading(),
            "data": corpus.record,
            "model": {
                "weights": experiment.model.weights,
                "blocks": architecture.blocks,
                "parameters": sum(value.size for value in values.values()),
            },
            "quality": corpus.metrics[0],
            "metrics": list(corpus.metrics),
            "seconds": self._seconds,
            "strategies": strategies,
        }
