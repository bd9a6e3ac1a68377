"""`ee-jax bench decode`."""

from argparse import Namespace
from typing import Any

from ee_jax.cli.bench.rows import print_rows
from ee_jax.cli.parser import add_command, number, numbers


def add(benchmarks: Any) -> None:
    """Adds the benchmark."""
    text = "decoding with exits, and self-speculation, against the static decoder"
    command = add_command(benchmarks, "decode", decode, text)
    command.add_argument("--model", default="12x768", help="blocks x width, random weights")
    command.add_argument("--batch", type=numbers, default="1,8", help="rows, e.g. 1,8")
    command.add_argument("--prompt", type=number, default=16, help="tokens a row")
    command.add_argument("--tokens", type=number, default=64, help="that follow")
    command.add_argument("--depth", type=numbers, help="blocks, e.g. 1,6,12 (default: all)")
    command.add_argument("--draft", type=number, help="blocks that draft (default: a quarter)")
    command.add_argument("--drafts", type=number, default=4, help="drafts a verifying pass")
    command.add_argument("--repeats", type=number, default=7, help="timed calls of each side")
    command.add_argument("--peer", choices=["torch"], help="time Hugging Face in torch instead")
    command.add_argument("--json", action="store_true", help="print a JSON object a row")


def decode(arguments: Namespace) -> None:
    """Times the decoders, and prints a row as soon as it is known."""
    from ee_jax.benchmarks.decode import bench_depths, bench_speculation
    from ee_jax.benchmarks.decode_load import MODELS, Load, check_load
    from ee_jax.benchmarks.decode_peer import bench_generate
    from ee_jax.display import Display

    what, depths = (arguments.model, arguments.batch), arguments.depth or ()
    load = Load(arguments.prompt, arguments.tokens)
    how = load, arguments.repeats, Display()
    drafts = 0 if arguments.peer else arguments.drafts
    check_load(*what, depths, arguments.draft, drafts, load)
    if arguments.peer:
        print_rows(bench_generate(*what, *how), arguments.json)
        return
    print_rows(bench_depths(*what, depths, *how), arguments.json)
    draft = arguments.draft or max(1, MODELS[arguments.model].blocks // 4)
    print_rows(bench_speculation(*what, draft, arguments.drafts, *how), arguments.json)
