"""`ee-jax data prepare NAME_OR_CONFIG`."""

import dataclasses
import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_command

CUT = 72  # characters that are shown of an example


def add(commands: Any) -> None:
    """Adds the command."""
    data = commands.add_parser("data", help="data sets").add_subparsers(
        required=True, metavar="ACTION"
    )
    text = "read a data set, check it, and show what is in it"
    command = add_command(data, "prepare", prepare, text)
    name = "a data set, a file or folder of your own rows, or a config that names them"
    command.add_argument("name", metavar="NAME_OR_CONFIG", help=name)
    command.add_argument("--manual-dir", metavar="DIR", help="where its files are, e.g. GLUE's")
    command.add_argument("--text-column", metavar="NAME", help="of your own rows: the text")
    command.add_argument("--pair-column", metavar="NAME", help="the second text of a pair")
    command.add_argument("--label-column", metavar="NAME", help="the class, or the score")
    command.add_argument("--json", action="store_true", help="print JSON")


def prepare(arguments: Namespace) -> None:
    """Builds a data set, and prints where it is and what is in it."""
    from ee_jax.data.describe import describe
    from ee_jax.data.prepared import prepare_at
    from ee_jax.display import print_line

    directory, manual_dir = _directory(arguments)
    prepare_at(directory, manual_dir)
    found = describe(directory)
    if arguments.json:
        return print(json.dumps(found))
    for line in _lines(found):
        print_line(line)


def _directory(arguments: Namespace) -> tuple[Any, str | None]:
    """Where the data set of a config file, or of the command's own arguments, is kept."""
    from ee_jax.config import Data
    from ee_jax.config.load import read
    from ee_jax.data.dataset_dir import DatasetDir
    from ee_jax.tasks.task import find_task

    given = ("manual_dir", "text_column", "pair_column", "label_column")
    fields = {name: getattr(arguments, name) for name in given if getattr(arguments, name)}
    if Path(arguments.name).suffix == ".py":
        experiment = read(Path(arguments.name))
        data: Any = dataclasses.replace(experiment.data, **fields)
        return find_task(experiment.task).directory(data), getattr(data, "manual_dir", None)
    data = Data(arguments.name, **fields)
    return DatasetDir.of(data.name, data.folder, data.columns), data.manual_dir


def _lines(found: dict[str, Any]) -> list[str]:
    rows = ", ".join(f"{split} {count:,}" for split, count in found["rows"].items())
    lines = [f"{found['folder']}: {sum(found['rows'].values()):,} rows ({rows})"]
    words = found["words"]
    lines.append(
        f"words of a training row: {words['median']:.0f} in the median, 95 % have at most "
        f"{words['p95']:.0f}, the longest {words['longest']:.0f}"
    )
    if "files" in found:
        lines.append(f"{len(found['files'])} files: {', '.join(found['files'][:20])}")
    elif "score_range" in found:
        lines.append("scores from {:g} to {:g}".format(*found["score_range"]))
    else:
        lines.append(_balance(found["classes"]))
    for pair, count in found["duplicates"].items():
        lines.append(f"duplicates: {count:,} texts are in both of {pair}")
    for example in found["examples"]:
        text = example["text"]
        shown = " ".join((text if isinstance(text, str) else " | ".join(text)).split())
        lines.append(f"  {example['label']}: {shown[:CUT]}")
    return lines


def _balance(classes: dict[str, float]) -> str:
    """The classes, the largest first."""
    ranked = sorted(classes.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in ranked[:20])
    more = f" and {len(ranked) - 20} more" if len(ranked) > 20 else ""
    return f"{len(ranked)} classes: {shares}{more}"
