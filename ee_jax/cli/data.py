"""`ee-jax data prepare NAME`."""

import json
from argparse import Namespace
from typing import Any

from ee_jax.cli.parser import add_command


def add(commands: Any) -> None:
    """Adds the command."""
    data = commands.add_parser("data", help="data sets").add_subparsers(
        required=True, metavar="ACTION"
    )
    command = add_command(data, "prepare", prepare, "build a data set, and check it")
    command.add_argument("name", metavar="NAME")
    command.add_argument("--manual-dir", metavar="DIR", help="where its files are, e.g. GLUE's")
    command.add_argument("--json", action="store_true", help="print JSON")


def prepare(arguments: Namespace) -> None:
    """Builds a data set, and prints where it is and how many rows it has."""
    from ee_jax.data.prepared import prepare as prepare_data

    prepared = prepare_data(arguments.name, manual_dir=arguments.manual_dir)
    rows = {split: tally.rows for split, tally in prepared.splits.items()}
    if arguments.json:
        print(json.dumps({"folder": str(prepared.folder), "rows": rows}))
    else:
        counts = ", ".join(f"{split} {count:,}" for split, count in rows.items())
        print(f"{prepared.folder}: {sum(rows.values()):,} rows ({counts})")
