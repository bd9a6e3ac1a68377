"""`ee-jax check FOLDER`."""

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_command

MORE = "Exits 0 where every file is as it was written, and 1 where one is not."


def add(commands: Any) -> None:
    """Adds the command."""
    text = "whether every file of a run, or of an exported model, is as it was written"
    command = add_command(commands, "check", check, text, epilog=MORE)
    where = "a run's folder, or an exported model's"
    command.add_argument("folder", metavar="FOLDER", type=Path, help=where)
    command.add_argument("--json", action="store_true", help="print JSON")


def check(arguments: Namespace) -> None:
    """Prints what was found, and what is not as it was written."""
    from dataclasses import asdict

    from ee_jax.display import print_line
    from ee_jax.runs.inspect import inspect

    found = inspect(arguments.folder)
    if arguments.json:
        print(json.dumps(asdict(found)))
    else:
        for what, said in found.found.items():
            print_line(f"{what + ':':<12} {said}")
        for fault in found.faults:
            print_line(f"fault:       {fault}")
        if found.mend:
            print_line(f"mend:        {found.mend}")
        else:
            print_line(f"files:       as they were written ({found.kind})")
    if found.faults:
        sys.exit(1)
