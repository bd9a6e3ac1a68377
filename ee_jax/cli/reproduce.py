"""`ee-jax reproduce STUDY --backbone WEIGHTS --tasks TASK,TASK [--seeds 0,1] [overrides]`."""

import json
import shlex
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_command, seed


def add(commands: Any) -> None:
    """Adds the command."""
    text = "run a study of a paper, and put our numbers beside the paper's"
    command = add_command(commands, "reproduce", reproduce, text)
    command.set_defaults(takes_overrides=True, goes_on=True, keeps_programs=True)
    command.add_argument(
        "study",
        metavar="STUDY",
        help="a Python file with a STUDY, its folder, or the name of one in experiments/",
    )
    command.add_argument("--backbone", required=True, metavar="WEIGHTS", help="folder or name")
    command.add_argument(
        "--tasks", type=_names, default=(), help="e.g. sst2,cola (default: all)"
    )
    command.add_argument("--seeds", type=_seeds, default=(0,), help="e.g. 0,1,2 (default: 0)")
    command.add_argument("--manual-dir", metavar="DIR", help="where GLUE's files are")
    command.add_argument("--output", metavar="DIR", help="default: runs/<study>")
    command.add_argument("--json", action="store_true", help="print study.json")
    command.epilog = "Overrides, as of `ee-jax run`, go to every run: --evaluation.rounds 3"


def _names(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(",")))


def _seeds(text: str) -> tuple[int, ...]:
    return tuple(dict.fromkeys(map(seed, text.split(","))))


def reproduce(arguments: Namespace) -> None:
    """Sweeps, writes the study's tables, figure and page; exits 1 where a run failed."""
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
    )
    check_plan(study, plan)
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
