"""`ee-jax run CONFIG [--output DIR] [overrides]`."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_config_command

USAGE = "ee-jax run CONFIG [--output DIR] [--check] [--json] [overrides]"
MORE = (
    "Overrides are fields of the config with another value, e.g. --seed 1; `ee-jax run CONFIG "
    "--help` shows every field. A run that was stopped goes on when its command is given again."
)


def add(commands: Any) -> None:
    """Adds the command."""
    text = "run an experiment: train, calibrate, compile, measure, report"
    command = add_config_command(commands, "run", run, text, USAGE, MORE)
    command.set_defaults(goes_on=True, keeps_programs=True)
    command.add_argument("--output", metavar="DIR", help="default: runs/<name>")
    only = "check config, data, weights, batches and disk, print what was found, and end"
    command.add_argument("--check", action="store_true", help=only)
    command.add_argument("--json", action="store_true", help="print results.json")


def run(config: Path, overrides: list[str], arguments: Namespace) -> None:
    """Runs the experiment of a config file, and prints its table."""
    from ee_jax.config.load import load

    experiment = load(config, overrides)
    from ee_jax.display import Display, print_line, print_result
    from ee_jax.report.render import to_terminal
    from ee_jax.report.static import against_static
    from ee_jax.results import to_json
    from ee_jax.runs.run import check
    from ee_jax.runs.run import run as run_experiment
    from ee_jax.tasks.task import find_task

    output = Path(arguments.output or Path("runs") / experiment.name)
    if arguments.check:
        found = check(experiment, output, Display())
        if arguments.json:
            return print(json.dumps(found))
        for what, said in found.items():
            print_line(f"{what + ':':<12} {said}")
        return print_line(f"nothing is wrong; `{output}` was not touched")
    results = run_experiment(experiment, output, Display())
    if arguments.json:
        print(json.dumps(to_json(results)))
    else:
        print_result(to_terminal(find_task(experiment.task).report(results).tables["table"]))
        for sentence in against_static(results):
            print_line(sentence)
        print_line(f"{output / 'report.html'} shows the whole run.")
