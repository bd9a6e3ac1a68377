"""The files of a study: its tables, its figure, its page, and all of them as JSON."""

import json
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ee_jax
from ee_jax.atomic_io import write_json
from ee_jax.errors import UserError
from ee_jax.manifest import read_object
from ee_jax.owned_folder import HOLDER, held
from ee_jax.report.figures import save
from ee_jax.report.render import Table
from ee_jax.report.report import write_texts
from ee_jax.report.study import study_figure, study_page
from ee_jax.reproduce.answers import TaskRuns
from ee_jax.reproduce.claims import claims_table
from ee_jax.reproduce.comparison import Comparison
from ee_jax.reproduce.comparison_table import comparison_table, headline, not_run_table
from ee_jax.reproduce.operating_points import operating_table
from ee_jax.reproduce.paper import load_paper
from ee_jax.reproduce.search import search_table
from ee_jax.reproduce.side_by_side import chosen_table, full_table
from ee_jax.reproduce.study import Study
from ee_jax.reproduce.swept import Finished, Swept

HEADINGS = {
    "paper": "The paper's numbers, and ours",
    "claims": "Claims",
    "operating_points": "Settings beside the model without exits",
    "strategies": "Full models side by side",
    "calibrated": "Calibrated exits side by side",
    "search": "Learning rates, on held-out training rows",
    "not_run": "Cells that were not run",
}
Tables = dict[str, Table]  # by the name of their file
STUDY = "study.json"


@contextmanager
def claimed(folder: Path, study: Study) -> Iterator[None]:
    """Keeps the folder for this study, and for one command at a time.

    Raises:
      UserError: another command holds it, or it holds something else than this study.
    """
    path, mend = folder / STUDY, "give another output folder"
    if path.is_file():
        owner = read_object(path, f"{mend}, or delete {folder}").get("study")
        if owner != study.name:
            raise UserError(f"{folder} holds the study {owner}, not {study.name}: {mend}")
    elif folder.is_dir() and any(found.name != HOLDER for found in folder.iterdir()):
        raise UserError(f"{folder} is not empty and not the folder of a study: {mend}")
    with held(folder):
        if not path.is_file():
            write_json(path, {"study": study.name})
        yield


def tables(study: Study, weights: str, swept: Swept) -> Tables:
    """Ours beside the paper's, if the study has one, and our strategies side by side."""
    ours = {
        "strategies": full_table(f"{study.title}: full models side by side", swept),
        "calibrated": chosen_table(f"{study.title}: calibrated exits side by side", swept),
    }
    judged = [TaskRuns(runs) for task in swept.tasks if (runs := _traced(swept.of(task)))]
    title = f"{study.title}: settings beside the model without exits"
    ours["operating_points"] = operating_table(title, judged)
    if swept.searched:
        ours["search"] = search_table(f"{study.title}: learning rates", swept.searched)
    if study.claims:
        ours["claims"] = claims_table(f"{study.title}: claims", study.claims, judged)
    if study.paper is None:
        return ours
    comparison = Comparison(study, load_paper(study.paper), weights, swept)
    return {"paper": comparison_table(comparison), **ours, "not_run": not_run_table(comparison)}


def _traced(swept: Swept) -> tuple[Finished, ...]:
    """The runs of one task, if all their traces are there."""
    whole = all(set(run.traces) == set(run.results.strategies) for run in swept.finished)
    return swept.finished if whole else ()


def write(
    study: Study, weights: str, swept: Swept, tables: Tables, command: str, folder: Path
) -> dict[str, Any]:
    """Writes everything into the folder; returns what `study.json` holds."""
    content = _content(study, weights, swept, tables, command)
    by_task = {task: [run.results for run in swept.of(task).finished] for task in swept.tasks}
    done = {task: results for task, results in by_task.items() if results}
    figure = study_figure(done) if done else None
    page = study_page(
        study.title,
        content["headline"],
        {HEADINGS[name]: table for name, table in tables.items()},
        figure,
        _facts(content),
    )
    found = json.dumps(content, indent=1, allow_nan=False) + "\n"
    write_texts(folder, tables, {STUDY: found, "report.html": page})
    if figure is not None:
        save(figure, folder / "study.png")
    return content


def _content(
    study: Study, weights: str, swept: Swept, tables: Tables, command: str
) -> dict[str, Any]:
    runs = swept.finished
    return {
        "study": study.name,
        "headline": headline(tables, swept),
        "command": command,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "ee_jax": ee_jax.__version__,
        "commit": source_commit(),
        "weights": weights,
        "devices": list(dict.fromkeys(run.results.machine for run in runs)),
        "runs": [
            {
                "task": run.task,
                "seed": run.seed,
                "config_hash": run.results.config_hash,
                "data": run.results.data["version"],
                "seconds": run.results.seconds["total"],
            }
            for run in runs
        ],
        "failed": [vars(run) for run in swept.failed],
        "tables": {n: {"rows": t.rows, "notes": t.notes} for n, t in tables.items()},
    }


def source_commit() -> str | None:
    """The commit of the code that runs, and whether files were changed; None: no clone."""
    clone = Path(ee_jax.__file__).parents[1]
    if not (clone / ".git").exists():
        return None
    commit, changed = (
        subprocess.run(["git", "-C", str(clone), *line], capture_output=True, text=True)
        for line in (("rev-parse", "--short=12", "HEAD"), ("status", "--porcelain", "-uno"))
    )
    if commit.returncode:
        return None
    return commit.stdout.strip() + (" with changes" if changed.stdout else "")


def _facts(content: Mapping[str, Any]) -> dict[str, str]:
    """What the page says of the runs."""
    runs = [
        f"{run['task']}, seed {run['seed']} ({run['seconds']:.0f} s, {run['config_hash']})"
        for run in content["runs"]
    ]
    return {
        "command": content["command"],
        "date": content["date"],
        "weights": content["weights"],
        "devices": "; ".join(content["devices"]) or "none",
        "runs": "; ".join(runs) or "none",
        "version": content["ee_jax"],
        "commit": content["commit"] or "unknown",
    }
