"""The table of a paper's cells and ours."""

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.studies.beside import Beside

EVIDENCE = {"read": "", "second-hand": " (second-hand)", "from memory": " (from memory)"}


def beside_table(beside: Beside) -> Table:
    """Cell by cell: the paper's value, ours, the difference, its interval, what differs.

    Cells that have a number of ours come first.
    """
    rows = sorted(beside.rows(), key=lambda row: bool(row["not_run"]))
    title = f"{beside.study.title}: the paper's numbers, and ours"
    return Table(title, _columns(), tuple(rows), tuple(_notes(beside)))


def brief(table: Table) -> Table:
    """What was run, as narrow as a terminal; the whole table says what differs, too."""
    rows = tuple(row for row in table.rows if not row["not_run"])
    cell = Column("cell", lambda row: f"{row['method']}, {row['setting']}", is_text=True)
    left = f"{len(table.rows) - len(rows)} more rows were not run: the whole table says why."
    return Table(table.title, (TASK, cell, *VALUES), rows, (*table.notes, left))


def _columns() -> tuple[Column, ...]:
    return (
        TASK,
        Column("cell", _cell, is_text=True),
        *VALUES,
        Column("seeds", lambda row: str(row["seeds"] or text.DASH)),
        Column("95 % interval", _interval),
        Column("what differs", _said, is_text=True),
    )


def _metric(row: Row) -> str:
    return "metric not stated" if row["metric"] is None else metrics.short(row["metric"])


def _cell(row: Row) -> str:
    return ", ".join(row[key] for key in ("backbone", "method", "setting") if row[key])


def _paper(row: Row) -> str:
    shown = _numbers(row["paper_value"], row["paper_difference"], row["paper_saved"])
    return shown + EVIDENCE.get(row["evidence"], "")


def _ours(row: Row) -> str:
    saved = None if row["threshold"] == 1 else row["our_saved"]
    return _numbers(row["our_value"], row["our_difference"], saved)


def _numbers(value: float | None, difference: float | None, saved: float | None) -> str:
    """The quality and, in brackets, what it loses and what it costs: 93.0 (-0.6, -40 %)."""
    shown = text.number(value, 1)
    if saved is None:
        return shown
    return f"{shown} ({text.points(difference)}, {text.number(-saved, 0)} %)"


TASK = Column("task", lambda row: f"{row['task']}, {_metric(row)}", is_text=True)
VALUES = (
    Column("paper", _paper),
    Column("ours", _ours),
    Column("ours - paper", lambda row: text.points(row["against_paper"])),
)


def _interval(row: Row) -> str:
    if row["low"] is None:
        return text.DASH
    return f"{text.number(row['low'], 1)} to {text.number(row['high'], 1)}"


def _said(row: Row) -> str:
    return f"not run: {row['not_run']}" if row["not_run"] else ", ".join(row["differs"])


def _notes(beside: Beside) -> list[str]:
    """How to read the table, what the paper's numbers are, and what failed."""
    devices = dict.fromkeys(run.results["device"] for run in beside.swept.finished)
    on = f" on {'; '.join(devices)}, official dev sets" if devices else ""
    return [
        f"Paper: {beside.paper.title} ({beside.paper.where}, {beside.paper.url}).",
        *beside.paper.notes,
        f"Ours: {beside.weights}{on}. Beside a cell stands the setting of ours that saves most "
        "nearly as much.",
        "In brackets: points against the full model, and cost against it.",
        "Interval: bootstrap of ours, over the seeds; of a single one, over the test examples.",
        *beside.study.notes,
        *beside.swept.said(),
    ]
