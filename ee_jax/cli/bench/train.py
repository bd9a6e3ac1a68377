"""`ee-jax bench train`."""

from argparse import Namespace
from typing import Any

from ee_jax.cli.bench.rows import print_rows
from ee_jax.cli.parser import add_command, number


def add(benchmarks: Any) -> None:
    """Adds the benchmark."""
    text = "a training step with exits after every block against one with the last exit only"
    command = add_command(benchmarks, "train", train, text)
    command.add_argument("--model", default="bert-base", help="a preset: bert-base or minilm")
    command.add_argument("--batch", type=number, default=32, help="examples a step")
    command.add_argument("--seq", type=number, default=64, help="tokens")
    command.add_argument("--repeats", type=number, default=5, help="timed steps of each side")
    command.add_argument("--json", action="store_true", help="print a JSON object a row")


def train(arguments: Namespace) -> None:
    """Times the steps, and prints a row for each."""
    from ee_jax.benchmarks.train_step import bench_train
    from ee_jax.display import Display

    shape = arguments.model, arguments.batch, arguments.seq
    rows = bench_train(*shape, arguments.repeats, Display())
    print_rows(rows, arguments.json)
