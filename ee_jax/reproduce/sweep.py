"""The sweep of a study: a run for each task and seed, and what became of it."""

import traceback
from dataclasses import dataclass, replace
from pathlib import Path

from ee_jax.atomic_io import expanded
from ee_jax.calibration.trace import Trace
from ee_jax.config import Data, Experiment
from ee_jax.config.load import override
from ee_jax.display import SILENT, Display
from ee_jax.errors import UserError
from ee_jax.manifest import check_files
from ee_jax.models.files import find_weights
from ee_jax.reproduce.search import Searched, search
from ee_jax.reproduce.study import Study
from ee_jax.reproduce.swept import Failed, Finished, Swept
from ee_jax.results import Results
from ee_jax.runs.run import run


@dataclass(frozen=True)
class Plan:
    """What to sweep over, and where its files are."""

    weights: str
    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    output: Path
    manual_dir: str | None = None
    overrides: tuple[str, ...] = ()  # `--field value` pairs, for every experiment
    search: tuple[float, ...] = ()  # factors of the learning rates to try first


def check_plan(study: Study, plan: Plan) -> None:
    """Raises the UserError of a plan of which no run could be made, before any is begun."""
    found = [planned(study, plan, task) for task in plan.tasks]
    find_weights(plan.weights)
    if plan.manual_dir is not None and not expanded(plan.manual_dir).is_dir():
        raise UserError(f"no folder {plan.manual_dir}: give the one that holds GLUE's files")
    wrong = [each for each in found if isinstance(each, UserError)]
    if len(wrong) == len(found):
        raise wrong[0]


def sweep(study: Study, plan: Plan, display: Display = SILENT) -> Swept:
    """Runs whatever has not finished, into `<output>/<task>/seed_<seed>`.

    A run that fails leaves its reason and the others go on; a second sweep tries it again.

    Raises:
        UserError: an override that is none, before anything is run.
    """
    experiments = {task: planned(study, plan, task) for task in plan.tasks}
    finished, failed, searched = [], [], []
    for task, experiment in experiments.items():
        try:
            experiment = _ready(plan, task, experiment, searched, display)
        except Exception as error:  # whatever it is, the other tasks go on
            reason = _told(error, display)
            failed += [Failed(task, seed, reason) for seed in plan.seeds]
            continue
        for seed in plan.seeds:
            display.say(f"{study.name}: {task}, seed {seed}")
            folder = plan.output / task / f"seed_{seed}"
            try:
                results = run(replace(experiment, seed=seed), folder, display)
                finished.append(Finished(task, seed, results, _traces(folder, results)))
            except Exception as error:  # whatever it is, the other runs go on
                failed.append(Failed(task, seed, _told(error, display)))
    return Swept(tuple(finished), tuple(failed), tuple(searched))


def _ready(
    plan: Plan,
    task: str,
    experiment: Experiment | UserError,
    searched: list[Searched],
    display: Display,
) -> Experiment:
    """The experiment of a task with the rates that a search found, if one is asked for."""
    if isinstance(experiment, UserError):
        raise experiment
    if not plan.search:
        return experiment
    first, folder = plan.seeds[0], plan.output / task / "search"
    found = search(task, replace(experiment, seed=first), plan.search, folder, display)
    searched.append(found)
    return found.applied(experiment)


def planned(study: Study, plan: Plan, task: str) -> Experiment | UserError:
    """The experiment of a task; or what is wrong with the weights, if it needs to know them."""
    try:
        found = study.experiment(task, plan.weights)
    except UserError as error:
        return error
    experiment = override(found, plan.overrides)
    data = experiment.data
    if plan.manual_dir is None or not isinstance(data, Data):
        return experiment
    return replace(experiment, data=replace(data, manual_dir=plan.manual_dir))


def _traces(folder: Path, results: Results) -> dict[str, Trace]:
    names = {name: f"{name}/traces/test.npz" for name in results.strategies}
    check_files(folder, f"delete {folder} and run again", names.values())
    return {name: Trace.load(folder / path) for name, path in names.items()}


def _reason(error: Exception) -> str:
    line = " ".join(str(error).split())
    return line if isinstance(error, UserError) else f"{type(error).__name__}: {line:.200}"


def _told(error: Exception, display: Display) -> str:
    """The reason, which is shown too; of an error that is nobody's fault with its traceback."""
    if not isinstance(error, UserError):
        display.say(traceback.format_exc())
    reason = _reason(error)
    display.say(f"  failed: {reason}")
    return reason
