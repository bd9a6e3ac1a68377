"""What a study found, in a sentence."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from ee_jax.report import metrics, text
from ee_jax.report.render import Row, Table
from ee_jax.reproduce.outcome import Swept


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
