"""The command `ee-jax`: parse and dispatch. Heavy imports wait until a command needs them."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ee_jax import __version__
from ee_jax.errors import UserError


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs a command; exits 0 on success and 2, with one line, on a user's error."""
    try:
        known, rest = _parser().parse_known_args(arguments)
        if rest and known.command is not run:
            _parser().error(f"unrecognized arguments: {' '.join(rest)}")
        known.command(known, rest)
    except UserError as error:
        print(f"ee-jax: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("ee-jax: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage and leaving."""
        raise UserError(f"{message}; see `{self.prog} --help`")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="ee-jax",
        description="Early exit in transformers: train exits, choose thresholds, measure.",
    )
    parser.add_argument("--version", action="version", version=f"ee-jax {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_compare(commands)
    _add_calibrate(commands)
    _add_data(commands)
    _add_bench(commands)
    return parser


def _command(commands: Any, name: str, function: Callable, text: str) -> Any:
    command = commands.add_parser(name, help=text, description=text)
    command.set_defaults(command=function)
    return command


def _add_run(commands: Any) -> None:
    text = "run an experiment: train, calibrate, compile, measure, report"
    # `--help` goes with the overrides: it shows the config's fields.
    command = commands.add_parser("run", help=text, description=text, add_help=False)
    command.set_defaults(command=run)
    command.add_argument("config", metavar="CONFIG", nargs="?", help="a Python file")
    command.add_argument("--output", metavar="DIR", help="default: runs/<name>")
    command.add_argument("--json", action="store_true", help="print results.json")


def _add_compare(commands: Any) -> None:
    command = _command(commands, "compare", compare, "one table for several finished runs")
    command.add_argument("runs", nargs="+", metavar="RUN", help="a run's folder")
    command.add_argument("--tolerance", type=float, default=0.01, help="accuracy given up")
    command.add_argument("--calibration", metavar="LABEL", help='instead, e.g. "ltt 2 %%"')
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_calibrate(commands: Any) -> None:
    text = "thresholds that keep to a level, from a trace: the record and a figure"
    command = _command(commands, "calibrate", calibrate, text)
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
    command.add_argument("--trials", type=_number, default=100, help="random splits")
    command.add_argument("--seed", type=int, default=0, help="of the splits")
    command.add_argument("--output", metavar="DIR", help="default: beside the trace")
    command.add_argument("--json", action="store_true", help="print the record")


def _add_data(commands: Any) -> None:
    data = commands.add_parser("data", help="data sets").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = _command(data, "prepare", prepare, "build a data set, and check it")
    command.add_argument("name", metavar="NAME")
    command.add_argument("--manual-dir", metavar="DIR", help="where its files are, e.g. GLUE's")
    command.add_argument("--json", action="store_true", help="print JSON")


def _add_bench(commands: Any) -> None:
    bench = commands.add_parser("bench", help="benchmarks").add_subparsers(
        required=True, metavar="BENCHMARK"
    )
    text = "the early-exit program against the static one, at every depth"
    command = _command(bench, "loop", bench_loop, text)
    command.add_argument("--model", default="bert-base", help="a preset: bert-base or minilm")
    command.add_argument("--seq", type=_numbers, default="64", help="tokens, e.g. 64")
    command.add_argument("--batch", type=_numbers, default="1,8,32", help="e.g. 1,8,32")
    command.add_argument("--depth", type=_numbers, help="blocks, e.g. 1,6,12 (default: all)")
    command.add_argument("--repeats", type=_number, default=7, help="timed calls of each side")
    command.add_argument("--mixed", action="store_true", help="time mixed depths instead")
    command.add_argument("--peer", choices=["torch"], help="time Hugging Face in torch instead")
    command.add_argument("--json", action="store_true", help="print a JSON object a row")


def _numbers(text: str) -> tuple[int, ...]:
    """`1,8,32` as numbers."""
    return tuple(_number(part) for part in text.split(","))


def _number(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def run(arguments: argparse.Namespace, overrides: Sequence[str]) -> None:
    """`ee-jax run CONFIG [--output DIR] [overrides]`."""
    if arguments.config is None:
        raise UserError(
            "usage: ee-jax run CONFIG [--output DIR] [overrides]; CONFIG is missing"
        )
    from ee_jax.config.load import load

    experiment = load(Path(arguments.config), overrides)
    from ee_jax.display import Display, print_result
    from ee_jax.report.render import to_terminal
    from ee_jax.report.tables import speed_table
    from ee_jax.runs.run import run as run_experiment

    output = Path(arguments.output or Path("runs") / experiment.name)
    results = run_experiment(experiment, output, Display())
    if arguments.json:
        print(json.dumps(results))
    else:
        print_result(to_terminal(speed_table(results)))
        print(f"{output / 'report.html'} shows the whole run.")


def compare(arguments: argparse.Namespace, _: Sequence[str]) -> None:
    """`ee-jax compare RUN RUN ...`."""
    from ee_jax.display import print_result
    from ee_jax.report.compare import comparison
    from ee_jax.report.render import to_terminal
    from ee_jax.runs.folder import read_results

    runs = [read_results(Path(path)) for path in arguments.runs]
    table = comparison(runs, arguments.tolerance, arguments.calibration)
    if arguments.json:
        print(json.dumps({"rows": table.rows, "notes": table.notes}))
    else:
        print_result(to_terminal(table))


def calibrate(arguments: argparse.Namespace, _: Sequence[str]) -> None:
    """`ee-jax calibrate TRACE`."""
    from ee_jax.display import print_result
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
        min_depth=arguments.min_depth,
        patience=arguments.patience,
    )
    record = story.calibrate(arguments.trace, request, arguments.trials, arguments.seed)
    paths = story.write(record, arguments.output)
    if arguments.json:
        print(json.dumps(record))
    else:
        print_result(to_terminal(record_table(record)))
    print(*paths, sep="\n", file=sys.stderr)


def prepare(arguments: argparse.Namespace, _: Sequence[str]) -> None:
    """`ee-jax data prepare NAME`."""
    from ee_jax.data.prepared import prepare as prepare_data

    prepared = prepare_data(arguments.name, manual_dir=arguments.manual_dir)
    rows = {split: tally.rows for split, tally in prepared.splits.items()}
    if arguments.json:
        print(json.dumps({"folder": str(prepared.folder), "rows": rows}))
    else:
        counts = ", ".join(f"{split} {count:,}" for split, count in rows.items())
        print(f"{prepared.folder}: {sum(rows.values()):,} rows ({counts})")


def bench_loop(arguments: argparse.Namespace, _: Sequence[str]) -> None:
    """`ee-jax bench loop`."""
    from ee_jax.display import Display
    from ee_jax.evaluation.bench_loop import bench_depths, bench_mixed
    from ee_jax.evaluation.bench_peer import bench_torch

    shape = arguments.model, arguments.seq, arguments.batch
    if arguments.peer:
        rows = bench_torch(*shape, arguments.repeats, Display())
    elif arguments.mixed:
        rows = bench_mixed(*shape, arguments.repeats, Display())
    else:
        rows = bench_depths(*shape, arguments.depth or (), arguments.repeats, Display())
    for number, row in enumerate(rows):
        if arguments.json:
            print(json.dumps(row), flush=True)
            continue
        if number == 0:
            print("  ".join(f"{name:>14}" for name in row))
        print("  ".join(f"{_short(value):>14}" for value in row.values()), flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
