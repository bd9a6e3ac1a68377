"""`ee-jax calibrate TRACE`."""

import json
import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from typing import Any

from ee_jax.cli.parser import add_command, number, real, seed
from ee_jax.errors import UserError

PROMISES = """\
risks, 0 for the full model:
  consistency      1 where an exit answers unlike the full model, else 0
  gap              max(0, loss - the full model's loss), in [0, 1]
  signed_gap       loss - the full model's loss, in [-1, 1]: better answers make up for worse
methods, and what they promise of examples like those of the trace:
  ltt, ucb, ltt_hoeffding   mean risk above the level with a chance of at most delta, of any
                            risk; a signed one is tested as (risk + 1) / 2 in [0, 1]
  clopper_pearson           the same, of risks of 0 or 1 alone
  crc                       mean risk at most the level, in the mean over calibration sets, of
                            any risk: judges each example's largest loss so far
  crc_paper                 the same on losses as they are; nothing where an example's loss
                            falls as the threshold does
  conformal                 at most the level of examples with a bad exit stop at one, in the
  conformal_per_exit        mean over calibration sets; of risks of 0 or 1 alone
  empirical, naive          nothing; the walk ends at the first failure, or goes on to the
                            smallest threshold that passes
"""


def add(commands: Any) -> None:
    """Adds the command."""
    text = "thresholds that keep to a level, from a trace: the record and a figure"
    raw = RawDescriptionHelpFormatter
    command = add_command(
        commands, "calibrate", calibrate, text, epilog=PROMISES, formatter_class=raw
    )
    command.add_argument("trace", metavar="TRACE", help="an .npz, of any model")
    how = command.add_mutually_exclusive_group()
    how.add_argument("--method", default="ltt", help="how they are found, see below")
    how.add_argument("--depth", type=real, help="keep to this mean depth, not to a risk")
    command.add_argument("--risk", default="consistency", help="what is kept low, see below")
    command.add_argument("--level", type=real, help="risk allowed (default: 0.05)")
    command.add_argument("--delta", type=real, default=0.05, help="chance of more than that")
    command.add_argument("--per-exit", metavar="SEARCH", help="greedy or pareto")
    command.add_argument("--min-depth", type=int, default=1, help="blocks that always run")
    command.add_argument("--patience", type=int, default=0, help="equal answers in a row")
    command.add_argument("--trials", type=number, default=100, help="random splits")
    command.add_argument("--share", type=real, default=0.5, help="of them, to calibrate on")
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
    how = arguments.trials, arguments.seed, arguments.share
    record = story.calibrate(arguments.trace, request, *how)
    paths = story.write(record, arguments.output)
    if arguments.json:
        print(json.dumps(record))
    else:
        print_result(to_terminal(record_table(record)))
    print(*paths, sep="\n", file=sys.stderr)
