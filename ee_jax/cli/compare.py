"""`ee-jax compare RUN RUN ...`."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_command, real


def add(commands: Any) -> None:
    """Adds the command."""
    text = "one table for several finished runs"
    command = add_command(commands, "compare", compare, text)
    lost = "quality given up, or share that perplexity may rise (default: 0.01)"
    command.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder")
    command.add_argument("--tolerance", type=real, default=0.01, help=lost)
    command.add_argument("--calibration", metavar="LABEL", help='instead, e.g. "ltt 2 %%"')
    command.add_argument("--json", action="store_true", help="print JSON")


def compare(arguments: Namespace) -> None:
    """Prints one table of several runs."""
    from ee_jax.display import print_result
    from ee_jax.report.compare import comparison
    from ee_jax.report.render import to_terminal
    from ee_jax.results import read_results

    runs = [read_results(Path(path)) for path in arguments.runs]
    table = comparison(runs, arguments.tolerance, arguments.calibration)
    if arguments.json:
        print(json.dumps({"rows": table.rows, "notes": table.notes}))
    else:
        print_result(to_terminal(table))
