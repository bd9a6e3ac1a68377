"""The page of all studies: what was published, what was found here, and why they differ.

It is made from files alone: each study with its claims, its paper's table, and `study.json`
beside them, which is that of a finished sweep. So the same files give the same page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ee_jax.errors import UserError
from ee_jax.manifest import read_object
from ee_jax.report import metrics, text
from ee_jax.report.render import Column, Row, Table, to_markdown
from ee_jax.reproduce.claims import NOT_RUN, in_words
from ee_jax.reproduce.comparison import NOT_RUN as NO_NUMBERS
from ee_jax.reproduce.comparison import of_paper
from ee_jax.reproduce.comparison_table import EVIDENCE
from ee_jax.reproduce.operating_points import operating_columns
from ee_jax.reproduce.paper import Paper, load_paper
from ee_jax.reproduce.study import Study, find_study
from ee_jax.reproduce.write import STUDY

INTRODUCTION = """\
# Reproduction

What papers on early exit published, and what their studies found here. The page is made from
the results in `experiments/` by one command, and the tests check that it is up to date:

```bash
ee-jax reproduce --page docs/reproduction.md
```

A study's results are the file `study.json` beside its `study.py`. Where there is none, the
table has the published numbers alone. Beside a published number stands the setting of ours that
saves most nearly as much. A ratio is ours / published, of the quality and, of an early exit, of
the speed-up. Losses are in points against the model fine-tuned without exits. A claim holds, or
does not, where its difference is told from its margin at the 5 % level after Holm's correction
over all claims and tasks of its study; else it cannot be told at this size.
"""
NO_RESULT = "not run yet"


@dataclass(frozen=True)
class Committed:
    """A study, its paper, and the results that are committed beside them."""

    study: Study
    folder: str  # as the page names it
    paper: Paper | None
    results: dict[str, Any] | None  # what `study.json` holds; None: it has not been run

    @property
    def rows(self) -> list[Row]:
        """The paper's cells that the study has a strategy for, with ours if there are any."""
        if self.paper is None:
            return []
        if self.results is not None:
            found = self.results["tables"]
            rows = [*found["paper"]["rows"], *found["not_run"]["rows"]]
        else:
            blank = {**NO_NUMBERS, "not_run": NO_RESULT}
            rows = [of_paper(self.paper, cell) | blank for cell in self.paper.cells]
        return [row for row in rows if row["source"] and self._is_ours(row)]

    def _is_ours(self, row: Row) -> bool:
        of_study = row["method"] in self.study.methods and row["task"] in self.study.tasks
        return of_study and (row["backbone"] == self.study.backbone or not row["not_run"])

    @property
    def claims(self) -> list[tuple[str, str, str]]:
        """One line a claim: what it says, where, and what was found."""
        if self.results is not None and "claims" in self.results["tables"]:
            return in_words(self.results["tables"]["claims"]["rows"])
        return [(claim.says, claim.source, NOT_RUN) for claim in self.study.claims]


def read_studies(experiments: Path) -> list[Committed]:
    """All studies of a folder, by name, with the results that lie beside them.

    Raises:
      UserError: there is none, or a file of one cannot be read.
    """
    folders = sorted(path.parent for path in experiments.glob("*/study.py"))
    if not folders:
        raise UserError(
            f"no study in {experiments}/: run this in a clone of ee_jax, which has them"
        )
    return [_read(folder, f"experiments/{folder.name}") for folder in folders]


def _read(folder: Path, name: str) -> Committed:
    study = find_study(str(folder))
    paper = None if study.paper is None else load_paper(study.paper)
    path = folder / STUDY
    mend = f"copy that of a finished sweep of {study.name}, or delete it"
    results = read_object(path, mend) if path.is_file() else None
    lacks = {"tables", "command", "runs", "devices", "date", "commit"} - {*(results or {})}
    if results is not None and (results.get("study") != study.name or lacks):
        raise UserError(f"{path} holds no results of the study {study.name}: {mend}")
    return Committed(study, name, paper, results)


def page(studies: Sequence[Committed]) -> str:
    """The whole page, as Markdown."""
    parts = [INTRODUCTION, to_markdown(overview(studies))]
    for found in studies:
        parts.append(f"## {found.study.title}\n")
        parts += _section(found)
    return "\n".join(parts)


def overview(studies: Sequence[Committed]) -> Table:
    """A line a study."""
    rows = [_summary(found) for found in studies]
    headings = ("study", "published cells", "with ours", "claims", "results")
    columns = (
        Column(headings[0], lambda r: r["study"], is_text=True),
        Column(headings[1], lambda r: str(r["published"])),
        Column(headings[2], lambda r: str(r["ours"])),
        Column(headings[3], lambda r: str(r["claims"])),
        Column(headings[4], lambda r: r["results"], is_text=True),
    )
    return Table("Reproduction", columns, tuple(rows))


