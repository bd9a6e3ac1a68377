"""`ee-jax calibrate TRACE`."""

import json
import sys
from argparse import Namespace
from typing import Any

from ee_jax.cli.parser import add_command, number, seed
from ee_jax.errors import UserError


def add(commands: Any) -> None:
    """Adds the command."""
    text = "thresholds that keep to a level, from a trace: the record and a figure"
    command = add_command(commands, "calibrate", calibrate, text)
    command.add_argument("trace", metavar="TRACE", help="an .npz, of any model")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--method", default="ltt", help="e.g. ltt, ucb, crc, conformal, empirical")
    how.add_argument("--depth", type=float, help="keep to this mean depth, not to a risk")
    command.add_argument("--risk", default="consistency", help="consistency or gap")
    command.add_argument("--level", type=float, help="risk allowed (default: 0.05)")
    command.add_argument("--delta", type=float, default=0.05, help="chance of more than that")
    command.add_argument("--per-exit", metavar="SEARCH", help="greedy or pareto")
    command.add_argument("--min-depth", type=int, default=1, help="blocks that always run")
    command.add_argument("--patience", type=int, default=0, help="equal answers in a row")
    command.add_argument("--trials", type=number, default=100, help="random splits")
    command.add_argument("--seed", type=seed, default=0, help="of the splits")
    command.add_argument("--output", metavar="DIR", help="default: beside the trace")
    command.add_argument("--json", action="store_true", help="print the record")


def calibrate(arguments: Namespace) -> None:
    """Chooses thresholds from a trace; writes and prints the record."""
    from ee_jax.display import print_result
    from ee_jax.exits.stopping import Stopping
    from ee_jax.report.record import record_table
    from ee_jax.report.render import to_terminal
    from ee_jax.runs import calibrate as story

    budget = arguments.depth is not None
    if budget and arguments.level is not None:
        raise UserError("--depth keeps to a number of blocks: leave out --level")
    level = 0.05 if arguments.level is None else arguments.level
    request = story.Request(
        method="budget" if budget else arguments.method,
        risk=arguments.risk,
        level=arguments.depth if budget else level,
        delta=arguments.delta,
        search=arguments.per_exit,
        stopping=Stopping(min_depth=arguments.min_depth, patience=arguments.patience),
    )
    record = story.calibrate(arguments.trace, request, arguments.trials, arguments.seed)
    paths = story.write(record, arguments.output)
    if arguments.json:
        print(json.dumps(record))
    else:
        print_result(to_terminal(record_table(record)))
    print(*paths, sep="\n", file=sys.stderr)
