"""Calibration by every method: seconds and memory, on a trace of random numbers.

What is timed are the trials that `ee-jax calibrate` reports: thresholds for ten levels on one
part of each random split, and what they do on the rest.
"""

import os
import platform
import tracemalloc
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np

from ee_jax.benchmarks.exit_loop import SEED, Row
from ee_jax.calibration.conformal import CONFORMAL
from ee_jax.calibration.empirical import BUDGET
from ee_jax.calibration.methods import METHODS
from ee_jax.calibration.per_exit import PATHS
from ee_jax.calibration.request import Request, trial
from ee_jax.calibration.trace import Trace
from ee_jax.calibration.trials import BLOCK, Splits, Trials
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.evaluation.timing import interleave, milliseconds

RISK = "consistency"
LEVELS = np.arange(1, 11) / 100
SEARCHED = "ltt"  # the method that walks the paths of a search, in the rows of that name
EVERY = (*METHODS, BUDGET, *CONFORMAL, *PATHS)


def draw_trace(examples: int, exits: int) -> Trace:
    """Examples from easy to hard; the deeper an exit, the surer it is and the oftener right.

    Args:
      examples: N.
      exits: E, after every block.

    Returns:
      A trace with predictions.
    """
    rng, depth_E = np.random.default_rng(SEED), np.arange(1, exits + 1)
    hard_N1, skill_E = rng.random((examples, 1)), 0.35 + 0.65 * depth_E / exits
    noise_NE = 0.1 * rng.normal(size=(examples, exits))
    confidence_NE = np.clip(0.97 - hard_N1 * (1.05 - skill_E) + noise_NE, 0, 1)
    chance_NE = 0.8 * np.clip(hard_N1 * (1.15 - skill_E), 0, 1) * (1.2 - confidence_NE)
    wrong_NE = rng.random((examples, exits)) < chance_NE
    return Trace.of(
        {
            "confidence_NE": confidence_NE,
            "loss_NE": wrong_NE,
            "depth_E": depth_E,
            "prediction_NE": wrong_NE,
        }
    )


def bench_calibrate(
    methods: Sequence[str],
    examples: int,
    exits: int,
    thresholds: int,
    trials: int,
    repeats: int,
    display: Display = SILENT,
) -> Iterator[Row]:
    """A row for each method.

    `seconds` is the median of the rounds. `peak_mb` is the most memory that NumPy and Python
    held beside the trace, as `tracemalloc` counts it in a round of its own of at most two
    blocks of splits, since more take no more; `trace_mb` is the size of the trace. Searches and
    conformal methods have candidates of their own, and no `thresholds`.

    Args:
      methods: names in METHODS or CONFORMAL, `budget`, or a search of PATHS.
      examples: N.
      exits: E.
      thresholds: candidates, evenly from 1 to 0.
      trials: random splits.
      repeats: timed rounds.
      display: shows what is being done.
    """
    for name in methods:
        if name not in EVERY:
            raise UserError(f"no method {name!r}: choose from {', '.join(EVERY)}")
    if thresholds < 2:
        raise UserError(f"thresholds is {thresholds}: ask for at least 2, 1 and 0")
    trace = draw_trace(examples, exits)
    grid_K = np.linspace(1, 0, thresholds)
    sizes = {"examples": examples, "exits": exits}
    held = sum(column.nbytes for column in trace.columns().values())
    for name in methods:
        side = partial(_trials, name, trace, grid_K)
        splits = Splits(examples, trials)
        with display.bar(name, repeats + 1) as tick:
            seconds = interleave({name: partial(side, splits)}, repeats, tick=tick)[name]
        few = Splits(examples, min(trials, 2 * BLOCK))
        yield {
            "method": f"{SEARCHED}, {name}" if name in PATHS else name,
            **sizes,
            "thresholds": thresholds if name in (*METHODS, BUDGET) else None,
            "trials": trials,
            "seconds": milliseconds(seconds) / 1000,
            "peak_mb": _peak(partial(side, few)) / 1e6,
            "trace_mb": held / 1e6,
            "device": f"{platform.machine()} CPU",
            "cores": len(os.sched_getaffinity(0)),
        }


def _trials(name: str, trace: Trace, grid_K: np.ndarray, splits: Splits) -> list[Trials]:
    if name == BUDGET:
        deepest = int(trace.depth_E[-1])
        budgets = np.linspace(min(2, deepest), deepest, len(LEVELS)).tolist()
        return trial(trace, Request(method=name, level=deepest), budgets, splits, grid_K)
    search = name if name in PATHS else None
    request = Request(method=SEARCHED if search else name, risk=RISK, search=search)
    return trial(trace, request, LEVELS.tolist(), splits, grid_K)


def _peak(function: Callable[[], object]) -> int:
    """Bytes."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