def _summary(found: Committed) -> Row:
    results = found.results
    return {
        "study": found.study.title,
        "published": len(found.rows),
        "ours": sum(not row["not_run"] for row in found.rows),
        "claims": len(found.claims),
        "results": NO_RESULT if results is None else f"{results['date']}, {results['commit']}",
    }


def _section(found: Committed) -> list[str]:
    paper, rows = found.paper, found.rows
    parts = []
    if paper is not None:
        parts.append(f"{paper.title} ({paper.where}, [{paper.url}]({paper.url})).\n")
        hidden = len(paper.cells) - len(rows)
        if rows:
            parts.append(to_markdown(_published(found)))
        if hidden > 0:
            parts.append(
                f"{hidden} cells of other backbones, methods and tasks are in "
                f"`{found.folder}/paper.json`.\n"
            )
    parts.append(_provenance(found))
    if found.claims:
        parts.append(to_markdown(_claims(found)))
    if found.results is not None:
        parts.append(to_markdown(_settings(found.results["tables"]["operating_points"])))
    return parts


def _published(found: Committed) -> Table:
    """Published, ours, ratio, why they differ."""
    devices = "; ".join(found.results["devices"]) if found.results else ""
    columns = (
        Column("task", _task, is_text=True),
        Column("cell", lambda r: f"{r['method']}, {r['setting']}", is_text=True),
        Column("published", _theirs),
        Column("on", lambda r: f"{r['backbone']}, {r['hardware']}, {r['split']}", is_text=True),
        Column("source", _source, is_text=True),
        Column("ours", _ours),
        Column("on", lambda r: text.DASH if r["not_run"] else devices, is_text=True),
        Column("ratio", _ratio),
        Column("why they differ", _why, is_text=True),
    )
    return Table(found.study.title, columns, tuple(found.rows))


def _task(row: Row) -> str:
    return row["task"] if row["metric"] is None else f"{row['task']}, {_short(row)}"


def _short(row: Row) -> str:
    return metrics.short(row["metric"])


def _source(row: Row) -> str:
    return row["source"] + EVIDENCE[row["evidence"]]


def _theirs(row: Row) -> str:
    return _numbers(row["paper_value"], row["paper_difference"], row["paper_saved"])


def _ours(row: Row) -> str:
    saved = None if row["threshold"] == 1 else row["our_saved"]
    return _numbers(row["our_value"], row["our_difference"], saved)


def _numbers(value: float | None, difference: float | None, saved: float | None) -> str:
    """The quality and, of an early exit, the points that it loses and its speed-up."""
    if saved is None:
        return text.number(value, 1)
    lost = "" if difference is None else f"{text.points(difference)}, "
    return f"{text.number(value, 1)} ({lost}{text.number(_speedup(saved))} times)"


def _ratio(row: Row) -> str:
    if row["our_value"] is None or not row["paper_value"]:
        return text.DASH
    shown = text.number(row["our_value"] / row["paper_value"], 3)
    if row["paper_saved"] is None or row["our_saved"] is None:
        return shown
    return f"{shown}; {text.number(_speedup(row['our_saved']) / _speedup(row['paper_saved']))}"


def _speedup(saved: float) -> float:
    """Of percent saved: 2 where it is 50."""
    return 100 / (100 - saved)


def _why(row: Row) -> str:
    return row["not_run"] or ", ".join(row["differs"])


def _provenance(found: Committed) -> str:
    """The command that made the tables, its time, the machine, and the commit."""
    if found.results is None:
        return (
            "No result of this study is committed yet. This command makes them:\n\n```bash\n"
            f"ee-jax reproduce {found.folder} --backbone WEIGHTS --manual-dir DIR\n```\n"
        )
    results = found.results
    hours = sum(run["seconds"] for run in results["runs"]) / 3600
    failed = f" {len(results['failed'])} runs failed." if results.get("failed") else ""
    return (
        f"Ours: {results['weights']}, {len(results['runs'])} runs in {text.number(hours)} "
        f"hours on {'; '.join(results['devices'])}, {results['date']}, commit "
        f"{results['commit'] or 'unknown'}.{failed} Made by\n\n```bash\n"
        f"{results['command']}\n```\n"
    )


def _settings(table: dict[str, Any]) -> Table:
    """What each setting of ours gives and saves."""
    rows, prefix = table["rows"], "time_saved_b"
    keys = rows[0] if rows else ()
    timed = [int(key.removeprefix(prefix)) for key in keys if key.startswith(prefix)]
    return Table("settings", operating_columns(timed), tuple(rows), tuple(table["notes"]))


def _claims(found: Committed) -> Table:
    columns = (
        Column("claim", lambda r: r["claim"], is_text=True),
        Column("source", lambda r: r["source"], is_text=True),
        Column("here it", lambda r: r["verdict"], is_text=True),
    )
    rows: list[Row] = [
        {"claim": says, "source": source, "verdict": verdict}
        for says, source, verdict in found.claims
    ]
    return Table("claims", columns, tuple(rows))
