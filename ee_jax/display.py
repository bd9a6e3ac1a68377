"""What a person sees: progress bars, a line now and then, the result; all of it made plain.

Text from outside, such as a label, a prompt or a file's name, reaches a terminal, a figure or
a page through `plain`, so that it cannot move the cursor, rename the window or hide itself.
"""

import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
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
    """Writes to standard error, so that standard output is the result alone.

    Args:
      quiet: writes nothing.
      every: seconds between the lines that stand for a bar where there is no terminal, as in a
        log file.
    """

    def __init__(self, quiet: bool = False, every: float = 60.0):
        self._console = Terminal(file=sys.stderr, quiet=quiet, highlight=False)
        self._every = every

    def say(self, line: str) -> None:
        """A line of text."""
        self._console.print(plain(line, "\n"), markup=False)  # brackets are part of a line

    @contextmanager
    def bar(self, label: str, total: int, done: int = 0) -> Iterator[Advance]:
        """A progress bar; call the result with what to append, once for each step done."""
        if not self._console.is_terminal:
            lines = _Lines(self.say, label, total, done, self._every)
            yield lines
            return lines.end()
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


class _Lines:
    """Progress as a line now and then, and one at the end."""

    def __init__(
        self, say: Callable[[str], None], label: str, total: int, done: int, every: float
    ):
        self._say, self._label, self._total, self._every = say, label, total, every
        self._done = self._before = done
        self._began = self._said = time.monotonic()
        self._note = ""

    def __call__(self, note: str = "") -> None:
        self._done, self._note = self._done + 1, note
        if time.monotonic() - self._said >= self._every and self._done < self._total:
            self._line()

    def end(self) -> None:
        """What it came to."""
        if self._done > self._before:
            self._line()

    def _line(self) -> None:
        self._said = time.monotonic()
        passed, left = self._said - self._began, ""
        if self._done < self._total:
            rest = passed * (self._total - self._done) / (self._done - self._before)
            left = f", {_clock(rest)} left"
        told = f"{self._done}/{self._total} {_clock(passed)}{left} {self._note}"
        self._say(f"{self._label:<28} {told.rstrip()}")


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


SILENT = Display(quiet=True)


def print_result(renderable: Any) -> None:
    """Prints a result, such as a table, on standard output."""
    Terminal(highlight=False).print(renderable)


def print_line(line: str) -> None:
    """Prints a line on standard output; tabs separate columns and stay."""
    print(plain(line, "\t"))
