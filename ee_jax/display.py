"""What a person sees of long work: progress bars, a line now and then, the result."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

Advance = Callable[..., None]


class Display:
    """Writes to standard error, so that standard output is the result alone."""

    def __init__(self, quiet: bool = False):
        self._console = Console(file=sys.stderr, quiet=quiet, highlight=False)

    def say(self, line: str) -> None:
        """A line of text."""
        self._console.print(line, markup=False)  # brackets are part of a line

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
            task = progress.add_task(label, total=total, completed=done, note="")

            def advance(note: str = "") -> None:
                progress.update(task, advance=1, note=note)

            yield advance


SILENT = Display(quiet=True)


def print_result(renderable: Any) -> None:
    """Prints a result, such as a table, on standard output."""
    Console(highlight=False).print(renderable)
