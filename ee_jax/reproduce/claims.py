"""A paper's claims, judged by rule from what the runs found.

Each claim says which difference it is of and above what margin it holds. On each task it holds,
or does not, where the difference is told from the margin at the 5 % level, after Holm's
correction over all claims and tasks of the study; else the task is too small to tell.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from ee_jax.evaluation.contrasts import Contrast, holm
from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table
from ee_jax.reproduce.answers import TaskRuns
from ee_jax.reproduce.measures import Measure

LEVEL = 0.05
HOLDS, FAILS, OPEN = "holds", "does not hold", "cannot be told at this size"
NOT_RUN = "was not run"


@dataclass(frozen=True)
class Claim:
    """A sentence, where it stands, and the difference that decides it."""

    says: str
    source: str
    difference: Measure  # of qualities
    margin: float = 0.0  # it holds where the difference is above


def claims_table(title: str, claims: Sequence[Claim], tasks: Sequence[TaskRuns]) -> Table:
    """A row for each claim and task, in the order of the claims."""
    found = [
        (claim, task, task.contrast(claim.difference, claim.margin))
        for claim in claims
        for task in tasks
    ]
    known = [contrast for _, _, contrast in found if contrast is not None]
    adjusted = iter(holm([contrast.p_value for contrast in known]))
    rows = [
        _row(claim, task, contrast, None if contrast is None else next(adjusted))
        for claim, task, contrast in found
    ]
    columns = (
        Column("claim", lambda r: r["claim"], is_text=True),
        Column("source", lambda r: r["source"], is_text=True),
        Column("task", lambda r: f"{r['task']}, {metrics.short(r['metric'])}", is_text=True),
        Column("holds above", lambda r: text.points(r["margin"])),
        Column("difference", lambda r: text.points(r["difference"])),
        Column("95 % interval", _interval),
        Column("p (Holm)", _p_value),
        Column("here it", lambda r: r["verdict"], is_text=True),
    )
    notes = (
        f"Differences in points, means over the seeds; {len(known)} of them are tested "
        f"together (Holm), at {100 * LEVEL:g} %. Intervals, which are of each alone, and "
        "p-values: a bootstrap over the test examples within the seeds.",
    )
    return Table(title, columns, tuple(rows), notes if rows else ())


def _row(
    claim: Claim, task: TaskRuns, contrast: Contrast | None, p_value: float | None
) -> dict[str, Any]:
    value, low, high = (None, None, None) if contrast is None else contrast[:3]
    return {
        "claim": claim.says,
        "source": claim.source,
        "task": task.runs[0].task,
        "metric": task.metric,
        "seeds": len(task.runs),
        "margin": _points(claim.margin),
        "difference": _points(value),
        "low": _points(low),
        "high": _points(high),
        "p": p_value,
        "verdict": verdict(value, p_value, claim.margin),
    }


def verdict(difference: float | None, p_value: float | None, margin: float) -> str:
    """What a difference and its adjusted p-value say of a claim."""
    if difference is None or p_value is None:
        return NOT_RUN
    if p_value > LEVEL:
        return OPEN
    return HOLDS if difference > margin else FAILS


def in_words(rows: Sequence[Row]) -> list[tuple[str, str, str]]:
    """One line a claim: what it says, where, and on which tasks it holds here or does not."""
    found = []
    for (says, source), of_claim in groupby(rows, key=lambda r: (r["claim"], r["source"])):
        tasks: dict[str, list[str]] = {}
        for row in of_claim:
            tasks.setdefault(row["verdict"], []).append(row["task"])
        said = "; ".join(f"{verdict}: {', '.join(names)}" for verdict, names in tasks.items())
        found.append((says, source, said))
    return found


def _points(value: float | None) -> float | None:
    return None if value is None else round(100 * value, 6)


def _interval(row: Row) -> str:
    if row["low"] is None:
        return text.DASH
    return f"{text.points(row['low'])} to {text.points(row['high'])}"


def _p_value(row: Row) -> str:
    return text.p_value(row["p"])
