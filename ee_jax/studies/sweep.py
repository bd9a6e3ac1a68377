"""The sweep of a study: a run for each task and seed, and what became of it."""

import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from ee_jax.calibration.trace import Trace
from ee_jax.config import Experiment
from ee_jax.config.load import override
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.report.results import Results
from ee_jax.runs.run import run
from ee_jax.studies.outcome import Failed, Finished, Swept
from ee_jax.studies.study import Study


@dataclass(frozen=True)
class Plan:
    """What to sweep over, and where its files are."""

    weights: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    output: Path
    manual_dir: str | None = None
    overrides: tuple[str, ...] = ()  # `--field value` pairs, for every experiment


def experiments(study: Study, plan: Plan) -> dict[tuple[str, int], Experiment]:
    """The experiment of every task and seed; one that is no valid config raises UserError."""
    found = {}
    for task in plan.tasks:
        planned = override(study.experiment(task, plan.weights), plan.overrides)
        data = replace(planned.data, manual_dir=plan.manual_dir or planned.data.manual_dir)
        for seed in plan.seeds:
            found[task, seed] = replace(planned, seed=seed, data=data)
    return found


def sweep(study: Study, plan: Plan, display: Display = SILENT) -> Swept:
    """Runs whatever has not finished, into `<output>/<task>/seed_<seed>`.

    A run that fails leaves its reason and the others go on; a second sweep tries it again.
    """
    finished, failed = [], []
    for (task, seed), experiment in experiments(study, plan).items():
        display.say(f"{study.name}: {task}, seed {seed}")
        folder = plan.output / task / f"seed_{seed}"
        try:
            results = run(experiment, folder, display)
            finished.append(Finished(task, seed, results, _traces(folder, results)))
        except Exception as error:  # whatever it is, the other runs go on
            if not isinstance(error, UserError):
                display.say(traceback.format_exc())
            failed.append(Failed(task, seed, _reason(error)))
            display.say(f"  failed: {failed[-1].reason}")
    return Swept(tuple(finished), tuple(failed))


def _traces(folder: Path, results: Results) -> dict[str, Trace]:
    return {
        name: Trace.load(folder / name / "traces" / "test.npz")
        for name in results["strategies"]
    }


def _reason(error: Exception) -> str:
    line = " ".join(str(error).split())
    return line if isinstance(error, UserError) else f"{type(error).__name__}: {line:.200}"
