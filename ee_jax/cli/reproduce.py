"""`ee-jax reproduce STUDY --backbone WEIGHTS --tasks TASK,TASK [--seeds 0,1] [overrides]`.

`ee-jax reproduce --page FILE.md` writes what the committed results of all studies come to.
"""

import json
import shlex
import sys
from argparse import ArgumentTypeError, Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_command, check_page, real, seed
from ee_jax.errors import UserError

HELP = "`ee-jax reproduce --help`"


def add(commands: Any) -> None:
    """Adds the command."""
    text = "run a study of a paper, and put our numbers beside the paper's"
    command = add_command(commands, "reproduce", reproduce, text)
    command.set_defaults(takes_overrides=True, goes_on=True, keeps_programs=True)
    command.add_argument(
        "study",
        metavar="STUDY",
        nargs="?",
        help="a Python file with a STUDY, its folder, or the name of one in experiments/",
    )
    command.add_argument("--backbone", metavar="WEIGHTS", help="folder or name")
    command.add_argument(
        "--tasks", type=_names, default=(), help="e.g. sst2,cola (default: all)"
    )
    command.add_argument("--seeds", type=_seeds, default=(0,), help="e.g. 0,1,2 (default: 0)")
    rates = "factors of all learning rates to try first, on held-out training rows: 0.3,1,3"
    command.add_argument("--search", type=_factors, default=(), metavar="F,F", help=rates)
    command.add_argument("--manual-dir", metavar="DIR", help="where GLUE's files are")
    command.add_argument("--output", metavar="DIR", help="default: runs/<study>")
    dry = "run nothing: compile every program of the tasks' runs, as `ee-jax compile` does"
    command.add_argument("--compile", action="store_true", help=dry)
    page = "run nothing: write what the results in experiments/ come to, as a page"
    command.add_argument("--page", metavar="FILE.md", help=page)
    command.add_argument("--json", action="store_true", help="print study.json")
    command.epilog = "Overrides, as of `ee-jax run`, go to every run: --evaluation.rounds 3"


def compile_plan(study: Any, plan: Any, as_json: bool) -> None:
    """What the runs need of this machine's devices: a row a program, task by task."""
    from ee_jax.cli.compile import compile_experiment
    from ee_jax.compilation import data_mesh
    from ee_jax.reproduce.sweep import planned

    for task in plan.tasks:
        experiment = planned(study, plan, task)
        if isinstance(experiment, UserError):
            raise experiment
        compile_experiment(experiment, data_mesh(), as_json)


def write_page(arguments: Namespace) -> None:
    """Writes the page of all studies; nothing is run."""
    if arguments.study is not None or arguments.backbone is not None or arguments.overrides:
        raise UserError("--page is of all studies, and runs none: leave out all else")
    check_page(arguments.page)
    from ee_jax.atomic_io import write_text
    from ee_jax.display import print_line
    from ee_jax.reproduce.page import page, read_studies
    from ee_jax.reproduce.study import EXPERIMENTS

    found = read_studies(EXPERIMENTS)
    write_text(Path(arguments.page), page(found))
    done = sum(each.results is not None for each in found)
    if arguments.json:
        said = {each.study.name: each.results is not None for each in found}
        print(json.dumps({"page": arguments.page, "has_results": said}))
    else:
        print_line(f"{arguments.page}: {len(found)} studies, {done} of them with results")


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(",")))


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(map(seed, text.split(","))))


def _factors(text: str) -> tuple[float, ...]:
    found = tuple(dict.fromkeys(map(real, text.split(","))))
    if min(found) <= 0:
        raise ArgumentTypeError(f"{text!r} must hold numbers above 0")
    return found


def reproduce(arguments: Namespace) -> None:
    """Sweeps, writes the study's tables, figure and page; exits 1 where a run failed."""
    if arguments.page is not None:
        return write_page(arguments)
    lacks = [name for name in ("study", "backbone") if getattr(arguments, name) is None]
    if lacks:
        names = ", ".join({"study": "STUDY", "backbone": "--backbone"}[name] for name in lacks)
        raise UserError(f"the following arguments are required: {names}; see {HELP}")
    from ee_jax.reproduce.study import check_tasks, find_study

    study = find_study(arguments.study)
    tasks = arguments.tasks or study.tasks
    check_tasks(study, tasks)
    from ee_jax.display import Display, print_line, print_result
    from ee_jax.owned_folder import resolve_output
    from ee_jax.report.render import to_terminal
    from ee_jax.reproduce.comparison_table import brief
    from ee_jax.reproduce.sweep import Plan, check_plan, sweep
    from ee_jax.reproduce.write import claimed, tables, write

    plan = Plan(
        weights=arguments.backbone,
        tasks=tasks,
        seeds=arguments.seeds,
        output=resolve_output(arguments.output or Path("runs") / study.name),
        manual_dir=arguments.manual_dir,
        overrides=tuple(arguments.overrides),
        search=arguments.search,
    )
    check_plan(study, plan)
    if arguments.compile:
        return compile_plan(study, plan, arguments.json)
    with claimed(plan.output, study):
        swept = sweep(study, plan, Display())
        made = tables(study, plan.weights, swept)
        command = shlex.join(["ee-jax", *sys.argv[1:]])
        content = write(study, plan.weights, swept, made, command, plan.output)
    if arguments.json:
        print(json.dumps(content))
    else:
        left = made.pop("not_run", None)
        for name, table in made.items():
            if table.rows:
                print_result(to_terminal(brief(table) if name == "paper" else table))
        if left is not None:
            print_line(
                f"{plan.output / 'not_run.md'} says why {len(left.rows)} cells were not run."
            )
        print_line(f"{plan.output / 'report.html'} shows the whole study.")
    if swept.failed:
        done, all_runs = len(swept.finished), len(swept.finished) + len(swept.failed)
        print(f"{done} of {all_runs} runs finished", file=sys.stderr)
        sys.exit(1)
