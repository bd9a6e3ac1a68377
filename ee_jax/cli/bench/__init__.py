"""`ee-jax bench BENCHMARK`: one module a benchmark."""

from typing import Any

from ee_jax.cli.bench import decode, loop, train

BENCHMARKS = (loop, train, decode)  # in the order of `--help`


def add(commands: Any) -> None:
    """Adds the command, and below it the benchmarks."""
    benchmarks = commands.add_parser("bench", help="benchmarks").add_subparsers(
        required=True, metavar="BENCHMARK"
    )
    for module in BENCHMARKS:
        module.add(benchmarks)
