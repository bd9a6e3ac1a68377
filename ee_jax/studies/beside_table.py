"""The table of a paper's cells and ours."""

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.studies.beside import Beside

EVIDENCE = {"read": "", "second-hand": " (second-hand)", "from memory": " (from memory)"}


def beside_table(beside: Beside) -> Table:
    """Cell by cell: the paper's value, ours, the difference, its interval, what differs."""
    title = f"{beside.study.title}: the paper's numbers, and ours"
    return Table(title, _columns(), tuple(beside.rows()), tuple(_notes(beside)))


def _columns() -> tuple[Column, ...]:
    return (
        Column("task", lambda row: row["task"], is_text=True),
        Column("backbone", lambda row: row["backbone"] or text.DASH, is_text=True),
        Column("method", lambda row: row["method"] or text.DASH, is_text=True),
        Column("setting", lambda row: row["setting"] or text.DASH, is_text=True),
        Column("metric", _metric, is_text=True),
        Column("paper", _paper),
        Column("ours", _ours),
        Column("ours - paper", lambda row: text.points(row["against_paper"])),
        Column("seeds", lambda row: str(row["seeds"] or text.DASH)),
        Column("95 % interval", _interval),
        Column("what differs", _said, is_text=True),
    )


def _metric(row: Row) -> str:
    return "not stated" if row["metric"] is None else metrics.short(row["metric"])


def _paper(row: Row) -> str:
    shown = _numbers(row["paper_value"], row["paper_difference"], row["paper_saved"])
    return shown + EVIDENCE.get(row["evidence"], "")


def _ours(row: Row) -> str:
    return _numbers(row["our_value"], row["our_difference"], row["our_saved"])


def _numbers(value: float | None, difference: float | None, saved: float | None) -> str:
    """`93.0 (-0.6, saves 40 %)`: the quality, what it loses, and what it saves."""
    shown = text.number(value, 1)
    if saved is None:
        return shown
    return f"{shown} ({text.points(difference)}, saves {text.number(saved, 0)} %)"


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
        f"Ours: {beside.weights}{on}. In brackets: points against the full model, and the cost "
        "saved. Of our settings the one that saves most nearly as much stands beside a cell.",
        "Interval: bootstrap of ours, over the seeds; of a single one, over the test examples.",
        *beside.study.notes,
        *beside.swept.said(),
    ]
