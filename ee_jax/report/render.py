"""A table of rows, and the same rows as Markdown, CSV and in the terminal."""

import csv
import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import rich.box
import rich.table
from rich.console import Console
from rich.text import Text

from ee_jax.display import plain
from ee_jax.report.text import NO_GAIN, is_known

Row = Mapping[str, Any]  # scalars, lists of them; every row of a table has the same keys


@dataclass(frozen=True)
class Column:
    """One column as a reader sees it."""

    heading: str
    show: Callable[[Row], str]
    is_text: bool = False  # text is set left, numbers right
    spare: int = 0  # left out of a narrow terminal, the largest first; 0: never


@dataclass(frozen=True)
class Table:
    """Raw rows, the columns that show them, and what must be said beside them."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def cells(self) -> list[list[str]]:
        """The rows as text."""
        return [[column.show(row) for column in self.columns] for row in self.rows]


def to_markdown(table: Table) -> str:
    """A Markdown table that is also aligned as plain text, then its notes."""
    lines = [[column.heading for column in table.columns], *table.cells()]
    lines = [[_escape(cell) for cell in line] for line in lines]
    widths = [max(3, *map(len, cells)) for cells in zip(*lines, strict=True)]
    text = [_line(table, line, widths) for line in lines]
    text.insert(1, _rule(table, widths))
    notes = [f"\n{_escape(note)}" for note in table.notes]
    return "\n".join([*text, *notes]) + "\n"


def _escape(cell: str) -> str:
    escaped = cell.translate({ord("|"): "\\|", ord("<"): "&lt;", ord("\n"): " "})
    return plain(escaped)


def _line(table: Table, cells: list[str], widths: list[int]) -> str:
    pairs = zip(table.columns, cells, widths, strict=True)
    padded = [cell.ljust(w) if column.is_text else cell.rjust(w) for column, cell, w in pairs]
    return f"| {' | '.join(padded)} |"


def _rule(table: Table, widths: list[int]) -> str:
    pairs = zip(table.columns, widths, strict=True)
    return f"| {' | '.join('-' * w if c.is_text else '-' * (w - 1) + ':' for c, w in pairs)} |"


def to_csv(table: Table) -> str:
    """The raw rows; what could not be computed is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    if table.rows:
        writer.writerow(table.rows[0])
    writer.writerows([_raw(value) for value in row.values()] for row in table.rows)
    return text.getvalue()


def _raw(value: object) -> object:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return "" if isinstance(value, float) and not is_known(value) else value


def to_terminal(table: Table, width: int | None = None) -> rich.table.Table:
    """A table for `rich.print`, without the columns that its width has no room for.

    Where those that can be spared are not enough, text that all rows share is said below.

    Args:
      table: its text wraps between words, and never inside one.
      width: characters of a line; None: those of the terminal.
    """
    width = width or Console().width
    shown = with_room(table, width)
    notes = [*table.notes, *_said_once(table, shown)]
    drawn = rich.table.Table(
        title=Text(plain(table.title), style="bold"),
        title_justify="left",
        caption=Text("\n".join(map(plain, notes))),
        caption_justify="left",
        box=rich.box.SIMPLE_HEAD,
        padding=0,
        show_edge=False,
        show_header=any(column.heading for column in table.columns),
    )
    for column, own in zip(shown, _widths(shown, table, width), strict=True):
        _add_column(drawn, column, own)
    for row in table.rows:
        drawn.add_row(*(_cell(column.show(row)) for column in shown))
    return drawn


def _cell(cell: str) -> Text:
    """What is no gain is dim, and on a line of its own."""
    return Text(
        plain(cell).replace(f", {NO_GAIN}", f"\n{NO_GAIN}"), style="dim" * (NO_GAIN in cell)
    )


def with_room(table: Table, width: int) -> list[Column]:
    """The columns, without those that can be spared where not all words fit."""
    shown = list(table.columns)
    sparable = sorted((c for c in shown if c.spare), key=lambda c: c.spare, reverse=True)
    for column in (*sparable, *(c for c in shown if _is_shared(c, table))):
        if sum(_least(each, table) + 1 for each in shown) - 1 <= width:
            break
        if column in shown:
            shown.remove(column)
    return shown


def _is_shared(column: Column, table: Table) -> bool:
    """Whether a column has one text for all of several rows."""
    several = len(table.rows) > 1
    return column.is_text and several and len({*map(column.show, table.rows)}) == 1


def _said_once(table: Table, shown: Sequence[Column]) -> list[str]:
    """A note of what all rows share and no column shows."""
    hidden = [c for c in table.columns if c not in shown and _is_shared(c, table)]
    shared = [f"{column.heading} {column.show(table.rows[0])}" for column in hidden]
    return [f"In all rows: {', '.join(shared)}."] if shared else []


def _heading(column: Column) -> list[str]:
    """Lines of a narrow heading."""
    return textwrap.wrap(column.heading, 8, break_long_words=False, break_on_hyphens=False)


def _least(column: Column, table: Table) -> int:
    """Characters of the longest part that cannot be wrapped."""
    cells = [_cell(column.show(row)).plain for row in table.rows]
    parts = [
        part
        for cell in cells
        for part in (cell.split() if column.is_text else cell.split("\n"))
    ]
    return max(map(len, [*_heading(column), *parts]), default=1)


def _widths(shown: Sequence[Column], table: Table, width: int) -> list[int]:
    """Of each column: its longest part, and what room there is for text that would wrap.

    Left to itself, rich may give text a character more than there is, and cut off the end.
    """
    least = [_least(column, table) for column in shown]
    room = width - sum(least) - len(least) + 1
    widths = []
    for column, own in zip(shown, least, strict=True):
        cells = [_cell(column.show(row)).plain for row in table.rows]
        more = max((len(line) - own for cell in cells for line in cell.split("\n")), default=0)
        more = max(0, min(room, more))
        room -= more
        widths.append(own + more)
    return widths


def _add_column(drawn: rich.table.Table, column: Column, width: int) -> None:
    """A narrow heading; where the terminal is narrow too, text wraps and numbers do not."""
    drawn.add_column(
        Text("\n".join(_heading(column))),
        width=width,
        justify="left" if column.is_text else "right",
        no_wrap=not column.is_text,
        overflow="fold",
        vertical="bottom",
    )
