"""Our drafts beside the paper's: how many are accepted, and the wall clock.

Command:  python experiments/layerskip/table.py experiments/layerskip/results.json
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from ee_jax.report import text
from ee_jax.report.render import Column, Row, Table, to_markdown
from ee_jax.reproduce.paper import Paper, parse_paper
from ee_jax.results import Results, read_results

PAPER = Path(__file__).with_name("paper.json")


def comparison(paper: Paper, results: Results) -> Table:
    """A row for each of the paper's cells, then for each setting of ours."""
    columns = (
        Column("whose", lambda row: row["whose"], is_text=True),
        Column("model", lambda row: row["model"], is_text=True),
        Column("text", lambda row: row["task"], is_text=True),
        Column("batch", lambda row: str(row["batch"])),
        Column("drafting", lambda row: row["setting"], is_text=True),
        Column("accepted %", lambda row: text.number(row["accepted"], 1)),
        Column("times as fast", lambda row: text.number(row["speedup"])),
    )
    notes = (
        f"Paper: {paper.title} ({paper.where}, {paper.url}).",
        *paper.notes,
        f"Ours: {results.device}, greedy, wall clock of plain decoding over that of "
        "self-speculation, both compiled, interleaved; the tokens are those of plain decoding.",
    )
    rows = (*_theirs(paper), *_ours(results))
    return Table("Self-speculation beside the paper's", columns, rows, notes)


def _theirs(paper: Paper) -> Iterator[Row]:
    for cell in paper.cells:
        yield {
            "whose": f"paper, {cell.source}",
            "model": cell.backbone,
            "task": cell.task,
            "batch": 1,  # all of them
            "setting": cell.setting,
            "accepted": cell.value,
            "speedup": cell.speedup,
        }


def _ours(results: Results) -> Iterator[Row]:
    model, task = results.model, results.data["name"]
    for name, strategy in results.strategies.items():
        for entry in strategy.speculation:
            accepted = entry.acceptance
            yield {
                "whose": f"ours, {name}",
                "model": f"llama, {model['parameters'] / 1e6:.1f} M, from scratch",
                "task": task,
                "batch": entry.batch,
                "setting": f"E={entry.depth} of {model['blocks']}, d={entry.drafted}",
                "accepted": None if accepted is None else 100 * accepted,
                "speedup": entry.speedup,
            }


if __name__ == "__main__":
    paper = parse_paper(json.loads(PAPER.read_text()), PAPER.name)
    print(to_markdown(comparison(paper, read_results(Path(sys.argv[1])))), end="")
