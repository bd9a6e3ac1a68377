"""The table of a paper's cells and ours.

What a study found, in a sentence.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.reproduce.comparison import Comparison
from ee_jax.reproduce.swept import Swept

EVIDENCE = {"read": "", "second-hand": " (second-hand)", "from memory": " (from memory)"}


def comparison_table(comparison: Comparison) -> Table:
    """Cell by cell: the paper's value, ours, the difference, its interval, what differs."""
    rows = tuple(row for row in comparison.rows() if not row["not_run"])
    columns = (
        *START,
        *VALUES,
        Column("ours at its loss", _same_loss),
        Column("95 % interval (seeds)", _interval),
        Column("what differs", lambda row: ", ".join(row["differs"]), is_text=True),
    )
    title = f"{comparison.study.title}: the paper's numbers, and ours"
    return Table(title, columns, rows, tuple(_notes(comparison)))


def not_run_table(comparison: Comparison) -> Table:
    """The paper's cells that have no number of ours beside them, and why."""
    rows = tuple(row for row in comparison.rows() if row["not_run"])
    columns = (
        START[0],
        Column("backbone", lambda row: row["backbone"] or text.DASH, is_text=True),
        START[1],
        VALUES[0],
        Column("why there is none of ours", lambda row: row["not_run"], is_text=True),
    )
    notes = tuple(comparison.swept.said())
    return Table(f"{comparison.study.title}: cells that were not run", columns, rows, notes)


def brief(table: Table) -> Table:
    """The table as narrow as a terminal: without intervals, and what differs."""
    return replace(table, columns=(*START, *VALUES))


def _metric(row: Row) -> str:
    return "metric not stated" if row["metric"] is None else metrics.short(row["metric"])


def _cell(row: Row) -> str:
    return ", ".join(row[key] for key in ("method", "setting") if row[key]) or text.DASH


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


def _same_loss(row: Row) -> str:
    """What the setting of ours loses and saves that loses most nearly as much."""
    if row["same_loss_saved"] is None:
        return text.DASH
    lost, saved = row["same_loss_difference"], row["same_loss_saved"]
    return f"{text.points(lost)}, {text.number(-saved, 0)} %"


START = (
    Column("task", lambda row: f"{row['task']}, {_metric(row)}", is_text=True),
    Column("cell", _cell, is_text=True),
)
VALUES = (
    Column("paper", _paper),
    Column("ours", _ours),
    Column("ours - paper", lambda row: text.points(row["against_paper"])),
)


def _interval(row: Row) -> str:
    if row["low"] is None:
        return f"{text.DASH} ({row['seeds']})"
    shown = f"{text.number(row['low'], 1)} to {text.number(row['high'], 1)}"
    return f"{shown} ({row['seeds']})"


def _notes(comparison: Comparison) -> list[str]:
    """How to read the table, what the paper's numbers are, and what failed."""
    devices = dict.fromkeys(run.results.machine for run in comparison.swept.finished)
    on = f" on {'; '.join(devices)}, official dev sets" if devices else ""
    return [
        f"Paper: {comparison.paper.title} ({comparison.paper.where}, {comparison.paper.url}).",
        *comparison.paper.notes,
        f"Ours: {comparison.weights}{on}, beside the paper's {comparison.backbone}.",
        "Beside a cell stands the setting of ours that saves most nearly as much.",
        "In brackets: points and cost against the full model fine-tuned without exits, where "
        "there is one, else against the strategy's own. At its loss: the setting of ours that "
        "loses most nearly as many points, which the test split picks.",
        "Interval: bootstrap of ours, over the seeds; of a single one, over the test examples.",
        *comparison.study.notes,
        *comparison.swept.said(),
    ]


def headline(tables: Mapping[str, Table], swept: Swept) -> str:
    """How far ours are from the paper's, or each task's full models; and what failed."""
    runs, failed = len(swept.finished) + len(swept.failed), len(swept.failed)
    if "paper" in tables:
        found = _against_paper([*tables["paper"].rows, *tables["not_run"].rows])
    else:
        found = _strategies(tables["strategies"].rows)
    lost = f"{failed} of {runs} run{'s' * (runs > 1)} failed." if failed else ""
    return " ".join(filter(None, (found, lost)))


def _against_paper(rows: Sequence[Row]) -> str:
    cells = [row for row in rows if row["source"] is not None]
    gaps = [row["against_paper"] for row in cells if row["against_paper"] is not None]
    of = f"{len(gaps)} of the paper's {len(cells)} cells have a number of ours beside them"
    if not gaps:
        return f"None of the paper's {len(cells)} cells has a number of ours beside it."
    if min(gaps) == max(gaps):
        return f"{of}, {text.points(gaps[0])} points from it."
    return (
        f"{of}, from {text.points(min(gaps))} to {text.points(max(gaps))} points from theirs."
    )


def _strategies(rows: Sequence[Row]) -> str:
    """`sst2: joint 91.2 %, frozen 85.3 % accuracy at full depth.`"""
    sentences = []
    for task, of_task in groupby(rows, key=lambda row: row["task"]):
        found = list(of_task)
        each = ", ".join(f"{row['strategy']} {text.number(row['quality'], 1)}" for row in found)
        sentences.append(f"{task}: {metrics.name(found[0]['metric'])} at full depth {each}.")
    return " ".join(sentences)
