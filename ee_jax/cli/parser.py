"""What the commands share: a parser with errors of one line, and kinds of arguments."""

import argparse
import math
from collections.abc import Callable
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


def add_precision(command: Parser) -> None:
    """Adds what a model computes in."""
    text = "compute in float32 (default) or bfloat16"
    command.add_argument("--precision", metavar="NAME", default="float32", help=text)


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
