"""What the commands share: a parser with errors of one line, and kinds of arguments."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from ee_jax.errors import UserError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage and leaving."""
        raise UserError(f"{message}; see `{self.prog} --help`")


def add_command(
    commands: Any, name: str, function: Callable, text: str, **options: Any
) -> Parser:
    """A command that calls `function` with the parsed arguments."""
    command = commands.add_parser(name, help=text, description=text, **options)
    command.set_defaults(command=function)
    return command


def add_config_command(
    commands: Any, name: str, function: Callable, text: str, usage: str, more: str
) -> Parser:
    """A command that calls `function` with a config's path, its overrides and the arguments.

    `--help` goes with the overrides: it shows the config's fields, and the command's own help
    only where no config is given.
    """

    def with_config(arguments: argparse.Namespace) -> None:
        if arguments.config is not None:
            return function(Path(arguments.config), arguments.overrides, arguments)
        if {"-h", "--help"} & set(arguments.overrides):
            return command.print_help()
        raise UserError(f"usage: {usage}; CONFIG is missing")

    options = {"add_help": False, "usage": usage, "epilog": more}
    command = add_command(commands, name, with_config, text, **options)
    command.set_defaults(takes_overrides=True)
    config = "a Python file with a get_config(), e.g. configs/quickstart.py"
    command.add_argument("config", metavar="CONFIG", nargs="?", help=config)
    return command


def add_precision(command: Parser, default: str | None = "float32") -> None:
    """Adds what a model computes in; without a default, what its run computed in."""
    text = f"compute in float32 or bfloat16 (default: {default or 'as its run, else float32'})"
    command.add_argument("--precision", metavar="NAME", default=default, help=text)


def check_page(page: str | None) -> None:
    """Raises the UserError of a page that could not be written."""
    if page and (Path(page).is_dir() or not Path(page).parent.is_dir()):
        raise UserError(f"--page {page}: give a file in a folder that is there")


DIGITS = 10  # those of 2^32; Python reads no number of thousands


def number(text: str) -> int:
    """A whole number above 0, which 31 bits hold."""
    if not text.isdecimal() or not text.strip("0"):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    if len(text) > DIGITS or int(text) >= 2**31:
        raise argparse.ArgumentTypeError(f"{text!r} is too large: give one below 2^31")
    return int(text)


def real(text: str) -> float:
    """A number that is finite."""
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise argparse.ArgumentTypeError(f"{text!r} is no finite number")
    return found


def seed(text: str) -> int:
    """A whole number that the random numbers begin with: 32 bits."""
    if not text.isdecimal() or len(text) > DIGITS or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2^32 - 1")
    return int(text)


def numbers(text: str) -> tuple[int, ...]:
    """`1,8,32` as whole numbers above 0."""
    return tuple(number(part) for part in text.split(","))
