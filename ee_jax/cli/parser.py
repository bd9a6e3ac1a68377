"""What the commands share: a parser with errors of one line, and kinds of arguments."""

import argparse
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


def number(text: str) -> int:
    """A whole number above 0."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number above 0")
    return int(text)


def seed(text: str) -> int:
    """A whole number that the random numbers begin with: 32 bits."""
    if not text.isdecimal() or int(text) >= 2**32:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 2^32 - 1")
    return int(text)


def numbers(text: str) -> tuple[int, ...]:
    """`1,8,32` as whole numbers above 0."""
    return tuple(number(part) for part in text.split(","))
