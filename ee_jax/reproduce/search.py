"""A small search for learning rates, the same for every strategy, on held-out training rows.

Each candidate is the recipe with all its rates times a factor. A strategy takes the factor
whose model answers best on the calibration split, which is held out of the training rows: the
mean quality of its exits, or the quality of the one answer of a model without exits; of equals
the first. The test split has no part in it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ee_jax.calibration.trace import Trace
from ee_jax.config import Experiment, OptimizerConfig, Strategy
from ee_jax.display import SILENT, Display
from ee_jax.evaluation.metrics import METRICS
from ee_jax.manifest import check_files
from ee_jax.report import text
from ee_jax.report.render import Column, Table
from ee_jax.runs.run import run

# The clock has no part in the search, so it is asked as little as can be.
UNTIMED: dict[str, Any] = {"thresholds": (1.0,), "batches": (32,), "rounds": 1}
Quality = float | None  # on the held-out rows; None: not defined there


@dataclass(frozen=True)
class Searched:
    """What a task's search found: for each strategy the quality of each factor."""

    task: str
    qualities: Mapping[str, Mapping[float, Quality]]

    def factor(self, strategy: str) -> float:
        """The best factor of a strategy; 1 where no quality is defined."""
        known = {f: q for f, q in self.qualities[strategy].items() if q is not None}
        return max(known, key=lambda factor: known[factor], default=1.0)

    def applied(self, experiment: Experiment) -> Experiment:
        """The experiment with the rates that were found."""
        chosen = tuple(scaled(s, self.factor(s.name)) for s in experiment.strategies)
        return replace(experiment, strategies=chosen)


def scaled(strategy: Strategy, factor: float) -> Strategy:
    """The strategy with the learning rates of all its stages times a factor."""
    fits = {
        field.name: fit
        for field in fields(strategy)
        if isinstance(fit := getattr(strategy, field.name), OptimizerConfig)
    }
    return replace(strategy, **{name: _times(fit, factor) for name, fit in fits.items()})


def _times(fit: OptimizerConfig, factor: float) -> OptimizerConfig:
    rates = {"learning_rate": fit.learning_rate, "head_learning_rate": fit.head_learning_rate}
    return replace(fit, **{name: rate * factor for name, rate in rates.items()})


def search(
    task: str,
    experiment: Experiment,
    factors: Sequence[float],
    folder: Path,
    display: Display = SILENT,
) -> Searched:
    """Runs the experiment at each factor, into folders of their own, and judges them.

    Args:
      task: what the search is called.
      experiment: with the recipe's rates, and the seed that is searched with.
      factors: of the candidates.
      folder: whose folders hold the runs; what has finished is read back.
      display: where progress is shown.
    """
    qualities: dict[str, dict[float, Quality]] = {s.name: {} for s in experiment.strategies}
    for factor in factors:
        display.say(f"{task}: learning rates x {factor:g}")
        candidate = replace(
            experiment,
            strategies=tuple(scaled(s, factor) for s in experiment.strategies),
            evaluation=replace(experiment.evaluation, **UNTIMED),
        )
        where = folder / f"rates_x_{factor:g}"
        results = run(candidate, where, display)
        metric = results.quality
        for name in qualities:
            qualities[name][factor] = held_out_quality(where, name, metric)
    return Searched(task, qualities)


def held_out_quality(folder: Path, strategy: str, metric: str) -> Quality:
    """The mean quality of a strategy's exits on the calibration split of a run."""
    path = f"{strategy}/traces/calibration.npz"
    check_files(folder, f"delete {folder} and run again", [path])
    trace = Trace.load(folder / path)
    assert trace.prediction_NE is not None  # a run writes both
    assert trace.label_N is not None
    each = [METRICS[metric](answer_N, trace.label_N) for answer_N in trace.prediction_NE.T]
    mean = float(np.mean(each))
    return mean if np.isfinite(mean) else None


def search_table(title: str, found: Sequence[Searched]) -> Table:
    """A row for each task, strategy and factor, and which was chosen."""
    rows = [
        {
            "task": each.task,
            "strategy": name,
            "factor": factor,
            "quality": None if quality is None else round(100 * quality, 6),
            "chosen": factor == each.factor(name),
        }
        for each in found
        for name, qualities in each.qualities.items()
        for factor, quality in qualities.items()
    ]
    columns = (
        Column("task", lambda r: r["task"], is_text=True),
        Column("strategy", lambda r: r["strategy"], is_text=True),
        Column("rates x", lambda r: f"{r['factor']:g}"),
        Column("held-out quality", lambda r: text.number(r["quality"], 1)),
        Column("chosen", lambda r: "yes" if r["chosen"] else "", is_text=True),
    )
    note = (
        "All learning rates of the recipe times a factor, the same factors for every strategy; "
        "quality on the calibration split, held out of the training rows: the mean over the "
        "exits. The test split has no part in it."
    )
    return Table(title, columns, tuple(rows), (note,))
