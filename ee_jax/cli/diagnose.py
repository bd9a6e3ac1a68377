"""`ee-jax diagnose MODEL --text FILE_OR_DIR`: of a language model, or of a classifier."""

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from ee_jax.cli.parser import add_command, add_precision, check_page, number


def add(commands: Any) -> None:
    """Adds the command."""
    text = "what early exit could buy on a model as it is, before anything is trained"
    command = add_command(commands, "diagnose", diagnose, text)
    command.set_defaults(keeps_programs=True)
    source = (
        "a language model: a folder, a .gguf or llama2.c file, a package, or owner/name on "
        "the Hub; or a classifier: a run, or an exported model"
    )
    command.add_argument("model", metavar="MODEL", help=source)
    where = (
        "of a language model a file or folder (.txt, .txt.gz, .jsonl); of a classifier a "
        "text a line, or a table"
    )
    command.add_argument("--text", required=True, metavar="PATH", help=where)
    command.add_argument(
        "--tokens", type=number, default=4096, metavar="N", help="to predict (default: 4096)"
    )
    length = "tokens of a row (default: 512, or the model's context)"
    command.add_argument("--length", type=number, metavar="N", help=length)
    command.add_argument(
        "--batch", type=number, default=1, metavar="N", help="rows at a time (default: 1)"
    )
    timing = "rounds in which what stops at each exit is timed (default: 0, none)"
    command.add_argument("--clock", type=number, default=0, metavar="N", help=timing)
    add_precision(command, default=None)
    command.add_argument("--page", metavar="FILE.html", help="write tables and a figure")
    command.add_argument("--json", action="store_true", help="print everything as JSON")


def diagnose(arguments: Namespace) -> None:
    """Prints tables and a verdict, or one JSON object."""
    check_page(arguments.page)
    from ee_jax.display import Display, print_result
    from ee_jax.report import diagnosis
    from ee_jax.runs.diagnose import diagnose as run
    from ee_jax.runs.scanned import Request

    asked = ("model", "text", "tokens", "length", "batch", "precision", "clock")
    display = Display()
    record = run(Request(**{name: getattr(arguments, name) for name in asked}), display)
    if arguments.json:
        print(json.dumps(record))
    else:
        print_result(diagnosis.summary(record))
    if arguments.page:
        from ee_jax.atomic_io import write_text

        write_text(Path(arguments.page), diagnosis.page(record))
        display.say(arguments.page)
