"""From a trace file to a record of calibration: thresholds, their promise, and held-out trials.

A trace of any model will do:

    from ee_jax.runs.calibrate import Request, calibrate, write

    record = calibrate("trace.npz", Request(method="ltt", risk="consistency", level=0.05))
    record["choice"]["threshold"], record["choice"]["promise"], record["trials"]["risk"]
    write(record, "folder")  # the record, as a run's `calibration.record` reads it; a figure
"""

from pathlib import Path

import numpy as np
from jaxtyping import Float

from ee_jax import __version__
from ee_jax.atomic_io import write_json
from ee_jax.calibration.describe import describe, source
from ee_jax.calibration.empirical import BUDGET, SLACK
from ee_jax.calibration.request import AnyTrace, Request, answer, trial
from ee_jax.calibration.sequences import SequenceTrace, load_trace
from ee_jax.calibration.trials import Splits, Trials
from ee_jax.errors import UserError
from ee_jax.manifest import check_in_folder
from ee_jax.report.figures import save
from ee_jax.report.record import record_figure
from ee_jax.results import to_json
from ee_jax.tasks.calibrator import FORMAT, Record

__all__ = ["Request", "calibrate", "write"]


def calibrate(
    path: str | Path, request: Request, trials: int = 100, seed: int = 0, share: float = 0.5
) -> Record:
    """The record of one trace: thresholds, what they promise, and what to expect of them.

    Args:
      path: an `.npz` trace, of any model.
      request: what the thresholds must keep to.
      trials: random splits, on one part of which thresholds are chosen and on the other tried.
      seed: decides the splits.
      share: of the examples, what a trial calibrates on, between 0 and 1.

    Returns:
      The record, as plain data.

    Raises:
      UserError: the trace is none, or cannot answer the request.
    """
    check_in_folder(Path(path))
    trace = load_trace(path)
    splits = _splits(trace, request, trials, seed, share)
    choice = answer(trace, request)
    budget = request.method == BUDGET
    return {
        **FORMAT,
        "ee_jax": __version__,
        "trace": str(path),
        "header": {k: v for k, v in trace.header.items() if k not in FORMAT},
        **_shape(trace),
        "rule": request.stopping.rule,
        "min_depth": request.stopping.min_depth,
        "patience": request.stopping.patience,
        "search": request.search,
        "source": source(request.method),
        "choice": to_json(describe(choice, "loss" if budget else request.risk)),
        **_trials(trace, request, splits),
    }


def _shape(trace: AnyTrace) -> Record:
    if isinstance(trace, SequenceTrace):
        deepest = float(trace.depth_NK[:, 0].mean())
        return {"examples": len(trace.loss_NK), "exit_layers": None, "full_depth": deepest}
    layers = trace.depth_E.tolist()
    return {"examples": len(trace.loss_NE), "exit_layers": layers, "full_depth": layers[-1]}


def _splits(
    trace: AnyTrace, request: Request, trials: int, seed: int, share: float
) -> Splits | None:
    """The splits of the trials; None of too few examples to be split."""
    examples = _shape(trace)["examples"]
    if examples < (4 if request.search else 2):
        return None
    splits = Splits(examples, trials, share, seed)
    if request.search and splits.calibrated_on < 2:
        what = f"share is {share}, which calibrates on {splits.calibrated_on} example"
        raise UserError(f"{what}, and a search halves them: take a larger share")
    return splits


def _trials(trace: AnyTrace, request: Request, splits: Splits | None) -> Record:
    """What was found over random splits at the request's level, and at levels around it."""
    if splits is None:
        return {"trials": None, "levels": []}
    levels = _levels(trace, request)
    found = trial(trace, request, levels, splits)
    budget = request.method == BUDGET
    rows = [_row(level, row, budget) for level, row in zip(levels, found, strict=True)]
    at_level = rows[levels.index(request.level)]
    return {
        "trials": {
            "splits": splits.trials,
            "seed": splits.seed,
            "share": splits.share,
            "calibrated_on": splits.calibrated_on,
            "held_out": splits.held_out,
            **at_level,
        },
        "levels": rows,
    }


def _levels(trace: AnyTrace, request: Request) -> list[float]:
    """Ten levels, or budgets, and the request's own among them."""
    if request.method == BUDGET:
        deepest = _shape(trace)["full_depth"]
        around = np.linspace(min(request.level / 2, deepest), deepest, 10)
    else:
        top = min(1.0, 2 * request.level) or 0.1
        around = top * np.arange(1, 11) / 10
    near = np.isclose(around, request.level)
    return sorted({*np.round(around[~near], 6).tolist(), request.level})


def _row(level: float, trials: Trials, budget: bool) -> Record:
    """The spread over the splits, and how often the level was exceeded on the rest."""
    kept_S = trials.depth_S if budget else trials.risk_S
    lowest_S = trials.threshold_S.reshape(len(kept_S), -1).min(1)
    return {
        "level": level,
        "above_level": float(np.mean(kept_S > level + SLACK)),
        "full_model": float(np.mean(lowest_S == 1)),
        "threshold": _spread(lowest_S),
        "risk": _spread(trials.risk_S),
        "depth": _spread(trials.depth_S),
    }


def _spread(value_S: Float[np.ndarray, " S"]) -> dict[str, float]:
    names = ("p05", "p25", "median", "p75", "p95")
    spread = np.quantile(value_S, (0.05, 0.25, 0.5, 0.75, 0.95))
    return {"mean": float(value_S.mean()), **dict(zip(names, spread.tolist(), strict=True))}


def name_of(record: Record) -> str:
    """What the record's files are called, so that requests of one trace lie side by side."""
    choice = record["choice"]
    stem = Path(record["trace"]).stem
    if choice["method"] == BUDGET:
        return f"{stem}-budget-{choice['level']:g}"
    parts = [stem, choice["method"], record["search"], choice["risk"], f"{choice['level']:g}"]
    return "-".join(part for part in parts if part)


def write(record: Record, folder: str | Path | None = None) -> list[Path]:
    """Writes record and figure into the folder, or beside the trace; returns their paths."""
    folder = Path(record["trace"]).parent if folder is None else Path(folder)
    path = folder / f"{name_of(record)}.json"
    try:
        write_json(path, record)
        if record["trials"] is None:
            return [path]
        return [path, save(record_figure(record), path.with_suffix(".png"))]
    except OSError as error:
        raise UserError(f"cannot write {path} ({error}): give another output folder") from None
