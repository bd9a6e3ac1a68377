"""What a person sees: progress bars, a line now and then, the result; all of it made plain.

Text from outside, such as a label, a prompt or a file's name, reaches a terminal, a figure or
a page through `plain`, so that it cannot move the cursor, rename the window or hide itself.
"""

import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[..., None]

# Control characters, those that turn the direction of writing, halves of pairs, and unassigned.
UNSEEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"  # of scripts and of emoji; they only join


def plain(text: str, keep: str = "") -> str:
    r"""The text with all that is not to be seen escaped, e.g. ESC as `\x1b`.

    Args:
      text: from outside.
      keep: control characters that stay, such as a line's end.
    """
    if text.isprintable():
        return text
    return "".join(_plain(char) if char not in keep else char for char in text)


def _plain(char: str) -> str:
    if unicodedata.category(char) not in UNSEEN or char in JOINERS:
        return char
    return char.encode("unicode_escape").decode()


class Terminal(Console):
    """Rich's console, which leaves a pipe that nobody reads to whoever runs the command."""

    def on_broken_pipe(self) -> None:
        """Raises the error again, where Rich would end the process."""
        raise BrokenPipeError


class Display:
    """Writes to standard error, so that standard output is the result alone."""

    def __init__(self, quiet: bool = False):
        self._console = Terminal(file=sys.stderr, quiet=quiet, highlight=False)

    def say(self, line: str) -> None:
        """A line of text."""
        self._console.print(plain(line, "\n"), markup=False)  # brackets are part of a line

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Advance]:
        """A progress bar; call the result with what to append, once for each step done."""
        columns = (
            TextColumn("{task.description:<28}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=self._console) as progress:
            label = escape(plain(label))
            task = progress.add_task(label, total=total, completed=done, note="")

            def advance(note: str = "") -> None:
                progress.update(task, advance=1, note=escape(plain(note)))

            yield advance


SILENT = Display(quiet=True)


def print_result(renderable: Any) -> None:
    """Prints a result, such as a table, on standard output."""
    Terminal(highlight=False).print(renderable)


def print_line(line: str) -> None:
    """Prints a line on standard output; tabs separate columns and stay."""
    print(plain(line, "\t"))
