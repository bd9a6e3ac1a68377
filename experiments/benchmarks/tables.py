"""The tables of this folder: rows that `ee-jax bench ... --json` printed, as Markdown.

Command:  python experiments/benchmarks/tables.py experiments/benchmarks/*.jsonl
"""

import json
import sys
from pathlib import Path

from ee_jax.report.render import Column, Row, Table, to_markdown

# A row's key, its heading and its decimals.
SHOWN = {
    "method": ("method", None),
    "examples": ("examples", 0),
    "exits": ("exits", 0),
    "thresholds": ("thresholds", 0),
    "trials": ("trials", 0),
    "seconds": ("seconds", 1),
    "peak_mb": ("peak MB", 0),
    "trace_mb": ("trace MB", 0),
    "model": ("model", None),
    "seq": ("tokens", 0),
    "every": ("an exit every", 0),
    "batch": ("batch", 0),
    "strategy": ("step of", None),
    "layout": ("layout", None),
    "precision": ("precision", None),
    "depth": ("depth", 0),
    "mean_depth": ("mean depth", 2),
    "static_ms": ("static ms", 1),
    "exit_ms": ("exit ms", 1),
    "drafts": ("drafts", 0),
    "speculation_ms": ("speculation ms", 1),
    "speedup": ("times as fast", 2),
    "acceptance": ("acceptance", 2),
    "torch_ms": ("torch ms", 1),
    "step_ms": ("ms a step", 1),
    "ratio": ("ratio", 3),
    "prompts": ("prompts", None),
    "drafter": ("drafter", None),
    "slowest": ("slowest batch", 2),
    "tokens_a_pass": ("tokens a pass", 2),
    "ideal_speedup": ("ideal", 2),
    "masked_speedup": ("masked", 2),
    "measured_speedup": ("compacted", 2),
    "share_of_ideal": ("share of ideal", 2),
}


def table(path: Path) -> str:
    """The rows of a file as a Markdown table."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    columns = tuple(_column(key, *SHOWN[key]) for key in SHOWN if key in rows[0])
    return to_markdown(Table(path.stem, columns, tuple(rows)))


def _column(key: str, heading: str, decimals: int | None) -> Column:
    def show(row: Row) -> str:
        value = "" if row[key] is None else row[key]
        return value if isinstance(value, str) else f"{value:.{decimals}f}"

    return Column(heading, show, is_text=decimals is None)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        print(f"### {Path(name).stem}\n\n{table(Path(name))}")
