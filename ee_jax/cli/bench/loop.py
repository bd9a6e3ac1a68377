"""`ee-jax bench loop`."""

from argparse import Namespace
from typing import Any

from ee_jax.cli.bench.rows import print_rows
from ee_jax.cli.parser import add_command, number, numbers


def add(benchmarks: Any) -> None:
    """Adds the benchmark."""
    text = "the early-exit program against the static one, at every depth"
    command = add_command(benchmarks, "loop", loop, text)
    command.add_argument("--model", default="bert-base", help="a preset: bert-base or minilm")
    command.add_argument("--seq", type=numbers, default="64", help="tokens, e.g. 64")
    command.add_argument("--batch", type=numbers, default="1,8,32", help="e.g. 1,8,32")
    command.add_argument("--depth", type=numbers, help="blocks, e.g. 1,6,12 (default: all)")
    command.add_argument("--repeats", type=number, default=7, help="timed calls of each side")
    command.add_argument("--mixed", action="store_true", help="time mixed depths instead")
    command.add_argument("--peer", choices=["torch"], help="time Hugging Face in torch instead")
    command.add_argument("--json", action="store_true", help="print a JSON object a row")


def loop(arguments: Namespace) -> None:
    """Times the loop, and prints a row as soon as it is known."""
    from ee_jax.benchmarks.exit_loop import bench_depths, bench_mixed
    from ee_jax.benchmarks.loop_peer import bench_torch
    from ee_jax.display import Display

    shape = arguments.model, arguments.seq, arguments.batch
    if arguments.peer:
        rows = bench_torch(*shape, arguments.repeats, Display())
    elif arguments.mixed:
        rows = bench_mixed(*shape, arguments.repeats, Display())
    else:
        rows = bench_depths(*shape, arguments.depth or (), arguments.repeats, Display())
    print_rows(rows, arguments.json)
