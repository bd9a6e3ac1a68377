"""`ee-jax bench BENCHMARK`: what the exits cost and gain, timed side by side."""

import json
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_command, add_precision, number, numbers
from ee_jax.errors import UserError


def print_rows(rows: Iterable[dict[str, Any]], as_json: bool) -> None:
    """Prints a table with a header, or a JSON object a row."""
    for line, row in enumerate(rows):
        if as_json:
            print(json.dumps(row), flush=True)
            continue
        if line == 0:
            print("  ".join(f"{name:>14}" for name in row))
        print("  ".join(f"{_short(value):>14}" for value in row.values()), flush=True)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def add_loop(benchmarks: Any) -> None:
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


def add_train(benchmarks: Any) -> None:
    """Adds the benchmark."""
    text = "a training step with exits after every block against one with the last exit only"
    command = add_command(benchmarks, "train", train, text)
    command.add_argument("--model", default="bert-base", help="a preset: bert-base or minilm")
    command.add_argument("--batch", type=number, default=32, help="examples a step")
    command.add_argument("--seq", type=number, default=64, help="tokens")
    command.add_argument("--repeats", type=number, default=5, help="timed steps of each side")
    command.add_argument("--peer", choices=["torch"], help="time Hugging Face in torch instead")
    command.add_argument("--json", action="store_true", help="print a JSON object a row")


def train(arguments: Namespace) -> None:
    """Times the steps, and prints a row for each."""
    from ee_jax.benchmarks.train_peer import bench_train_torch
    from ee_jax.benchmarks.train_step import bench_train
    from ee_jax.display import Display

    shape = arguments.model, arguments.batch, arguments.seq
    bench = bench_train_torch if arguments.peer else bench_train
    rows = bench(*shape, arguments.repeats, Display())
    print_rows(rows, arguments.json)


def add_decode(benchmarks: Any) -> None:
    """Adds the benchmark."""
    text = "decoding with exits, and self-speculation, against the static decoder"
    command = add_command(benchmarks, "decode", decode, text)
    command.add_argument("--model", default="12x768", help="blocks x width, random weights")
    command.add_argument("--batch", type=numbers, default="1,8", help="rows, e.g. 1,8")
    command.add_argument("--prompt", type=number, default=16, help="tokens a row")
    command.add_argument("--tokens", type=number, default=64, help="that follow")
    command.add_argument("--depth", type=numbers, help="blocks, e.g. 1,6,12 (default: all)")
    command.add_argument("--every", type=number, default=1, help="blocks between two exits")
    layouts = "of the program with exits: loops, conds or nested (default: the device's)"
    command.add_argument("--layout", help=layouts)
    asked = "that exits compute on the way, e.g. max_prob, learned (default: none)"
    command.add_argument("--confidence", metavar="NAME", help=asked)
    add_precision(command)
    prompts = "time drafters on these instead: JSON Lines with a `prompt` each, for --model a "
    prompts += "language model as `ee-jax generate` takes it"
    command.add_argument("--prompts", metavar="FILE.jsonl", help=prompts)
    drafters = "with --prompts: lookup, auto, or blocks, e.g. lookup,4 (default: lookup)"
    command.add_argument("--drafters", metavar="NAMES", help=drafters)
    command.add_argument("--draft", type=number, help="blocks that draft (default: a quarter)")
    command.add_argument("--drafts", type=number, default=4, help="drafts a verifying pass")
    command.add_argument("--repeats", type=number, default=7, help="timed calls of each side")
    command.add_argument("--peer", choices=["torch"], help="time Hugging Face in torch instead")
    command.add_argument("--json", action="store_true", help="print a JSON object a row")


def decode(arguments: Namespace) -> None:
    """Times the decoders, and prints a row as soon as it is known."""
    from ee_jax.benchmarks.decode import bench_depths, bench_speculation
    from ee_jax.benchmarks.decode_peer import bench_generate
    from ee_jax.benchmarks.decode_setup import Load, Setup, check_load
    from ee_jax.display import Display

    if arguments.prompts:
        print_rows(_drafts(arguments), arguments.json)
        return
    if arguments.drafters:
        raise UserError("--drafters are timed on prompts: give --prompts FILE.jsonl")
    made = arguments.precision, arguments.layout, arguments.confidence
    setup = Setup(arguments.model, arguments.every, *made)
    what, depths = (setup, arguments.batch), arguments.depth or ()
    load = Load(arguments.prompt, arguments.tokens)
    how = load, arguments.repeats, Display()
    drafts, draft = arguments.drafts, arguments.draft or setup.draft
    if arguments.peer:
        check_load(*what, depths, arguments.draft, 0, load)
        print_rows(bench_generate(*what, *how), arguments.json)
        return
    check_load(*what, depths, draft, drafts, load)
    print_rows(bench_depths(*what, depths, *how), arguments.json)
    print_rows(bench_speculation(*what, draft, drafts, *how), arguments.json)


def _drafts(arguments: Namespace) -> Iterable[dict[str, Any]]:
    from ee_jax.benchmarks.decode_drafts import Prompts, bench_drafts, drafting, read_prompts
    from ee_jax.display import Display
    from ee_jax.inference.generator import Decoder
    from ee_jax.runs.generation.source import open_source

    path, drafters = Path(arguments.prompts), (arguments.drafters or "lookup").split(",")
    texts = read_prompts(path)
    lens = drafters != ["lookup"]
    source = open_source(arguments.model, lens, arguments.precision)
    for name in drafters:
        drafting(name, source.model.design)
    prompts = Prompts(path.stem, [source.tokenizer.encode(text).ids for text in texts])
    decoder = Decoder(source.model, stops=source.stops)
    how = arguments.batch, arguments.tokens, arguments.repeats
    return bench_drafts(decoder, prompts, drafters, *how, Display())


def add_calibrate(benchmarks: Any) -> None:
    """Adds the benchmark."""
    text = "calibration by every method: seconds and memory of its trials"
    command = add_command(benchmarks, "calibrate", calibrate, text)
    command.add_argument("--examples", type=number, default=50_000, help="of the trace")
    command.add_argument("--exits", type=number, default=12, help="of each")
    command.add_argument("--thresholds", type=number, default=100, help="candidates")
    command.add_argument("--trials", type=number, default=1000, help="random splits")
    command.add_argument("--methods", help="e.g. ltt,crc,greedy (default: every)")
    command.add_argument("--repeats", type=number, default=3, help="timed rounds")
    command.add_argument("--json", action="store_true", help="print a JSON object a row")


def calibrate(arguments: Namespace) -> None:
    """Times the methods, and prints a row as soon as it is known."""
    from ee_jax.benchmarks.calibrate import EVERY, bench_calibrate
    from ee_jax.display import Display

    methods = arguments.methods.split(",") if arguments.methods else EVERY
    shape = arguments.examples, arguments.exits, arguments.thresholds, arguments.trials
    rows = bench_calibrate(methods, *shape, arguments.repeats, Display())
    print_rows(rows, arguments.json)


BENCHMARKS = (add_loop, add_train, add_decode, add_calibrate)  # in the order of `--help`


def add(commands: Any) -> None:
    """Adds the command, and below it the benchmarks."""
    benchmarks = commands.add_parser("bench", help="benchmarks").add_subparsers(
        required=True, metavar="BENCHMARK"
    )
    for add_benchmark in BENCHMARKS:
        add_benchmark(benchmarks)
